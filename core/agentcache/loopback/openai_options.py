"""What Chat Completions and Responses have in common: options, refusals, parameters."""

from dataclasses import dataclass
from typing import Any

from agentcache.loopback.drafting import anthropic_ttl, openai_ttl
from agentcache.loopback.prompt import Block, write
from agentcache.loopback.tokens import Tokenizer
from agentcache.loopback.values import Family
from agentcache.loopback.wire import Refusal, dumps, entries, mapping

__all__ = ["Options", "mark_ttl", "options", "params", "refuse_mark", "refuse_tool_marks"]

_DEFAULT_TTL_S = 1800.0
_IN_MEMORY_TTL_S = 300.0  # documented as 5-10 idle minutes; the shorter is the safe one


@dataclass(frozen=True, slots=True)
class Options:
    """The caching options of one OpenAI request."""

    family: Family
    ttl_s: float = _DEFAULT_TTL_S
    implicit: bool = True
    long_ttl: bool = False


def options(body: dict[str, Any], family: Family, *, long_ttl: bool) -> Options:
    """Read `prompt_cache_options`; refuse what this family or this API does not take."""
    asked = body.get("prompt_cache_options")
    if family == "engine":
        return Options(family, float("inf"))
    if family == "anthropic":
        return Options(family)
    if family == "openai-prefix":
        if asked is not None:
            raise Refusal(
                "Unsupported parameter: 'prompt_cache_options' is not supported with this model.",
                param="prompt_cache_options",
            )
        in_memory = body.get("prompt_cache_retention") == "in_memory"
        if in_memory and str(body.get("model")).startswith("gpt-5.5"):
            raise Refusal("'in_memory' is not supported.", param="prompt_cache_retention")
        return Options(family, _IN_MEMORY_TTL_S if in_memory else _DEFAULT_TTL_S)
    found = mapping(asked)
    mode = found.get("mode") or "implicit"
    if mode not in ("implicit", "explicit"):
        raise Refusal(f"Invalid value: {dumps(mode)}.", param="prompt_cache_options.mode")
    ttl_s = openai_ttl(found, _DEFAULT_TTL_S, long_ttl=long_ttl)
    return Options(family, ttl_s, mode == "implicit", long_ttl)


def mark_ttl(part: dict[str, Any], chosen: Options, where: str, *, allowed: bool) -> float | None:
    """Return the lifetime of the mark on a content part, None where there is none."""
    if chosen.family == "anthropic":
        return anthropic_ttl(part.get("cache_control"), where)
    mark = part.get("prompt_cache_breakpoint")
    if mark is None or chosen.family == "engine":
        return None
    if chosen.family == "openai-prefix" or not allowed:
        refuse_mark(part, where)
    if mapping(mark).get("mode") != "explicit":
        raise Refusal(
            f"Invalid breakpoint: {dumps(mark)}.", param=f"{where}.prompt_cache_breakpoint"
        )
    return openai_ttl(mark, chosen.ttl_s, long_ttl=chosen.long_ttl)


def refuse_mark(part: object, where: str) -> None:
    """Refuse a mark where none may sit."""
    if mapping(part).get("prompt_cache_breakpoint") is not None:
        raise Refusal(
            f"Unsupported parameter: '{where}.prompt_cache_breakpoint'.",
            param=f"{where}.prompt_cache_breakpoint",
        )


def params(
    body: dict[str, Any], family: Family, rendered: dict[str, Any], tokenize: Tokenizer
) -> list[Block]:
    """Write the parameters that stand before the tools. `rendered` holds the API's own."""
    shown = {key: value for key, value in rendered.items() if value is not None}
    if shown.get("verbosity") == "medium":  # the default, stated or not
        del shown["verbosity"]
    if family == "engine":
        # Templates render these two; schemas and verbosity steer decoding only.
        shown = {key: value for key, value in shown.items() if key == "effort"}
        shown |= (
            {"template": body["chat_template_kwargs"]} if "chat_template_kwargs" in body else {}
        )
    elif body.get("parallel_tool_calls") is False:
        shown["parallel_tool_calls"] = False
    tier = body.get("service_tier")
    if family == "openai-breakpoint" and tier not in (None, "auto", "default"):
        shown["service_tier"] = tier
    return [write("params", f"<|params|>{dumps(shown)}", tokenize)] if shown else []


def refuse_tool_marks(offered: object, chosen: Options, where: str = "tools") -> list[float | None]:
    """Return the marks on tools: OpenAI takes none, a Claude model behind a gateway does."""
    found: list[float | None] = []
    for index, tool in enumerate(entries(offered)):
        if chosen.family in ("openai-prefix", "openai-breakpoint"):
            refuse_mark(tool, f"{where}[{index}]")
        found.append(mark_ttl(mapping(tool), chosen, f"{where}[{index}]", allowed=False))
    return found
