"""Responses: items that came, went or were replaced, and images."""

from .editing import Json, add, cut, edit, put
from .pair import Expect, Pair
from .pictures import CHAIR, CRACK, CRACK_AGAIN
from .responses import answer, code, desk, text, user
from .talks import DESK_TALK

WAS, NOW, LATER = desk(5), desk(9), desk(12)
FULL, FULLER = code(15), code(19)
CLEARED = "[result removed to save space]"
STATE = {"role": "developer", "content": [text("The customer has opened the page of the order.")]}
SEALED = {"type": "compaction", "id": "cmp_01a4", "encrypted_content": "gAAAABpQ7mJx0Zk2LwVtY"}
SHOTS = (
    (user("Is this urgent? My lamp smokes."), answer('{"queue": "safety"}')),
    (user("Where is my parcel?"), answer('{"queue": "carriers"}')),
    (user("I will call my lawyer."), answer('{"queue": "legal"}')),
)


def _items(name: str, before: Json, after: Json, expect: Expect) -> Pair:
    return Pair(f"responses: {name}", "openai.responses", before, after, expect)


def _slid(request: Json, first: int, *ahead: Json) -> Json:
    """The developer item, what stands ahead, and the items from this one on."""
    said = request["input"]
    return put(request, "input", value=[said[0], *ahead, *said[first:]])


def _photo(upto: int, *images: Json) -> Json:
    """The conversation, its first message with photos."""
    return put(desk(upto), "input", 0, "content", value=[text(DESK_TALK[0][0]), *images])


def _image(url: str, detail: str = "auto") -> Json:
    return {"type": "input_image", "image_url": url, "detail": detail}


def _called(request: Json, new: str) -> Json:
    """The first call and its result under another id."""
    out = put(request, "input", 2, "call_id", value=new)
    assert out["input"][3]["type"] == "function_call_output"
    return put(out, "input", 3, "call_id", value=new)


def _shown(upto: int, *order: int) -> Json:
    """The conversation behind examples, which stand in this order."""
    said = [item for n in order for item in SHOTS[n]]
    return put(desk(upto), "input", value=[*said, *desk(upto)["input"]])


PAIRS = (
    _items(
        "a developer item was inserted in the middle",
        NOW,
        add(LATER, "input", 5, value=STATE),
        Expect("message_inserted", "messages", "input[5]", relation="follows"),
    ),
    _items(
        "a reminder was inserted into a loop of tools",
        FULL,
        add(FULLER, "input", 12, value=user("<reminder>Run the tests.</reminder>")),
        Expect("message_inserted", "messages", "input[12]", relation="follows"),
    ),
    _items(
        "the reasoning item in front of a call was dropped",
        WAS,
        cut(NOW, "input", 1),
        Expect("message_dropped", "messages", "input[1]", relation="follows"),
    ),
    _items(
        "all reasoning items were dropped",
        NOW,
        cut(cut(LATER, "input", 6), "input", 1),
        Expect("message_dropped", "messages", "input[1]", relation="follows"),
    ),
    _items(
        "a failed call and its result were dropped",
        FULL,
        cut(cut(FULLER, "input", 16), "input", 16),
        Expect("message_dropped", "messages", "input[16]", relation="follows"),
    ),
    _items(
        "the window slid by two steps",
        FULL,
        _slid(FULLER, 6),
        Expect("window_slid", "messages", "input[1]", relation="follows"),
    ),
    _items(
        "the window slid over a conversation of the service agent",
        put(NOW, "input", value=NOW["input"][4:]),
        put(LATER, "input", value=LATER["input"][11:]),
        Expect("window_slid", "messages", "input[0]", relation="follows"),
    ),
    _items(
        "the provider's compaction item stands for the old items",
        FULL,
        _slid(FULLER, 26, SEALED),
        Expect("compaction", "messages", "input[1]", relation="follows"),
    ),
    _items(
        "old items were replaced by a summary",
        code(15, model="gpt-4.1-mini"),
        _slid(
            code(17, model="gpt-4.1-mini"),
            24,
            user(
                "This conversation continues an earlier one. Summary: closing a month must be "
                "refused while an earlier one is open; close_period now raises OrderError, a test "
                "for December exists, the errors module is next."
            ),
        ),
        Expect("compaction", "messages", "input[1]", relation="follows"),
    ),
    _items(
        "old results were replaced by placeholders",
        code(15),
        put(
            put(code(16), "input", 5, "output", value=CLEARED), "input", 7, "output", value=CLEARED
        ),
        Expect("compaction", "messages", "input[5]", relation="follows"),
    ),
    _items(
        "a result was truncated",
        code(9),
        edit(
            code(10),
            *("input", 7, "output"),
            old="        raise ClosedError(entry.month)\ntests/test_periods.py:25:    with "
            "pytest.raises(ClosedError):",
            new="... (87 characters more)",
        ),
        Expect(
            "tool_result_replaced", "messages", "input[7].output", offset=89, relation="follows"
        ),
    ),
    _items(
        "a file was read again after it had been edited",
        code(12),
        edit(
            code(13),
            *("input", 5, "output"),
            old="    return books.replace(period, closed=True)",
            new="    open_ = [p for p in books.periods_before(month) if not p.closed]",
        ),
        Expect(
            "tool_result_replaced", "messages", "input[5].output", offset=163, relation="follows"
        ),
    ),
    _items(
        "the ids of a call and its result were generated anew",
        WAS,
        _called(NOW, "call_pK3xWd8mBf1QzL"),
        Expect("tool_call_id", "messages", "input[2].call_id", offset=5, relation="follows"),
    ),
    _items(
        "the ids were generated anew and the result was truncated: the id comes first",
        WAS,
        edit(
            _called(NOW, "call_pK3xWd8mBf1QzL"),
            *("input", 3, "output"),
            old='"scans":["left Leipzig","delivered"]',
            new='"scans":[...]',
        ),
        Expect("tool_call_id", "messages", "input[2].call_id", relation="follows"),
    ),
    _items(
        "examples among the items were shuffled",
        _shown(5, 0, 1, 2),
        _shown(9, 2, 1, 0),
        Expect("order", "messages", "input[0]", relation="follows"),
    ),
    _items(
        "an image was added to an old message",
        _photo(5),
        _photo(9, _image(CRACK)),
        Expect("image_added", "messages", "input[0].content[1]", relation="follows"),
    ),
    _items(
        "an image was encoded again",
        _photo(5, _image(CRACK), _image(CHAIR)),
        _photo(9, _image(CRACK_AGAIN), _image(CHAIR)),
        Expect("image_changed", "messages", "input[0].content[1]", relation="follows"),
    ),
    _items(
        "the detail of an image changed",
        _photo(5, _image(CRACK, "low")),
        _photo(9, _image(CRACK, "auto")),
        Expect("image_changed", "messages", "input[0].content[1].detail", relation="follows"),
    ),
)
