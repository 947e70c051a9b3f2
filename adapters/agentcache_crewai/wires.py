"""How each of CrewAI's model classes speaks, and where its request can be seen.

The classes that build their provider's own request are in `native` and `clouds`; here is what any
`BaseLLM` has.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from crewai import BaseLLM

from agentcache.parent import CacheDomain
from agentcache.rules import TEXT_ONLY, Rule
from agentcache_crewai.routes import base_url_of, rule_of

__all__ = ["PROBE", "Seam", "Wire", "loaded", "takes_tools"]

Seam = Literal["call", "completion", "responses", "converse"]
"""Where a fork is written: into the arguments of `call`, or into a provider's own request."""

PROBE: Final = [{"role": "user", "content": "?"}]


@dataclass(frozen=True)
class Wire:
    """A model class's way to the wire: here, the messages given to its `call`.

    `lacks` names what a fork on this wire cannot have. `own_format` says that the class sends a
    `response_format` of the model's own as something that no frozen parent can hold. `writes` says
    that CrewAI marks this class's requests by itself. `header_key` is the SDK's argument for
    headers of one request.
    """

    seam: Seam = "call"
    lacks: tuple[str, ...] = ("marks", "tool_choice", "an affinity id")
    own_format: bool = False
    writes: bool = False
    header_key: str = ""

    @property
    def native(self) -> bool:
        """Whether the provider's own request is built by the class, where a fork can be written."""
        return self.seam != "call"

    def missing(self, rule: Rule) -> tuple[str, ...]:
        """What a fork on this wire, under this rule, cannot have."""
        if "tool_choice" in " ".join(self.lacks) or "none" in rule.restrict:
            return self.lacks
        return (*self.lacks, f"tool_choice (not known to leave the prefix alone on {rule.name})")

    def spoken(self, rule: Rule) -> str:
        """The dialect of the requests, which may depend on whose marks are passed on."""
        del rule
        return "openai.chat.text"

    def rule(self, llm: BaseLLM, provider: str | None) -> Rule:
        """The caching rule that applies to the model, less what this class cannot send."""
        rule = rule_of(llm, self.route(llm), provider)
        return rule.model_copy(update=TEXT_ONLY)

    def route(self, llm: Any) -> str:
        """CrewAI's name of who answers; empty where the model's name alone tells."""
        del llm
        return ""

    def domain(self, llm: BaseLLM, rule: Rule) -> CacheDomain:
        """Whose cache the model's calls can share."""
        secrets = (
            llm.api_key,
            *(getattr(llm, name, None) for name in ("organization", "project")),
            *(getattr(llm, name, None) for name in ("aws_access_key_id", "location")),
        )
        known = [secret for secret in secrets[3:] if secret]
        digest = CacheDomain.digest(*secrets[:3], *known)
        return CacheDomain(rule.provider, llm.model, base_url_of(llm), digest)

    def tools(self, llm: Any, schemas: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """CrewAI's tool schemas as this class would send them."""
        return [dict(schema) for schema in schemas] if schemas and takes_tools(llm) else []

    def params(self, llm: Any) -> dict[str, Any]:
        """The parameters that this model sends with every request, without sending one."""
        del llm
        return {}

    def sample(
        self, llm: Any, system: str, user: str, schemas: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The first request of a conversation, without sending one."""
        flag = {"cache_breakpoint": True} if self.writes else {}
        said: list[Any] = [
            {"role": "system", "content": system, **flag},
            {"role": "user", "content": user, **flag},
        ]
        return self.request(llm, said, list(schemas) if schemas and takes_tools(llm) else None)

    def request(self, llm: Any, messages: list[Any], tools: Any) -> dict[str, Any]:
        """What the class would send for these messages and tools."""
        del llm
        return {"messages": messages, **({"tools": tools} if tools else {})}

    def chained(self, llm: Any) -> str:
        """Why the model's calls continue one another on the server; empty if they do not."""
        del llm
        return ""

    def body(self, params: Mapping[str, Any], *, offered: bool) -> dict[str, Any]:
        """The request's JSON out of the class's own arguments; `offered` tools or not."""
        del offered
        return dict(params)

    def arguments(self, body: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The class's own arguments out of the forked request; `params` are those it had."""
        del params
        return body

    def beside(self, body: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The same, leaving in place what the program itself reads, where the SDK has a way."""
        return self.arguments(body, params)


def takes_tools(llm: Any) -> bool:
    """Whether CrewAI sends this model tools at all, or writes them into the prompt's text."""
    asks = getattr(llm, "supports_function_calling", None)
    return bool(asks()) if callable(asks) else False


def loaded(module: str, name: str) -> type | None:
    """A class, if the program has imported it already: providers it does not use stay unloaded."""
    found = sys.modules.get(module)
    return getattr(found, name, None) if found is not None else None
