"""Chat Completions: time, usage, and agents that share nothing."""

from typing import Any

from .chat import crew, desk, fork, tail, trunk
from .editing import cut
from .pair import Expect, Pair
from .prose_code import PERSONA_ANALYST, PERSONA_RESEARCHER, PERSONA_WRITER
from .prose_desk import SUPPORT
from .toolbox import Json

TASK = "Estimate what returns cost in full, per item, with a range."
SHORT = "You answer customers of Harbor & Pine."


def _turns(name: str, expect: Expect, *, model: str = "gpt-4.1-mini", **options: Any) -> Pair:
    """The next turn of the conversation; nothing in it differs."""
    before, after = desk(5, model=model), desk(9, model=model)
    return Pair(f"chat: {name}", "openai.chat", before, after, expect, options)


def _fork(name: str, persona: str) -> Json:
    """A fork of one marked parent that is asked once."""
    said = [*trunk(marked=True), tail(name, persona, TASK)]
    return fork(said, prompt_cache_options={"mode": "explicit"})


def used(total: int, cached: int, written: int | None = None) -> Json:
    details = {"cached_tokens": cached, "audio_tokens": 0}
    if written is not None:
        details["cache_write_tokens"] = written
    return {
        "prompt_tokens": total,
        "completion_tokens": 96,
        "total_tokens": total + 96,
        "prompt_tokens_details": details,
    }


PAIRS = (
    _turns(
        "idle for three hours where entries live thirty minutes",
        Expect("ttl_expired", "time", relation="follows"),
        model="gpt-6-luna",
        idle_s=10800,
    ),
    _turns(
        "idle for more than a day, longer than any entry lives",
        Expect("ttl_expired", "time", relation="follows"),
        idle_s=90000,
    ),
    Pair(
        "chat: two forks sent at once, both wrote the trunk",
        "openai.chat",
        _fork("researcher", PERSONA_RESEARCHER),
        _fork("writer", PERSONA_WRITER),
        Expect("concurrent_cold", "time", relation="sibling"),
        {"idle_s": 0.1, "before_usage": used(3284, 0, 3140), "after_usage": used(3279, 0, 3140)},
    ),
    _turns(
        "nothing changed, yet nothing was read thirty seconds later",
        Expect("evicted", "usage", relation="follows"),
        idle_s=30,
        before_usage=used(2570, 0),
        after_usage=used(2934, 0),
    ),
    _turns(
        "evicted where the writes are counted",
        Expect("evicted", "usage", relation="follows"),
        model="gpt-6-luna",
        idle_s=45,
        before_usage=used(2570, 0, 2561),
        after_usage=used(2934, 0, 2925),
    ),
    _turns(
        "vLLM without --enable-prompt-tokens-details says nothing",
        Expect("usage_unreported", "usage", relation="follows"),
        model="Qwen/Qwen3-32B",
        provider="vllm",
        before_usage={"prompt_tokens": 2570, "completion_tokens": 61, "total_tokens": 2631},
        after_usage={
            "prompt_tokens": 2934,
            "completion_tokens": 38,
            "total_tokens": 2972,
            "prompt_tokens_details": None,
        },
    ),
    Pair(
        "chat: a new time, and usage says nothing: the time is the cause",
        "openai.chat",
        desk(5, model="Qwen/Qwen3-32B", system=f"{SUPPORT}\n\nNow: 09:14:07"),
        desk(9, model="Qwen/Qwen3-32B", system=f"{SUPPORT}\n\nNow: 09:15:30"),
        Expect("timestamp", "system", "messages[0].content", offset=5496, relation="follows"),
        {
            "provider": "vllm",
            "after_usage": {"prompt_tokens": 2951, "completion_tokens": 38},
        },
    ),
    Pair(
        "chat: a prompt too short to be cached",
        "openai.chat",
        cut(desk(3, system=SHORT), "tools"),
        cut(desk(5, system=SHORT), "tools"),
        Expect("below_minimum", "usage", relation="follows"),
        {"idle_s": 12, "before_usage": used(263, 0), "after_usage": used(341, 0)},
    ),
    Pair(
        "chat: two agents of a crew that nobody forked",
        "openai.chat",
        crew(PERSONA_RESEARCHER, "Collect what is known about shops of web-only competitors."),
        crew(PERSONA_ANALYST, "Compare both investments over seven years."),
        Expect("text_edit", "system", "messages[0].content", offset=8, relation="replaces"),
    ),
    Pair(
        "chat: two assistants of a group chat that nobody forked",
        "openai.chat",
        crew(
            "You are a helpful AI assistant named planner. You break tasks down and never solve "
            "them.",
            "Plan the work.",
            model="gpt-6-luna",
        ),
        crew(
            "You are a helpful AI assistant named critic. You look for what is missing or wrong.",
            "Plan the work.",
            model="gpt-6-luna",
        ),
        Expect("text_edit", "system", "messages[0].content", offset=37, relation="replaces"),
    ),
)
