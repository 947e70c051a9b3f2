"""Chat Completions: messages that came, went or were replaced, and images."""

from .chat import code, desk
from .editing import Json, add, both, cut, edit, pick, put
from .pair import Expect, Pair
from .pictures import CHAIR, CRACK, CRACK_AGAIN, SIGNED
from .talks import DESK_TALK

WAS, NOW, LATER = desk(5), desk(9), desk(12)
HELLO = DESK_TALK[0][0]
FULL, FULLER = code(15), code(19)


def _messages(name: str, before: Json, after: Json, expect: Expect, **options: str) -> Pair:
    return Pair(f"chat: {name}", "openai.chat", before, after, expect, options)


def _slid(request: Json, first: int) -> Json:
    """The system prompt and the messages from this one on."""
    said = request["messages"]
    return put(request, "messages", value=[said[0], *said[first:]])


def _photo(upto: int, *images: Json) -> Json:
    """The conversation, its first message with photos."""
    parts = [{"type": "text", "text": HELLO}, *images]
    return put(desk(upto, model="gpt-4o-mini"), "messages", 1, "content", value=parts)


def _image(url: str, detail: str = "auto") -> Json:
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def _ids(request: Json, called: tuple[int, int], result: tuple[int, str], new: str) -> Json:
    """A call and its result under another id."""
    message, at = called
    out = put(request, "messages", message, "tool_calls", at, "id", value=new)
    assert out["messages"][result[0]]["tool_call_id"] == result[1]
    return put(out, "messages", result[0], "tool_call_id", value=new)


STATE = {"role": "system", "content": "The customer has opened the page of order 48-20713."}
SUMMARY = {
    "role": "user",
    "content": (
        "Summary of the conversation so far: the user wants closing a month to be refused while an "
        "earlier one is open. close_period is in periods.py and raises ClosedError if the month is "
        "closed; posting.py uses the same error; a test for December was added and fails."
    ),
}
SHOTS = [
    {"role": "user", "content": "Is this urgent? My lamp smokes."},
    {"role": "assistant", "content": '{"queue": "safety"}'},
    {"role": "user", "content": "Where is my parcel?"},
    {"role": "assistant", "content": '{"queue": "carriers"}'},
    {"role": "user", "content": "I will call my lawyer."},
    {"role": "assistant", "content": '{"queue": "legal"}'},
]


def _shown(upto: int, *pairs: int) -> Json:
    """The conversation behind examples, which stand in this order."""
    shots = [m for n in pairs for m in SHOTS[2 * n : 2 * n + 2]]
    said = desk(upto)["messages"]
    return put(desk(upto), "messages", value=[said[0], *shots, *said[1:]])


CLEARED = "[Old tool result content cleared]"

