"""Anthropic Messages: time, usage, and agents that share nothing."""

from typing import Any

from .claude import HOUR, crew, desk, fork, tail, told
from .editing import Json, put, within
from .pair import Expect, Pair
from .prose_code import PERSONA_ANALYST, PERSONA_RESEARCHER, PERSONA_WRITER
from .prose_desk import SUPPORT

TASK = "Estimate what returns cost in full, per item, with a range."


def used(fresh: int, read: int, written: int) -> Json:
    """What the provider reports of a call."""
    return {
        "input_tokens": fresh,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 96,
    }


def unmarked(request: Json) -> Json:
    """The request without any mark."""
    out = put(request, "system", value=SUPPORT)
    last = dict(out["messages"][-1]["content"][-1])
    del last["cache_control"]
    return put(out, "messages", -1, "content", -1, value=last)


def _turns(name: str, expect: Expect, *, mark: Json | None = None, **options: Any) -> Pair:
    """The next turn of the conversation; nothing in it differs."""
    more = {} if mark is None else {"mark": mark}
    before, after = desk(5, **more), desk(9, **more)
    return Pair(f"anthropic: {name}", "anthropic.messages", before, after, expect, options)


def _at_haiku(request: Json) -> Json:
    """The request at a model whose minimum is 4,096 tokens, and without tools."""
    out = within(request, model="claude-haiku-4-5")
    del out["tools"]
    return out


PAIRS = (
    _turns(
        "idle for six minutes where entries live five",
        Expect("ttl_expired", "time", relation="follows"),
        idle_s=360,
    ),
    _turns(
        "idle for six minutes, and usage says that all was written again",
        Expect("ttl_expired", "time", relation="follows"),
        idle_s=372,
        before_usage=used(9, 0, 2570),
        after_usage=used(9, 0, 2967),
    ),
    _turns(
        "idle for more than an hour where entries live one",
        Expect("ttl_expired", "time", relation="follows"),
        mark=HOUR,
        idle_s=4000,
    ),
    Pair(
        "anthropic: idle for six minutes: the system prompt lives an hour, the messages do not",
        "anthropic.messages",
        desk(5, system=told(SUPPORT, mark=HOUR)),
        desk(9, system=told(SUPPORT, mark=HOUR)),
        Expect("ttl_expired", "time", relation="follows", level="messages"),
        {"idle_s": 360},
    ),
    Pair(
        "anthropic: two forks sent at once, both wrote the trunk",
        "anthropic.messages",
        fork([tail("researcher", PERSONA_RESEARCHER, TASK)]),
        fork([tail("writer", PERSONA_WRITER, TASK)]),
        Expect("concurrent_cold", "time", relation="sibling"),
        {"idle_s": 0.2, "before_usage": used(96, 0, 3140), "after_usage": used(92, 0, 3140)},
    ),
    _turns(
        "nothing changed, yet nothing was read forty seconds later",
        Expect("evicted", "usage", relation="follows"),
        idle_s=40,
        before_usage=used(9, 0, 2570),
        after_usage=used(9, 0, 2967),
    ),
    _turns(
        "a server that reports no cached tokens",
        Expect("usage_unreported", "usage", relation="follows"),
        idle_s=20,
        before_usage={"input_tokens": 2579, "output_tokens": 61},
        after_usage={"input_tokens": 2976, "output_tokens": 58},
    ),
    Pair(
        "anthropic: a prompt below the minimum of this model",
        "anthropic.messages",
        _at_haiku(desk(5)),
        _at_haiku(desk(9)),
        Expect("below_minimum", "usage", relation="follows"),
        {"idle_s": 15, "before_usage": used(1720, 0, 0), "after_usage": used(2128, 0, 0)},
    ),
    Pair(
        "anthropic: nothing is marked, and usage says that nothing was read",
        "anthropic.messages",
        unmarked(desk(5)),
        unmarked(desk(9)),
        Expect("mark_missing", "marks", relation="follows"),
        {"idle_s": 15, "before_usage": used(2579, 0, 0), "after_usage": used(2976, 0, 0)},
    ),
    Pair(
        "anthropic: two agents of a crew that nobody forked",
        "anthropic.messages",
        crew(PERSONA_RESEARCHER, "Collect what is known about shops of web-only competitors."),
        crew(PERSONA_ANALYST, "Compare both investments over seven years."),
        Expect("text_edit", "system", "system[0].text", offset=8, relation="replaces"),
    ),
    Pair(
        "anthropic: two nodes of a graph that nobody forked",
        "anthropic.messages",
        within(crew(PERSONA_ANALYST, "Check the table."), system=PERSONA_ANALYST),
        within(crew(PERSONA_WRITER, "Write the table up."), system=PERSONA_WRITER),
        Expect("text_edit", "system", "system", offset=8, relation="replaces"),
    ),
)
