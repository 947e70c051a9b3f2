"""The model classes of Azure, Amazon Bedrock and LiteLLM: each has its own form of a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crewai import BaseLLM

from agentcache.dialects.base import is_json, is_list
from agentcache.rules import TEXT_ONLY, Rule
from agentcache_crewai.native import BY_NAME, Chat, named_by
from agentcache_crewai.routes import rule_of
from agentcache_crewai.wires import PROBE, Seam, Wire, takes_tools

__all__ = ["Azure", "Converse", "LiteLLM"]

_LITELLM_OPENAI: Final = ("openai", "azure")
_LITELLM_MARKS: Final = ("anthropic", "bedrock")
"""Providers for which LiteLLM was seen to send `cache_control` as a mark (1.88.6, on the wire)."""
_PLACEHOLDER: Final = {"role": "user", "content": "."}
"""CrewAI puts it first for Claude on LiteLLM, whose system message would be first otherwise."""


@dataclass(frozen=True)
class Azure(Chat):
    """Azure's inference SDK: Chat Completions, with tools as objects and extras apart."""

    lacks: tuple[str, ...] = ("cached tokens of streamed calls (CrewAI drops them)",)
    own_format: bool = True
    sdk: str = "azure.ai.inference:ChatCompletionsClient.complete"
    extra: str = "model_extras"
    header_key: str = "headers"

    def tools(self, llm: Any, schemas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """CrewAI's tool schemas as this class would send them, if it does."""
        asked = list(schemas) if schemas and takes_tools(llm) else None
        params = llm._prepare_completion_params(list(PROBE), asked)
        return [_as_dict(tool) for tool in params.get("tools") or ()]

    def request(self, llm: Any, messages: list[Any], tools: Any) -> dict[str, Any]:
        """What the class would send for these messages and tools."""
        said = llm._format_messages_for_azure(messages)
        return self.body(llm._prepare_completion_params(said, tools), offered=bool(tools))

    def body(self, params: Mapping[str, Any], *, offered: bool) -> dict[str, Any]:
        """The JSON that the SDK makes of its arguments."""
        del offered
        body = {k: v for k, v in params.items() if k != self.extra}
        if "tools" in body:
            body["tools"] = [_as_dict(tool) for tool in body["tools"]]
        return {**body, **(params.get(self.extra) or {})}

    def arguments(self, body: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The SDK's arguments: what it does not name goes into the extras."""
        known = {*named_by(self.sdk), *params} - {self.extra}
        extra = {k: v for k, v in body.items() if k not in known}
        sent = {k: v for k, v in body.items() if k in known}
        return {**sent, self.extra: extra} if extra else sent


@dataclass(frozen=True)
class Converse(Wire):
    """Bedrock's Converse: forked where CrewAI hands the request to the AWS client."""

    seam: Seam = "converse"
    lacks: tuple[str, ...] = ("tool_choice (Converse cannot forbid or list tools)",)
    own_format: bool = True

    def spoken(self, rule: Rule) -> str:
        """Converse."""
        del rule
        return "bedrock.converse"

    def rule(self, llm: BaseLLM, provider: str | None) -> Rule:
        """The caching rule, less what other APIs of Bedrock take: boto3 refuses unknown fields."""
        rule = rule_of(llm, self.route(llm), provider)
        marks = rule.takes_mark("cachePoint")
        update = {"marks": marks, "mark_key": "cachePoint" if marks else ""}
        return rule.model_copy(update={**TEXT_ONLY, **update})

    def route(self, llm: Any) -> str:
        """Bedrock."""
        return str(llm.provider)

    def tools(self, llm: Any, schemas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """CrewAI's tool schemas as this class would send them."""
        if not schemas or not takes_tools(llm):
            return []
        return list(llm._format_tools_for_converse(list(schemas)))

    def params(self, llm: Any) -> dict[str, Any]:
        """The parameters that this model sends with every request, without sending one."""
        body: dict[str, Any] = {"modelId": llm.model_id}
        if llm.additional_model_request_fields:
            body["additionalModelRequestFields"] = llm.additional_model_request_fields
        return body

    def request(self, llm: Any, messages: list[Any], tools: Any) -> dict[str, Any]:
        """What the class would send for these messages and tools."""
        said, system = llm._format_messages_for_converse(messages)
        body = {**self.params(llm), "messages": said}
        if system:
            body["system"] = [{"text": system}]
        made = self.tools(llm, tools or ())
        return {**body, **({"toolConfig": {"tools": made}} if made else {})}

    def body(self, params: Mapping[str, Any], *, offered: bool) -> dict[str, Any]:
        """The request; where it offers no tools, CrewAI's stand-ins for those in its history go."""
        return {k: v for k, v in params.items() if offered or k != "toolConfig"}


@dataclass(frozen=True)
class LiteLLM(Chat):
    """LiteLLM: Chat Completions as it takes them, whoever it sends them to."""

    lacks: tuple[str, ...] = (
        "the first event of a stream (parallel forks wait for its end)",
        "CrewAI's own cache_breakpoint flag, which providers refuse (dropped from every call)",
    )
    official: bool = False

    def rule(self, llm: BaseLLM, provider: str | None) -> Rule:
        """The caching rule, less what LiteLLM is not known to hand on to this provider."""
        rule = rule_of(llm, self.route(llm), provider)
        prefix = _prefix(llm) or rule.provider
        if prefix in _LITELLM_OPENAI:
            return rule
        marks = prefix in _LITELLM_MARKS and rule.takes_mark("cache_control")
        none = tuple(word for word in rule.restrict if word == "none")
        update = {"marks": marks, "mark_key": "cache_control" if marks else "", "restrict": none}
        return rule.model_copy(update={**TEXT_ONLY, **update})

    def route(self, llm: Any) -> str:
        """The prefix of the model's name, where it is not one whose models tell it themselves."""
        return "" if _prefix(llm) in BY_NAME else _prefix(llm)

    def tools(self, llm: Any, schemas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """CrewAI's tool schemas, as they are."""
        return [dict(schema) for schema in schemas] if schemas and takes_tools(llm) else []

    def request(self, llm: Any, messages: list[Any], tools: Any) -> dict[str, Any]:
        """What the class would send for these messages and tools."""
        return self.body(llm._prepare_completion_params(messages, tools), offered=bool(tools))

    def body(self, params: Mapping[str, Any], *, offered: bool) -> dict[str, Any]:
        """The request, less what stands first only because a system message would."""
        del offered
        messages: Any = params.get("messages")
        if not is_list(messages) or len(messages) < 2 or messages[0] != _PLACEHOLDER:
            return dict(params)
        follows: Any = messages[1]
        if not is_json(follows) or follows.get("role") != "system":
            return dict(params)
        return {**params, "messages": messages[1:]}

    def arguments(self, body: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """What LiteLLM does not know, or takes for a mistake, goes past it."""
        known = {*params, "messages", "tools"}
        if isinstance(body.get("tool_choice"), str):
            known.add("tool_choice")
        extra = {k: v for k, v in body.items() if k not in known}
        if not extra:
            return body
        more: dict[str, Any] = {**(params.get(self.extra) or {}), **extra}
        return {**{k: v for k, v in body.items() if k in known}, self.extra: more}


def _prefix(llm: Any) -> str:
    """The provider that a LiteLLM model's name begins with."""
    return str(llm.model).rpartition("/")[0].partition("/")[0]


def _as_dict(tool: Any) -> dict[str, Any]:
    return dict(tool) if is_json(tool) else dict(tool.as_dict())
