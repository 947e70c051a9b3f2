"""How a chat model's requests look on the wire, and whose cache they can share.

The classes that build OpenAI's or Anthropic's own request show it in `_get_request_payload`, where
a fork is written. Any other class is forked in the messages and tools that it is given.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import HumanMessage

from agentcache import rewrites
from agentcache.parent import CacheDomain
from agentcache.rules import TEXT_ONLY, Rule, match_route

__all__ = ["Wire", "wire_of"]

_PAYLOAD_CLASSES: Final = (
    ("langchain_openai.chat_models.base", "BaseChatOpenAI"),
    ("langchain_anthropic.chat_models", "ChatAnthropic"),
)
_BY_NAME: Final = ("openai", "anthropic")
_A_TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {"name": "t", "parameters": {"type": "object", "properties": {}}},
}
_VENDOR_URLS: Final = ("https://api.openai.com/v1", "https://api.anthropic.com")
_MODEL: Final = ("model_name", "model", "model_id", "deployment_name", "azure_deployment")
_URL: Final = ("openai_api_base", "anthropic_api_url", "azure_endpoint", "base_url", "endpoint")
_SECRETS: Final = (
    *("openai_api_key", "anthropic_api_key", "api_key", "google_api_key", "groq_api_key"),
    *("openai_organization", "organization", "project", "region_name", "aws_access_key_id"),
)


@dataclass(frozen=True)
class Wire:
    """How one model's class speaks: `dialect` is that of its requests.

    With `native` the provider's own request is built by the class, where a fork can be written.
    """

    dialect: str
    native: bool

    def rule(self, model: BaseChatModel, provider: str | None) -> Rule:
        """The caching rule that applies to the model, less what this wire cannot send."""
        said = _ls_provider(model)
        routes = () if said in ("", *_BY_NAME) else (said,)
        rule = match_route(name_of(model), _url_of(model), routes, provider).rule
        return rule if self.native else rule.model_copy(update=TEXT_ONLY)

    def domain(self, model: BaseChatModel, rule: Rule) -> CacheDomain:
        """Whose cache the model's calls can share."""
        secrets = [_secret(getattr(model, name, None)) for name in _SECRETS]
        digest = CacheDomain.digest(*secrets)
        return CacheDomain(rule.provider, name_of(model), _url_of(model), digest)

    def params(self, model: BaseChatModel) -> dict[str, Any]:
        """The parameters that the model sends with every request, without sending one."""
        if not self.native:
            return {"model": name_of(model)}
        return dict(payload_of(model, [HumanMessage("?")], {}))

    def tools(self, model: BaseChatModel, tools: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Tools as bound to the model, as its class would send them."""
        if not self.native or not tools:
            return list(tools)
        asked = {"tools": [dict(tool) for tool in tools]}
        return list(payload_of(model, [HumanMessage("?")], asked).get("tools") or ())

    def adds_tools(self, model: BaseChatModel) -> bool:
        """Whether the model takes tools in mid-conversation, as its profile says."""
        if not self.native:
            return False
        with warnings.catch_warnings(), suppress(ImportError):  # core 1.0: beta, and an extra
            warnings.simplefilter("ignore")
            profile: Any = getattr(model, "profile", None) or {}
            return bool(profile.get("mid_conversation_tools"))
        return False


def wire_of(model: BaseChatModel, *, tools: bool = True) -> Wire:
    """How this model's class speaks; asks the class for a request, and sends none.

    ChatOpenAI may send a request with tools to another API than one without; all the forks of one
    parent speak one.
    """
    for module, name in _PAYLOAD_CLASSES:
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None and isinstance(model, cls):
            if name == "ChatAnthropic":
                return Wire("anthropic.messages", native=True)
            asked = payload_of(model, [HumanMessage("?")], {"tools": [_A_TOOL]} if tools else {})
            return Wire("openai.responses" if "input" in asked else "openai.chat", native=True)
    return Wire("openai.chat.text", native=False)


def payload_of(
    model: Any, messages: Sequence[Any], kwargs: Mapping[str, Any], stop: Any = None
) -> dict[str, Any]:
    """The request that the model's class makes for these messages."""
    made: dict[str, Any] = model._get_request_payload(list(messages), stop=stop, **kwargs)
    return {k: v for k, v in made.items() if v is not None}


def beside(request: dict[str, Any], before: dict[str, Any], params: dict[str, Any]) -> Any:
    """What the SDK is given for a fork."""
    made = rewrites.beside(request, before, params)
    return made if "tools" in before else {**made, "extra_body": _Quiet(made["extra_body"])}


class _Quiet(dict[str, Any]):
    """A body that does not say it has tools: the program offered none.

    ChatAnthropic streams an answer as text, or as blocks once it sees tools in the body: with a
    union of tools the program would get another type than it got before.
    """

    def get(self, key: str, default: Any = None) -> Any:
        """What is there, but for the tools."""
        return default if key == "tools" else super().get(key, default)


def name_of(model: BaseChatModel) -> str:
    """The model's name, as the provider knows it."""
    found = (getattr(model, name, None) for name in _MODEL)
    return next((name for name in found if isinstance(name, str) and name), type(model).__name__)


def _url_of(model: BaseChatModel) -> str:
    """The endpoint a model calls; empty for its provider's own."""
    found = (getattr(model, name, None) for name in _URL)
    url = next((url for url in found if isinstance(url, str) and url), "").rstrip("/")
    return "" if url in _VENDOR_URLS else url


def _ls_provider(model: BaseChatModel) -> str:
    """LangChain's name of who answers."""
    said: Mapping[str, Any] = model._get_ls_params()  # pyright: ignore[reportPrivateUsage]
    return str(said.get("ls_provider") or "")


def _secret(value: Any) -> str | None:
    """The text of a secret; a callable that returns one stands for itself."""
    if value is None or isinstance(value, str):
        return value
    reveal = getattr(value, "get_secret_value", None)
    return str(reveal()) if callable(reveal) else f"callable {id(value)}"
