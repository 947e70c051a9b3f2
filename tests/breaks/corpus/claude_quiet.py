"""Anthropic Messages: pairs that are healthy; a word about any of them is a false alarm."""

from typing import Any

from .claude import HOUR, MARK, code, desk, fork, messages, rolled, tail, text, told, trunk
from .claude_marks import spoken
from .claude_usage import used
from .editing import Json, put, within
from .pair import Pair
from .pictures import CRACK_PNG
from .prose_code import PERSONA_ANALYST, PERSONA_RESEARCHER, PERSONA_WRITER
from .prose_desk import SUPPORT
from .talks import CODE_TALK

TASK = "Say what the board should know about returns."
RESEARCHER = tail("researcher", PERSONA_RESEARCHER, TASK)
ANALYST = tail("analyst", PERSONA_ANALYST, TASK)
WRITER = tail("writer", PERSONA_WRITER, TASK)
LOOP = messages(CODE_TALK[1:6])
THOUGHT = {
    "model": "claude-sonnet-4-6",
    "thoughts": True,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}
PHOTO = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": CRACK_PNG},
}
STATE = {"role": "system", "content": [text("The customer has opened the page of the order.")]}
MORE = {
    "role": "system",
    "content": [
        {
            "type": "tool_addition",
            "tool": {"type": "tool_definition", "definition": {"name": "commit"}},
        }
    ],
}


def _quiet(name: str, before: Json, after: Json, **options: Any) -> Pair:
    return Pair(f"anthropic: {name}", "anthropic.messages", before, after, None, options)


def _behind(request: Json, *more: Json) -> Json:
    return put(request, "messages", value=[*request["messages"], *more])


def _photo(upto: int) -> Json:
    return put(desk(upto), "messages", 0, "content", value=[text("Here it is."), PHOTO])


def _begun(answer: str, *more: Json) -> Json:
    """The conversation, the beginning of its next answer or all of it, and more."""
    begun = {"role": "assistant", "content": [text(answer)]}
    return _behind(desk(5, model="claude-sonnet-4-5"), begun, *more)


GROWTH = (
    _quiet("the same request again", desk(9), desk(9)),
    _quiet("the conversation goes on and its mark rolls forward", desk(5), desk(9)),
    _quiet("a call came back with its result", desk(9), desk(10)),
    _quiet("a loop of tools goes on after thirty messages", code(16), code(17)),
    _quiet("thinking is sent again as it was", desk(5, **THOUGHT), desk(9, **THOUGHT)),
    _quiet("an image stays where it was", _photo(5), _photo(9)),
    _quiet("the mark stays where it was", desk(5, 0), desk(9, 0)),
    _quiet(
        "an answer that had been begun for the model is now there as a whole",
        _begun("The refund is"),
        _begun(
            "The refund is on its way: 12.50 EUR.",
            {"role": "user", "content": [text("Thank you.", cache_control=MARK)]},
        ),
    ),
    _quiet(
        "twenty-four blocks were appended, and the old mark was kept",
        fork(rolled(spoken(2), 4), system=told(SUPPORT)),
        fork(rolled(spoken(8), 4, 16), system=told(SUPPORT)),
    ),
    _quiet(
        "twelve blocks stand in the next message",
        desk(5),
        put(
            desk(9),
            *("messages", 8, "content"),
            value=[
                *(text(f"Question {n}: does part {3000 + n} fit?") for n in range(11)),
                text("Please answer all of them.", cache_control=MARK),
            ],
        ),
    ),
    _quiet(
        "the tools were marked too",
        desk(5),
        put(desk(9), "tools", 4, "cache_control", value=MARK),
    ),
    _quiet(
        "a system message was added behind the prefix",
        desk(5, model="claude-opus-5"),
        _behind(desk(5, model="claude-opus-5"), STATE),
    ),
    _quiet(
        "a tool was added behind the prefix",
        desk(5, model="claude-opus-5"),
        _behind(desk(5, model="claude-opus-5"), MORE),
    ),
    _quiet(
        "the trunk was written before anybody asked",
        fork([{"role": "user", "content": "Wait."}], max_tokens=0),
        fork([ANALYST]),
    ),
)

FREE = (
    _quiet(
        "sampling, limits and stop words",
        desk(5, model="claude-sonnet-4-5", temperature=0.9, top_p=0.9),
        desk(9, model="claude-sonnet-4-5", temperature=0.1, top_k=40, max_tokens=512),
    ),
    _quiet(
        "bookkeeping and streaming",
        desk(5, metadata={"user_id": "u-1"}, stream=False),
        desk(9, metadata={"user_id": "u-2"}, stream=True, stop_sequences=["</answer>"]),
    ),
    _quiet(
        "diagnostics name the message before",
        desk(5, diagnostics={"previous_message_id": None}),
        desk(9, diagnostics={"previous_message_id": "msg_01Hq7vXw"}),
    ),
    _quiet(
        "headers of the transport, the betas being the same",
        within(
            desk(5), extra_headers={"x-request-id": "5", "anthropic-beta": "compact-2026-09-04"}
        ),
        within(
            desk(9), extra_headers={"x-request-id": "6", "anthropic-beta": "compact-2026-09-04"}
        ),
    ),
    _quiet(
        "the request's own keys in another order",
        desk(5),
        {key: desk(9)[key] for key in ("messages", "tools", "system", "model", "max_tokens")},
    ),
)

CONFIRMED = (
    _quiet("idle for four minutes where entries live five", desk(5), desk(9), idle_s=240),
    _quiet(
        "idle for six minutes where entries live an hour",
        desk(5, mark=HOUR),
        desk(9, mark=HOUR),
        idle_s=360,
    ),
    _quiet(
        "forks half an hour apart, the trunk being marked for an hour",
        fork([RESEARCHER], system=trunk(mark=HOUR)),
        fork([ANALYST], system=trunk(mark=HOUR)),
        idle_s=1800,
    ),
    _quiet(
        "the first turn wrote and the second read",
        desk(5),
        desk(9),
        idle_s=25,
        before_usage=used(9, 0, 2570),
        after_usage=used(9, 2570, 397),
    ),
    _quiet(
        "a fork reads the trunk that the other wrote",
        fork([RESEARCHER]),
        fork([ANALYST]),
        idle_s=2,
        before_usage=used(96, 0, 3140),
        after_usage=used(92, 3140, 0),
    ),
    _quiet(
        "idle for six minutes, yet usage says that it was read: somebody had refreshed it",
        desk(5),
        desk(9),
        idle_s=360,
        before_usage=used(9, 0, 2570),
        after_usage=used(9, 2570, 397),
    ),
)

PAIRS = (*GROWTH, *FREE, *CONFIRMED)
