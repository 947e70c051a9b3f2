"""Anthropic Messages: branches and forks that are healthy, and changes behind the last mark."""

from typing import Any

from .claude import MARK, desk, fork, messages, rolled, tail, text, told
from .editing import Json, edit, put
from .pair import Pair
from .prose_code import NOTES, PERSONA_ANALYST, PERSONA_RESEARCHER, PERSONA_WRITER
from .prose_desk import SUPPORT
from .talks import CODE_TALK, DESK_TALK

TASK = "Say what the board should know about returns."
RESEARCHER = tail("researcher", PERSONA_RESEARCHER, TASK)
ANALYST = tail("analyst", PERSONA_ANALYST, TASK)
WRITER = tail("writer", PERSONA_WRITER, TASK)
LOOP = messages(CODE_TALK[1:6])


def _quiet(name: str, before: Json, after: Json, **options: Any) -> Pair:
    return Pair(f"anthropic: {name}", "anthropic.messages", before, after, None, options)


def _plain(upto: int) -> Json:
    """The conversation with a mark on its system prompt alone."""
    said = messages(DESK_TALK[:upto])
    return put(desk(upto), "messages", value=said)


def _asked(question: str) -> Json:
    """The conversation with another last question, and marks on this one and the one before."""
    last = [text(question, cache_control=MARK)]
    return put(desk(9, 4), "messages", 8, "content", value=last)


def _one_message(name: str, persona: str) -> Json:
    """The shared notes and the tail in one user message, a mark between them."""
    shared = text(f"<notes>\n{NOTES}\n</notes>", cache_control=MARK)
    own = tail(name, persona, TASK)["content"]
    return fork([{"role": "user", "content": [shared, *own]}])


def _dated(day: str) -> Json:
    """A date behind the only mark there is."""
    return put(_plain(5), "system", value=[*told(SUPPORT), text(f"Date: {day}")])


PAIRS = (
    _quiet("forks of one marked parent", fork([RESEARCHER]), fork([ANALYST])),
    _quiet(
        "a fork that may call no tool",
        fork([RESEARCHER]),
        fork([WRITER], tool_choice={"type": "none"}),
    ),
    _quiet(
        "a fork that must call a tool: only tools and system are shared",
        fork([RESEARCHER], model="claude-sonnet-4-6", tool_choice={"type": "any"}),
        fork([WRITER], model="claude-sonnet-4-6", tool_choice={"type": "auto"}),
    ),
    _quiet(
        "a fork that loops beside one that is asked once",
        fork(rolled([RESEARCHER, *LOOP])),
        fork([WRITER]),
    ),
    _quiet(
        "a fork's own loop goes on",
        fork(rolled([RESEARCHER, *LOOP[:4]])),
        fork(rolled([RESEARCHER, *LOOP])),
    ),
    _quiet(
        "the tail stands in the shared message, behind the mark",
        _one_message("researcher", PERSONA_RESEARCHER),
        _one_message("writer", PERSONA_WRITER),
    ),
    _quiet(
        "another last question, and a mark at the turn before",
        _asked("And the floor lamp?"),
        _asked("Is it in stock?"),
    ),
    _quiet(
        "an old message was edited that nobody had marked",
        _plain(5),
        edit(_plain(9), *("messages", 0, "content", 0, "text"), old="Hello, I", new="I"),
    ),
    _quiet(
        "the window slides and only the system prompt is marked",
        _plain(9),
        put(_plain(12), "messages", value=_plain(12)["messages"][4:]),
    ),
    _quiet("a date behind the only mark", _dated("2026-11-23"), _dated("2026-11-24")),
)
