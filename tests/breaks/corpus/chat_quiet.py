"""Chat Completions: pairs that are healthy; a word about any of them is a false alarm."""

from typing import Any

from .chat import allowed, code, desk, fork, tail, trunk
from .chat_marks import marked
from .chat_usage import used
from .editing import cut, edit, pick, put, within
from .pair import Pair
from .pictures import CRACK
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


def _swapped(upto: int) -> Json:
    """The conversation in which the second of two parallel calls came back first."""
    order = (0, 1, 2, 3, 4, 5, 6, 8, 7, 9, 10, 11, 12, 13, 14)
    said = desk(upto)["messages"]
    return pick(desk(upto), "messages", order=order[: len(said)])


GROWTH = (
    _quiet("the same request again", desk(9), desk(9)),
    _quiet(
        "the same request again, where only marks are read",
        desk(9, model="gpt-6-luna"),
        desk(9, model="gpt-6-luna"),
    ),
    _quiet("the conversation goes on", desk(5), desk(9)),
    _quiet(
        "the conversation goes on at GPT-6, which marks the latest message itself",
        desk(5, model="gpt-6-luna"),
        desk(9, model="gpt-6-luna"),
    ),
    _quiet("a call came back with its result", desk(9), desk(10)),
    _quiet(
        "a loop of tools goes on after thirty messages",
        code(16, model="gpt-5.6-luna"),
        code(17, model="gpt-5.6-luna"),
    ),
    _quiet("three steps of a loop at once", code(10), code(13)),
    _quiet(
        "DeepSeek: the conversation goes on",
        desk(9, model="deepseek-flash"),
        desk(12, model="deepseek-flash"),
    ),
    _quiet(
        "Gemini over Chat Completions: a long loop goes on",
        code(17, model="gemini-2.5-flash"),
        code(19, model="gemini-2.5-flash"),
    ),
    _quiet(
        "vLLM: the conversation goes on",
        desk(5, model="Qwen/Qwen3-32B"),
        desk(9, model="Qwen/Qwen3-32B"),
        provider="vllm",
    ),
    _quiet("parallel results in the order in which they came back", _swapped(9), _swapped(12)),
    _quiet(
        "the next message brings an image",
        desk(5),
        put(
            desk(9),
            "messages",
            10,
            "content",
            value=[
                {"type": "text", "text": "And this one?"},
                {"type": "image_url", "image_url": {"url": CRACK}},
            ],
        ),
    ),
    _quiet(
        "a short conversation goes on",
        cut(desk(3, system="Be brief."), "tools"),
        cut(desk(5, system="Be brief."), "tools"),
    ),
    _quiet(
        "marks roll forward",
        marked(desk(5, model="gpt-6-luna"), 1, 5),
        marked(desk(9, model="gpt-6-luna"), 1, 5, 10),
    ),
)

BRANCHES = (
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

FREE = (
    _quiet(
        "sampling",
        desk(5, temperature=0.7, top_p=1, seed=7),
        desk(9, temperature=0.0, top_p=0.9, seed=8),
    ),
    _quiet(
        "limits, stop words and log probabilities",
        desk(5, max_tokens=400, n=1),
        desk(9, max_tokens=1200, n=2, stop=["\n\n"], logprobs=True, top_logprobs=3),
    ),
    _quiet(
        "bookkeeping",
        desk(5, model="gpt-6-luna", metadata={"run": "81"}, user="u-1", store=False),
        desk(9, model="gpt-6-luna", metadata={"run": "82"}, user="u-2", store=True),
    ),
    _quiet(
        "streaming",
        desk(5, stream=False),
        desk(9, stream=True, stream_options={"include_usage": True}),
    ),
    _quiet(
        "another output schema at vLLM, where it does not render",
        desk(5, model="Qwen/Qwen3-32B", response_format={"type": "text"}),
        desk(9, model="Qwen/Qwen3-32B", response_format={"type": "json_object"}),
        provider="vllm",
    ),
    _quiet(
        "headers of the transport",
        within(desk(5), extra_headers={"x-request-id": "a1", "x-stainless-retry-count": "0"}),
        within(desk(9), extra_headers={"x-request-id": "b2", "x-stainless-retry-count": "1"}),
    ),
    _quiet(
        "the request's own keys in another order",
        desk(5),
        {key: desk(9)[key] for key in ("tools", "messages", "model")},
    ),
)

CONFIRMED = (
    _quiet(
        "idle for twenty minutes where entries live thirty",
        desk(5, model="gpt-6-luna"),
        desk(9, model="gpt-6-luna"),
        idle_s=1200,
    ),
    _quiet(
        "idle for ten minutes at DeepSeek, which keeps entries for hours",
        desk(5, model="deepseek-flash"),
        desk(9, model="deepseek-flash"),
        idle_s=600,
    ),
    _quiet(
        "usage reads what the turn before left, rounded down to 128",
        desk(5),
        desk(9),
        idle_s=20,
        before_usage=used(2570, 0),
        after_usage=used(2934, 2560),
    ),
    _quiet(
        "the first turn wrote and the second read",
        desk(5, model="gpt-6-luna"),
        desk(9, model="gpt-6-luna"),
        idle_s=20,
        before_usage=used(2570, 0, 2561),
        after_usage=used(2934, 2561, 364),
    ),
    _quiet(
        "DeepSeek's own fields say that it was read",
        desk(5, model="deepseek-flash"),
        desk(9, model="deepseek-flash"),
        after_usage={
            "prompt_tokens": 2934,
            "completion_tokens": 44,
            "prompt_cache_hit_tokens": 2560,
            "prompt_cache_miss_tokens": 374,
        },
    ),
    _quiet(
        "only the first turn has a usage",
        desk(5),
        desk(9),
        before_usage=used(2570, 0),
    ),
)

PAIRS = (*GROWTH, *BRANCHES, *FREE, *CONFIRMED)
