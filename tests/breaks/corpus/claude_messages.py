"""Anthropic Messages: messages and blocks that came, went or were replaced, and images."""

from .claude import code, desk, text
from .editing import Json, add, cut, edit, put
from .pair import Expect, Pair
from .pictures import CHAIR_PNG, CRACK_PNG, CRACK_PNG_AGAIN
from .talks import DESK_TALK

WAS, NOW, LATER = desk(5), desk(9), desk(12)
FULL, FULLER = code(15), code(19)
THOUGHT = {
    "model": "claude-sonnet-4-6",
    "thoughts": True,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}
CLEARED = "[Old tool result content cleared]"
STATE = {"role": "system", "content": [text("The customer has opened the page of the order.")]}
SUMMARY = (
    "This session continues an earlier one. Summary: closing a month must be refused while an "
    "earlier one is open; close_period now raises OrderError, a test for December exists, the "
    "errors module is next."
)


def _pair(name: str, before: Json, after: Json, expect: Expect) -> Pair:
    return Pair(f"anthropic: {name}", "anthropic.messages", before, after, expect)


def _slid(request: Json, first: int, *ahead: Json) -> Json:
    """What stands ahead, and the messages from this one on."""
    return put(request, "messages", value=[*ahead, *request["messages"][first:]])


def _image(data: str) -> Json:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def _photo(upto: int, *images: str) -> Json:
    """The conversation, its first message with photos."""
    blocks = [text(DESK_TALK[0][0]), *map(_image, images)]
    return put(desk(upto), "messages", 0, "content", value=blocks)


def _ids(request: Json, new: str) -> Json:
    """The first call and its result under another id."""
    out = put(request, "messages", 1, "content", 0, "id", value=new)
    assert "tool_use_id" in out["messages"][2]["content"][0]
    return put(out, "messages", 2, "content", 0, "tool_use_id", value=new)


def _result(request: Json, n: int, value: object) -> Json:
    """The result in a message replaced."""
    return put(request, "messages", n, "content", 0, "content", value=value)


def _shown(upto: int, *order: int) -> Json:
    """The conversation behind examples, which stand in this order."""
    shots = [
        ("Is this urgent? My lamp smokes.", "safety"),
        ("Where is my parcel?", "carriers"),
        ("I will call my lawyer.", "legal"),
    ]
    said: list[Json] = []
    for question, queue in (shots[n] for n in order):
        said.append({"role": "user", "content": [text(question)]})
        said.append({"role": "assistant", "content": [text(queue)]})
    return put(desk(upto), "messages", value=[*said, *desk(upto)["messages"]])


def _screens(upto: int, *kept: bool) -> Json:
    """A loop whose first two results are screenshots, or say that there was one."""
    out = code(upto)
    for n, here in zip((2, 4), kept, strict=True):
        shot = _image(CHAIR_PNG if n == 2 else CRACK_PNG)
        out = _result(out, n, [shot if here else text("[screenshot removed]")])
    return out


