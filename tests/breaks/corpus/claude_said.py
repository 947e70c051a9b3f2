"""Anthropic Messages: texts that changed in messages."""

from .claude import code, desk, fork, messages, rolled, tail, text
from .editing import Json, both, edit, pick, put
from .pair import Expect, Pair
from .prose_code import PERSONA_ANALYST
from .prose_desk import EXAMPLES, LEAFLETS
from .talks import CODE_TALK, DESK_TALK

WAS, NOW, LATER = desk(5), desk(9), desk(12)
HELLO = DESK_TALK[0][0]
FIRST = "messages[0].content[0].text"
LOOP = messages(CODE_TALK[1:5])


def _pair(name: str, before: Json, after: Json, expect: Expect) -> Pair:
    return Pair(f"anthropic: {name}", "anthropic.messages", before, after, expect)


def _hello(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next turn of a conversation whose first user message changed."""
    was, now = both(WAS, NOW, "messages", 0, "content", 0, "text", a=a, b=b)
    return _pair(name, was, now, Expect(kind, "messages", FIRST, offset=offset, relation="follows"))


def _result(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next step of a loop in which the third result changed."""
    was, now = both(code(9), code(10), "messages", 6, "content", 0, "content", a=a, b=b)
    path = "messages[6].content[0].content"
    return _pair(name, was, now, Expect(kind, "messages", path, offset=offset, relation="follows"))


def _documents(upto: int, *order: int) -> Json:
    """The conversation, its first message with documents as blocks of their own."""
    blocks = [text(HELLO), *(text(LEAFLETS[n]) for n in order)]
    return put(desk(upto), "messages", 0, "content", value=blocks)


def _looping(time: str, calls: int) -> Json:
    """A fork in its own loop; its tail says what time it is."""
    who = tail("analyst", f"{PERSONA_ANALYST}\nCurrent time: {time}", "Check the numbers.")
    return fork(rolled([who, *LOOP[:calls]]))


PAIRS = (
    _hello(
        "a time in front of an old user message",
        f"[2026-11-23 09:14] {HELLO}",
        f"[2026-11-23 09:52] {HELLO}",
        *("timestamp", 15),
    ),
    _pair(
        "the time in the tail of a fork that loops",
        _looping("09:14:07", 4),
        _looping("09:14:33", 8),
        Expect("timestamp", "messages", FIRST, offset=239, relation="follows"),
    ),
    _hello(
        "a ticket's random number in an old user message",
        f"{HELLO}\n\nticket: tkt_9vX2mQ7bLr4K",
        f"{HELLO}\n\nticket: tkt_Hc5TzW1nYd8G",
        *("random_id", 178),
    ),
    _hello(
        "a counter of tokens left in an old user message",
        f"{HELLO}\n\n<budget>183204 tokens left</budget>",
        f"{HELLO}\n\n<budget>171950 tokens left</budget>",
        *("counter", 175),
    ),
    _hello(
        "a newline in front of an old user message",
        HELLO,
        f"\n{HELLO}",
        *("whitespace", 0),
    ),
    _hello(
        "non-breaking spaces in an old user message",
        HELLO,
        HELLO.replace("order 48-20713", "order\u00a048-20713"),
        *("invisible", 38),
    ),
    _hello(
        "an old user message was reworded",
        HELLO,
        HELLO.replace("I would rather not", "I do not want to"),
        *("message_edited", 121),
    ),
    _hello(
        "examples in a user message in another order",
        f"{EXAMPLES}\n\n{HELLO}",
        "## Examples\nQ: Can I return a lamp? A: Yes, within 30 days, unused and in its box.\n"
        "Q: Where is my parcel? A: It left Leipzig on Monday and should be with you by Thursday.\n"
        f"Q: Do you ship to Norway? A: Yes, it takes up to nine working days.\n\n{HELLO}",
        *("order", 15),
    ),
    _pair(
        "documents as blocks of a message in another order",
        _documents(5, 0, 1, 2),
        _documents(9, 0, 2, 1),
        Expect("order", "messages", "messages[0].content[2]", relation="follows"),
    ),
    _pair(
        "a guardrail edited what the assistant said",
        WAS,
        edit(NOW, "messages", 3, "content", 0, "text", old="free of charge", new="[removed]"),
        Expect(
            "message_edited",
            "messages",
            "messages[3].content[0].text",
            offset=89,
            relation="follows",
        ),
    ),
    _pair(
        "the keys of a call's input in another order",
        WAS,
        pick(NOW, "messages", 1, "content", 0, "input", order=("include", "order")),
        Expect("key_order", "messages", "messages[1].content[0].input", relation="follows"),
    ),
    _pair(
        "a result is the same JSON with its keys in another order",
        NOW,
        put(
            LATER,
            *("messages", 6, "content", 1, "content"),
            value='{"refund":"F-20931","currency":"EUR","amount":12.5,"days":"5-7","method":"card"}',
        ),
        Expect(
            "key_order",
            "messages",
            "messages[6].content[1].content",
            offset=21,
            relation="follows",
        ),
    ),
    _pair(
        "a result is the same JSON with spaces",
        NOW,
        put(
            LATER,
            *("messages", 6, "content", 1, "content"),
            value='{"refund": "F-20931", "amount": 12.5, "currency": "EUR", "method": "card", '
            '"days": "5-7"}',
        ),
        Expect(
            "whitespace",
            "messages",
            "messages[6].content[1].content",
            offset=10,
            relation="follows",
        ),
    ),
    _result(
        "a uuid inside a tool's result",
        "3 matches (query 7d444840-9dc0-11d1-b245-5ffdce74fad2)",
        "3 matches (query e902893a-9d22-3c7e-a7b8-d6e313b71d9f)",
        *("random_id", 17),
    ),
    _result(
        "the age of a file inside a tool's result",
        "src/ledgerline/errors.py  modified 2026-11-23 08:58\n3 matches",
        "src/ledgerline/errors.py  modified 2026-11-23 09:20\n3 matches",
        *("timestamp", 47),
    ),
    _result(
        "CRLF inside a tool's result",
        "errors.py:18\nposting.py:77\ntest_periods.py:25",
        "errors.py:18\r\nposting.py:77\r\ntest_periods.py:25",
        *("whitespace", 12),
    ),
    _pair(
        "two parallel results changed places",
        NOW,
        pick(LATER, "messages", 6, "content", order=(1, 0)),
        Expect("order", "messages", "messages[6].content[0]", relation="follows"),
    ),
)
