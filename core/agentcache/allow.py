"""The allow-list: a union of tools on the wire, and each fork kept to its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

from agentcache.blocks import dumps
from agentcache.dialects import Dialect, Json
from agentcache.dialects.base import is_json
from agentcache.rules import Rule

__all__ = [
    "NO_CALL_LINE",
    "NO_TOOLS_LINE",
    "ONE_CALL_LINE",
    "allow_line",
    "forbids_tools",
    "foreign_tools",
    "names_a_tool",
    "own_description",
    "refusal_text",
    "restriction",
    "without_choice",
    "without_one_call",
]

NO_TOOLS_LINE = "You have no tools in this conversation."
NO_CALL_LINE = "Answer in text now, without calling a tool."
ONE_CALL_LINE = "Call at most one tool at a time."


def allow_line(names: Sequence[str], union: Sequence[str]) -> str:
    """Sentence for a fork's tail that names its tools; empty if it may use the whole union."""
    if set(names) >= set(union):
        return ""
    if not names:
        return NO_TOOLS_LINE
    listed = ", ".join(f"`{name}`" for name in names)
    return f"You may call only these tools: {listed}. Other tools belong to your coworkers."


def restriction(
    dialect: Dialect, rule: Rule, names: Sequence[str], union: Sequence[str], asked: Any = None
) -> Json:
    """Parameters that keep a call to `names` where the wire can say it without moving the prefix.

    `asked` is the request's own `tool_choice`. One that forces a call to some tool is kept as a
    wish for one of these; one that names a tool is kept as it is.
    """
    if not union or set(names) >= set(union):
        return {}
    if not names:
        return dialect.allow(()) if "none" in rule.restrict else {}
    mode = _mode(asked)
    if "allowed_tools" not in rule.restrict or mode is None:
        return {}
    return dialect.allow(names, mode)


def _mode(asked: Any) -> Literal["auto", "required"] | None:
    """The mode of an allow-list that keeps the program's own wish; None if it names a tool."""
    kind: Any = (
        cast("Mapping[str, Any]", asked).get("type") if isinstance(asked, Mapping) else asked
    )
    if kind in (None, "auto"):
        return "auto"
    return "required" if kind in ("required", "any") else None


def names_a_tool(asked: Any) -> bool:
    """Whether a request's `tool_choice` forces the call of one tool."""
    kind: Any = cast("Mapping[str, Any]", asked).get("type") if isinstance(asked, Mapping) else None
    return kind in ("function", "tool", "custom")


def forbids_tools(asked: Any) -> bool:
    """Whether a request's `tool_choice` forbids the call of any tool."""
    return asked == "none" or (is_json(asked) and asked.get("type") == "none")


def without_choice(rest: Mapping[str, Any]) -> Json:
    """A request's parameters without a `tool_choice` that forces no call."""
    choice: Any = rest.get("tool_choice")
    drop = forbids_tools(choice) or choice in ("auto", {"type": "auto"})
    return {k: v for k, v in rest.items() if not (drop and k == "tool_choice")}


def without_one_call(rest: Mapping[str, Any]) -> Json:
    """A request's parameters without those that ask for one tool call at most."""
    out = dict(rest)
    if out.get("parallel_tool_calls") is False:
        del out["parallel_tool_calls"]
    choice: Any = out.get("tool_choice")
    if is_json(choice) and choice.get("disable_parallel_tool_use"):
        left = {k: v for k, v in choice.items() if k != "disable_parallel_tool_use"}
        out["tool_choice"] = left
        if left == {"type": "auto"}:
            del out["tool_choice"]
    return out


def foreign_tools(called: Iterable[str], allowed: Iterable[str]) -> tuple[str, ...]:
    """Names among `called` that are not on the fork's own list, in order, once each."""
    own = set(allowed)
    return tuple(dict.fromkeys(name for name in called if name not in own))


def refusal_text(foreign: Sequence[str], allowed: Sequence[str]) -> str:
    """What a model is told when it called a tool that is not its own."""
    names = ", ".join(repr(n) for n in foreign)
    own = ", ".join(repr(n) for n in allowed) or "none"
    return f"Error: {names} is not one of your tools (yours: {own}). Nothing was executed."


def own_description(name: str, tool: Json, held: Json | None) -> str:
    """How an agent knows a tool of which one form is frozen for all: its own description.

    All of it, where more than the description differs.
    """
    mine, description = _described(tool)
    if held is not None and description and _described(held)[0] == mine:
        return f"For you, the tool `{name}` reads: {description}"
    return f"For you, this tool reads: {dumps(tool)}"


def _described(tool: Json) -> tuple[str, str]:
    """A tool's definition without its description, and the description."""
    inner: Json = next((tool[k] for k in ("function", "toolSpec") if is_json(tool.get(k))), tool)
    rest = {k: v for k, v in inner.items() if k != "description"}
    return dumps(rest), str(inner.get("description", ""))
