"""Chat Completions: branches and forks that are healthy."""

from typing import Any

from .chat import allowed, code, desk, fork, tail, trunk
from .editing import edit, put
from .pair import Pair
from .prose_code import PERSONA_ANALYST, PERSONA_RESEARCHER, PERSONA_WRITER
from .toolbox import Json

TASK = "Say what the board should know about returns."
ONCE = {"prompt_cache_options": {"mode": "explicit"}}
RESEARCHER = tail("researcher", PERSONA_RESEARCHER, TASK)
ANALYST = tail("analyst", PERSONA_ANALYST, TASK)
WRITER = tail("writer", PERSONA_WRITER, TASK)
MARKED, PLAIN = trunk(marked=True), trunk(marked=False)
LOOP = code(7)["messages"][2:]
"""Five calls and their results, as one fork's own loop."""


def _quiet(name: str, before: Json, after: Json, **options: Any) -> Pair:
    return Pair(f"chat: {name}", "openai.chat", before, after, None, options)


def _asked(text: str, model: str = "gpt-4.1-mini") -> Json:
    return put(desk(9, model=model), "messages", 10, "content", value=text)


def _one_message(name: str, persona: str) -> Json:
    """The trunk and the tail as parts of one user message."""
    told, shared = MARKED
    content = [*shared["content"], *tail(name, persona, TASK)["content"]]
    return fork([told, {"role": "user", "content": content}], **ONCE)


def _dated(day: str) -> Json:
    """The analyst's fork; its own tail says what day it is."""
    return fork([*MARKED, tail("analyst", f"{PERSONA_ANALYST}\nToday: {day}", TASK)], **ONCE)


PAIRS = (
    _quiet("another last question", _asked("And the floor lamp?"), _asked("Is it in stock?")),
    _quiet(
        "the last message was extended",
        desk(9),
        edit(desk(9), "messages", 10, "content", old="second one.", new="second one. In oak."),
    ),
    _quiet(
        "the user went back to an earlier message and asked otherwise",
        desk(12),
        edit(desk(5), "messages", 5, "content", old="The refund", new="The new shade"),
    ),
    _quiet(
        "forks of one marked parent",
        fork([*MARKED, RESEARCHER], **ONCE),
        fork([*MARKED, ANALYST], **ONCE),
    ),
    _quiet(
        "forks that may call different tools",
        fork([*MARKED, RESEARCHER], **ONCE, tool_choice=allowed("grep", "read_file")),
        fork([*MARKED, WRITER], **ONCE, tool_choice=allowed("edit_file")),
    ),
    _quiet(
        "a fork without tools beside one with all of them",
        fork([*MARKED, RESEARCHER], **ONCE, tool_choice="auto"),
        fork([*MARKED, WRITER], **ONCE, tool_choice="none"),
    ),
    _quiet(
        "forks at GPT-4.1, which needs no marks",
        fork([*PLAIN, RESEARCHER], model="gpt-4.1-mini"),
        fork([*PLAIN, ANALYST], model="gpt-4.1-mini"),
    ),
    _quiet(
        "forks at vLLM",
        fork([*PLAIN, RESEARCHER], model="Qwen/Qwen3-32B"),
        fork([*PLAIN, ANALYST], model="Qwen/Qwen3-32B"),
        provider="vllm",
    ),
    _quiet(
        "a fork that loops beside one that is asked once",
        fork([*MARKED, RESEARCHER, *LOOP]),
        fork([*MARKED, WRITER], **ONCE),
    ),
    _quiet(
        "a fork's own loop goes on",
        fork([*MARKED, RESEARCHER, *LOOP[:4]]),
        fork([*MARKED, RESEARCHER, *LOOP]),
    ),
    _quiet("the parent itself, then a fork", fork(MARKED), fork([*MARKED, ANALYST])),
    _quiet(
        "the tail is a part of the trunk's message, behind the mark",
        _one_message("researcher", PERSONA_RESEARCHER),
        _one_message("writer", PERSONA_WRITER),
    ),
    _quiet(
        "a date in the tail of a fork that is asked once",
        _dated("2026-11-23"),
        _dated("2026-11-24"),
    ),
)