PAIRS = (
    _messages(
        "a system message was inserted in the middle",
        WAS,
        add(NOW, "messages", 4, value=STATE),
        Expect("message_inserted", "messages", "messages[4]", relation="follows"),
    ),
    _messages(
        "a note was inserted before an old user message",
        desk(9, model="gpt-6-luna"),
        add(
            desk(12, model="gpt-6-luna"),
            *("messages", 5),
            value={"role": "user", "content": "<note>The customer is on the telephone.</note>"},
        ),
        Expect("message_inserted", "messages", "messages[5]", relation="follows"),
    ),
    _messages(
        "a failed call and its result were dropped",
        FULL,
        cut(cut(FULLER, "messages", 16), "messages", 16),
        Expect("message_dropped", "messages", "messages[16]", relation="follows"),
    ),
    _messages(
        "what the assistant said was dropped",
        NOW,
        cut(LATER, "messages", 4),
        Expect("message_dropped", "messages", "messages[4]", relation="follows"),
    ),
    _messages(
        "the window slid by one step",
        FULL,
        _slid(FULLER, 4),
        Expect("window_slid", "messages", "messages[1]", relation="follows"),
    ),
    _messages(
        "the window slid by six steps",
        code(15, model="gpt-5.6-luna"),
        _slid(code(16, model="gpt-5.6-luna"), 14),
        Expect("window_slid", "messages", "messages[1]", relation="follows"),
    ),
    _messages(
        "old messages were replaced by a summary",
        FULL,
        add(_slid(FULLER, 24), "messages", 1, value=SUMMARY),
        Expect("compaction", "messages", "messages[1]", relation="follows"),
    ),
    _messages(
        "old tool results were replaced by placeholders",
        code(15, model="gpt-6-luna"),
        put(
            put(
                put(code(16, model="gpt-6-luna"), "messages", 3, "content", value=CLEARED),
                *("messages", 5, "content"),
                value=CLEARED,
            ),
            *("messages", 7, "content"),
            value=CLEARED,
        ),
        Expect("compaction", "messages", "messages[3]", relation="follows"),
    ),
    _messages(
        "a tool result was truncated",
        code(6),
        edit(
            code(7),
            *("messages", 9, "content"),
            old="        raise PostedError(entry.id)\n75\t    period = books.period(entry.month)\n"
            "76\t    if period.closed:\n77\t        raise ClosedError(entry.month)",
            new="... [truncated, 151 characters]",
        ),
        Expect(
            "tool_result_replaced",
            "messages",
            "messages[9].content",
            offset=77,
            relation="follows",
        ),
    ),
    _messages(
        "a tool result was read again and says something else",
        NOW,
        edit(
            LATER,
            "messages",
            3,
            "content",
            old='"scans":["left Leipzig","delivered"]',
            new='"scans":["returned to sender"]',
        ),
        Expect(
            "tool_result_replaced",
            "messages",
            "messages[3].content",
            offset=213,
            relation="follows",
        ),
    ),
    _messages(
        "a number in a tool result is written otherwise",
        NOW,
        edit(LATER, "messages", 8, "content", old='"amount":12.5,', new='"amount":12.50,'),
        Expect(
            "tool_result_replaced",
            "messages",
            "messages[8].content",
            offset=33,
            relation="follows",
        ),
    ),
    _messages(
        "the ids of a call and its result were generated anew",
        WAS,
        _ids(NOW, (2, 0), (3, "call_8fTq2mWc1ZpLr0"), "call_Rr4kVb9sTn2QyE"),
        Expect(
            "tool_call_id",
            "messages",
            "messages[2].tool_calls[0].id",
            offset=5,
            relation="follows",
        ),
    ),
    _messages(
        "the ids were generated anew and the result says something else: the id comes first",
        NOW,
        edit(
            _ids(LATER, (2, 0), (3, "call_8fTq2mWc1ZpLr0"), "call_Rr4kVb9sTn2QyE"),
            *("messages", 3, "content"),
            old='"delivered"',
            new='"returned to sender"',
        ),
        Expect("tool_call_id", "messages", "messages[2].tool_calls[0].id", relation="follows"),
    ),
    _messages(
        "the results of two parallel calls changed places",
        NOW,
        pick(LATER, "messages", order=(0, 1, 2, 3, 4, 5, 6, 8, 7, 9, 10, 11, 12, 13, 14)),
        Expect("order", "messages", "messages[7]", relation="follows"),
    ),
    _messages(
        "examples among the messages were shuffled",
        _shown(5, 0, 1, 2),
        _shown(9, 1, 2, 0),
        Expect("order", "messages", "messages[1]", relation="follows"),
    ),
    _messages(
        "a user's message was edited and a later result truncated: the message comes first",
        *both(
            NOW,
            edit(LATER, "messages", 7, "content", old="worth less than the way back", new="..."),
            *("messages", 5, "content"),
            a="The refund, please.",
            b="The refund, please. And hurry.",
        ),
        Expect("message_edited", "messages", "messages[5].content", offset=19, relation="follows"),
    ),
    _messages(
        "an image was added to an old message",
        _photo(5, _image(CRACK)),
        _photo(9, _image(CRACK), _image(CHAIR)),
        Expect("image_added", "messages", "messages[1].content[2]", relation="follows"),
    ),
    _messages(
        "an image was encoded again",
        _photo(5, _image(CRACK)),
        _photo(9, _image(CRACK_AGAIN)),
        Expect("image_changed", "messages", "messages[1].content[1]", relation="follows"),
    ),
    _messages(
        "the detail of an image changed",
        _photo(5, _image(CRACK, "high")),
        _photo(9, _image(CRACK, "low")),
        Expect("image_changed", "messages", "messages[1].content[1]", relation="follows"),
    ),
    _messages(
        "the link to an image was signed anew",
        _photo(5, _image(f"{SIGNED}9a1f0c77d2")),
        _photo(9, _image(f"{SIGNED}41be83aa05")),
        Expect("image_changed", "messages", "messages[1].content[1]", relation="follows"),
    ),
)
