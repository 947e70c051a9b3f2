"""Ready-made scripts: what the provider answers."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agentcache.errors import OptionError
from agentcache.loopback.instances import instance
from agentcache.loopback.values import Answer, Script, ToolCall, Turn
from agentcache.loopback.wire import dumps

__all__ = ["agent", "by_text", "echo", "scripted"]

_ONLY: Final = re.compile(r"You may call only these tools: ([^.]*)\.")
_NONE: Final = "You have no tools in this conversation."


def echo(turn: Turn) -> Answer:
    """Answer with a short text made of the last user text; obey schemas and forced tools."""
    return _required(turn) or Answer(f"Echo: {' '.join(turn.user.split())[:80]}")


def agent(turn: Turn) -> Answer:
    """Call the first tool it may once, with minimal arguments, then give a final text.

    As a good model does, it keeps to the tools that its prompt lists ("You may call only these
    tools: `a`, `b`." or that it has none), in that order. A user text right after a tool result (as
    CrewAI appends) belongs to the same loop.
    """
    mine = _listed_tools(turn)
    if mine and not turn.tool_results and turn.forced_tool is None:
        return Answer(tool_calls=(_call(turn, mine[0]),))
    required = _required(turn)
    if required is not None:
        return required
    if turn.tool_results:
        seen = " ".join(turn.tool_results[-1].text.split())[:80]
        return Answer(f"Final Answer: done with {len(turn.tool_results)} tool result(s): {seen}")
    return Answer(f"Final Answer: {' '.join(turn.user.split())[:80]}")


def _listed_tools(turn: Turn) -> Sequence[str]:
    whole = "\n".join(said.text for said in turn.texts)
    told = _ONLY.findall(whole)
    if not told and _NONE in whole:
        return ()
    if not told:
        return turn.callable_tools
    return [n for n in re.findall(r"`([^`]+)`", told[-1]) if n in turn.callable_tools]


def _required(turn: Turn) -> Answer | None:
    """Answer what the request leaves no choice about."""
    if turn.forced_tool is not None and turn.callable_tools:
        any_of = _listed_tools(turn) or turn.callable_tools
        return Answer(tool_calls=(_call(turn, turn.forced_tool or any_of[0]),))
    if turn.response_schema is not None:
        return Answer(dumps(instance(turn.response_schema)))
    return None


def _call(turn: Turn, name: str) -> ToolCall:
    tool = turn.tool(name)
    schema = tool.schema if tool else dict[str, Any]()
    return ToolCall(name, instance({"type": "object", **schema}))


def scripted(answers: Sequence[Answer | str]) -> Script:
    """Give these answers in order, one per request; a str is an answer of that text.

    The request after the last answer is refused with HTTP 400 and says so.
    """
    following = _in_order(answers, "scripted([...])")
    return lambda _turn: following()


def by_text(
    answers: Mapping[str, Answer | str | Sequence[Answer | str]], *, default: Script = echo
) -> Script:
    """Choose the answer by a text that the request contains: for agents that run in parallel.

    Where several are found the one that stands last in the system and user texts wins (a
    fork says who it is at its end), then the longer one; tool and assistant texts are
    searched only when those hold none. A sequence is given in order, per text. A request
    with none of them goes to `default`.
    """
    following = {
        text: _in_order(_listed(given), f"by_text[{text!r}]", repeat=not _is_sequence(given))
        for text, given in answers.items()
    }

    def script(turn: Turn) -> Answer:
        asked = "\n".join(said.text for said in turn.texts if said.role in ("system", "user"))
        whole = "\n".join(said.text for said in turn.texts)
        for text in (asked, whole):
            found = [key for key in following if key in text]
            if found:
                last = max(found, key=lambda key: (text.rfind(key) + len(key), len(key)))
                return following[last]()
        return default(turn)

    return script


def _is_sequence(given: Answer | str | Sequence[Answer | str]) -> bool:
    return not isinstance(given, Answer | str)


def _listed(given: Answer | str | Sequence[Answer | str]) -> Sequence[Answer | str]:
    return [given] if isinstance(given, Answer | str) else given


def _in_order(
    answers: Sequence[Answer | str], name: str, *, repeat: bool = False
) -> Callable[[], Answer]:
    whole = [Answer(each) if isinstance(each, str) else each for each in answers]
    lock, used = threading.Lock(), iter(range(len(whole)))

    def following() -> Answer:
        if repeat:
            return whole[0]
        with lock:
            at = next(used, None)
        if at is None:
            raise OptionError(
                f"{name} has no answer left: it holds {len(whole)} and one more request came. "
                "Give it one answer per request."
            )
        return whole[at]

    return following
