"""Responses: texts that changed in input items."""

from .editing import Json, both, edit, pick, put
from .pair import Expect, Pair
from .prose_desk import LEAFLETS
from .responses import code, desk, text
from .talks import DESK_TALK

WAS, NOW, LATER = desk(5), desk(9), desk(12)
HELLO = DESK_TALK[0][0]
FIRST = "input[0].content[0].text"
RESULT = "input[7].output"
SPACED = '{"order": "48-20713", "include": ["items", "parcels"]}'
SORTED = '{"include":["items","parcels"],"order":"48-20713"}'


def _hello(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next turn of a conversation whose first user message changed."""
    was, now = both(WAS, NOW, "input", 0, "content", 0, "text", a=a, b=b)
    expect = Expect(kind, "messages", FIRST, offset=offset, relation="follows")
    return Pair(f"responses: {name}", "openai.responses", was, now, expect)


def _result(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next step of a loop in which an old result changed."""
    was, now = both(code(9), code(10), "input", 7, "output", a=a, b=b)
    expect = Expect(kind, "messages", RESULT, offset=offset, relation="follows")
    return Pair(f"responses: {name}", "openai.responses", was, now, expect)


def _turn(name: str, after: Json, expect: Expect, before: Json = WAS) -> Pair:
    return Pair(f"responses: {name}", "openai.responses", before, after, expect)


def _documents(upto: int, *order: int) -> Json:
    """The conversation, its first message with documents as parts of their own."""
    parts = [text(HELLO), *(text(LEAFLETS[n]) for n in order)]
    return put(desk(upto), "input", 0, "content", value=parts)


PAIRS = (
    _hello(
        "a local time in front of an old user message",
        f"(23/11/2026, 09:14) {HELLO}",
        f"(23/11/2026, 09:20) {HELLO}",
        *("timestamp", 16),
    ),
    _hello(
        "a message id in an old user message",
        f"{HELLO}\n<msg id=5be0cd19137e2179>",
        f"{HELLO}\n<msg id=1f83d9abfb41bd6b>",
        *("random_id", 173),
    ),
    _hello(
        "a counter of attempts in an old user message",
        f"{HELLO}\n\nAttempt 1 of 3.",
        f"{HELLO}\n\nAttempt 2 of 3.",
        *("counter", 174),
    ),
    _hello(
        "two spaces became one in an old user message",
        HELLO.replace("cracked. The", "cracked.  The"),
        HELLO,
        *("whitespace", 96),
    ),
    _hello(
        "NFC instead of NFD in an old user message",
        f"{HELLO} Viele Gru\u0308\u00dfe, Marta",
        f"{HELLO} Viele Gr\u00fc\u00dfe, Marta",
        *("invisible", 173),
    ),
    _hello(
        "an old user message was reworded",
        HELLO,
        "The glass shade of a lamp that I ordered (48-20713) is cracked.",
        *("message_edited", 0),
    ),
    _turn(
        "documents as parts of a message in another order",
        _documents(9, 1, 2, 0),
        Expect("order", "messages", "input[0].content[1]", relation="follows"),
        _documents(5, 0, 1, 2),
    ),
    _turn(
        "a guardrail edited what the assistant said",
        edit(NOW, "input", 4, "content", 0, "text", old=", Ms Lindqvist", new=""),
        Expect(
            "message_edited",
            "messages",
            "input[4].content[0].text",
            offset=34,
            relation="follows",
        ),
    ),
    _turn(
        "the call's arguments were serialised again, with spaces",
        put(NOW, "input", 2, "arguments", value=SPACED),
        Expect("whitespace", "messages", "input[2].arguments", offset=9, relation="follows"),
    ),
    _turn(
        "the call's arguments were serialised again, with sorted keys",
        put(NOW, "input", 2, "arguments", value=SORTED),
        Expect("key_order", "messages", "input[2].arguments", offset=2, relation="follows"),
    ),
    _turn(
        "a result is the same JSON with its keys in another order",
        put(
            LATER,
            *("input", 10, "output"),
            value='{"currency":"EUR","amount":12.5,"refund":"F-20931","days":"5-7","method":"card"}',
        ),
        Expect("key_order", "messages", "input[10].output", offset=2, relation="follows"),
        NOW,
    ),
    _result(
        "a uuid inside a tool's result",
        "3 matches (query 16fd2706-8baf-433b-82eb-8c7fada847da)",
        "3 matches (query 886313e1-3b8a-5372-9b90-0c9aee199e5d)",
        *("random_id", 17),
    ),
    _result(
        "the time of the call inside a tool's result",
        "# read at 2026-11-23T09:14:07+00:00\n3 matches in src/ledgerline",
        "# read at 2026-11-23T09:16:32+00:00\n3 matches in src/ledgerline",
        *("timestamp", 25),
    ),
    _result(
        "the matches of a search in another order",
        "src/ledgerline/errors.py:18\nsrc/ledgerline/posting.py:77\ntests/test_periods.py:25",
        "tests/test_periods.py:25\nsrc/ledgerline/errors.py:18\nsrc/ledgerline/posting.py:77",
        *("order", 0),
    ),
    _turn(
        "two parallel results changed places",
        pick(LATER, "input", order=(0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 9, 11, 12, 13, 14, 15, 16)),
        Expect("order", "messages", "input[9]", relation="follows"),
        NOW,
    ),
)
