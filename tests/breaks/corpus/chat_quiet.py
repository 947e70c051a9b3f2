"""Chat Completions: pairs that are healthy; a word about any of them is a false alarm."""

from typing import Any

from .chat import code, desk
from .chat_marks import marked
from .chat_usage import used
from .editing import cut, pick, put, within
from .pair import Pair
from .pictures import CRACK
from .toolbox import Json


def _quiet(name: str, before: Json, after: Json, **options: Any) -> Pair:
    return Pair(f"chat: {name}", "openai.chat", before, after, None, options)


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

PAIRS = (*GROWTH, *FREE, *CONFIRMED)