PAIRS = (
    _pair(
        "a system message was inserted in the middle",
        desk(9, model="claude-opus-5"),
        add(desk(12, model="claude-opus-5"), "messages", 5, value=STATE),
        Expect("message_inserted", "messages", "messages[5]", relation="follows"),
    ),
    _pair(
        "a turn was inserted that another process had stored late",
        NOW,
        add(
            add(
                LATER,
                *("messages", 5),
                value={"role": "assistant", "content": [text("Noted, one moment.")]},
            ),
            *("messages", 6),
            value={"role": "user", "content": [text("And please hurry.")]},
        ),
        Expect("message_inserted", "messages", "messages[5]", relation="follows"),
    ),
    _pair(
        "a failed call and its result were dropped",
        FULL,
        cut(cut(FULLER, "messages", 15), "messages", 15),
        Expect("message_dropped", "messages", "messages[15]", relation="follows"),
    ),
    _pair(
        "the thinking in front of a call was stripped",
        desk(5, **THOUGHT),
        cut(desk(9, **THOUGHT), "messages", 1, "content", 0),
        Expect("message_dropped", "messages", "messages[1].content[0]", relation="follows"),
    ),
    _pair(
        "all thinking was stripped from what the assistant had said",
        desk(9, **THOUGHT),
        cut(cut(desk(12, **THOUGHT), "messages", 5, "content", 0), "messages", 1, "content", 0),
        Expect("message_dropped", "messages", "messages[1].content[0]", relation="follows"),
    ),
    _pair(
        "the window slid by a turn, as it did before",
        _slid(NOW, 4),
        _slid(LATER, 8),
        Expect("window_slid", "messages", "messages[0]", relation="follows"),
    ),
    _pair(
        "the window slid over a conversation of the service agent",
        desk(9),
        _slid(desk(12), 4),
        Expect("window_slid", "messages", "messages[0]", relation="follows"),
    ),
    _pair(
        "old messages were replaced by a summary",
        FULL,
        _slid(FULLER, 25, {"role": "user", "content": [text(SUMMARY)]}),
        Expect("compaction", "messages", "messages[0]", relation="follows"),
    ),
    _pair(
        "the provider's compaction block stands for the old messages",
        FULL,
        _slid(
            FULLER,
            34,
            {"role": "assistant", "content": [{"type": "compaction", "content": SUMMARY}]},
        ),
        Expect("compaction", "messages", "messages[0]", relation="follows"),
    ),
    _pair(
        "old results were replaced by placeholders",
        code(15),
        _result(_result(_result(code(16), 2, CLEARED), 4, CLEARED), 6, CLEARED),
        Expect("compaction", "messages", "messages[2]", relation="follows"),
    ),
    _pair(
        "old screenshots were replaced by placeholders",
        _screens(9, True, True),
        _screens(10, False, False),
        Expect("compaction", "messages", "messages[2]", relation="follows"),
    ),
    _pair(
        "a result was truncated",
        code(9),
        edit(
            code(10),
            *("messages", 8, "content", 0, "content"),
            old="75\t    period = books.period(entry.month)\n76\t    if period.closed:\n"
            "77\t        raise ClosedError(entry.month)",
            new="[3 lines truncated]",
        ),
        Expect(
            "tool_result_replaced",
            "messages",
            "messages[8].content[0].content",
            offset=113,
            relation="follows",
        ),
    ),
    _pair(
        "a call was run again and failed this time",
        NOW,
        _result(LATER, 2, "Error: the shop's database does not answer (timeout)."),
        Expect(
            "tool_result_replaced",
            "messages",
            "messages[2].content[0].content",
            offset=0,
            relation="follows",
        ),
    ),
    _pair(
        "the ids of a call and its result were generated anew",
        WAS,
        _ids(NOW, "toolu_01XkW9bQ2vTnR7"),
        Expect(
            "tool_call_id", "messages", "messages[1].content[0].id", offset=8, relation="follows"
        ),
    ),
    _pair(
        "the ids were generated anew and the result says something else: the id comes first",
        NOW,
        _result(_ids(LATER, "toolu_01XkW9bQ2vTnR7"), 2, "Error: timeout."),
        Expect("tool_call_id", "messages", "messages[1].content[0].id", relation="follows"),
    ),
    _pair(
        "examples among the messages were shuffled",
        _shown(5, 0, 1, 2),
        _shown(9, 1, 0, 2),
        Expect("order", "messages", "messages[0]", relation="follows"),
    ),
    _pair(
        "an image was added to an old message",
        _photo(5, CRACK_PNG),
        _photo(9, CRACK_PNG, CHAIR_PNG),
        Expect(
            "image_added",
            "messages",
            "messages[0].content[2]",
            relation="follows",
            level="messages",
        ),
    ),
    _pair(
        "an image was encoded again",
        _photo(5, CRACK_PNG),
        _photo(9, CRACK_PNG_AGAIN),
        Expect("image_changed", "messages", "messages[0].content[1]", relation="follows"),
    ),
    _pair(
        "an image became another one",
        _photo(5, CRACK_PNG, CHAIR_PNG),
        _photo(9, CRACK_PNG, CRACK_PNG),
        Expect("image_changed", "messages", "messages[0].content[2]", relation="follows"),
    ),
    _pair(
        "a user's message was edited and an image too: the message comes first",
        _photo(5, CRACK_PNG),
        edit(
            _photo(9, CRACK_PNG_AGAIN),
            *("messages", 0, "content", 0, "text"),
            old="Hello, I ordered",
            new="Hi! I ordered",
        ),
        Expect(
            "message_edited",
            "messages",
            "messages[0].content[0].text",
            offset=1,
            relation="follows",
        ),
    ),
)
