"""Chat Completions: texts that changed in messages."""

from .chat import code, desk
from .editing import both, edit
from .pair import Expect, Pair
from .prose_desk import EXAMPLES, LEAFLETS
from .talks import DESK_TALK

WAS, NOW = desk(5), desk(9)
HELLO = DESK_TALK[0][0]


def _hello(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next turn of a conversation whose first user message changed."""
    was, now = both(WAS, NOW, "messages", 1, "content", a=a, b=b)
    expect = Expect(kind, "messages", "messages[1].content", offset=offset, relation="follows")
    return Pair(f"chat: {name}", "openai.chat", was, now, expect)


PAIRS = (
    _hello(
        "a time in front of an old user message",
        f"[Mon 09:14] {HELLO}",
        f"[Mon 09:21] {HELLO}",
        "timestamp",
        8,
    ),
    _hello(
        "a request id in an old user message",
        f"{HELLO}\n\n(request 9f86d081884c7d65)",
        f"{HELLO}\n\n(request 2c26b46b68ffc68f)",
        "random_id",
        175,
    ),
    _hello(
        "a counter of remaining calls in an old user message",
        f"{HELLO}\n\nYou have 8 tool calls left.",
        f"{HELLO}\n\nYou have 6 tool calls left.",
        "counter",
        175,
    ),
    _hello(
        "retrieved text was taken out of an old user message",
        f"{LEAFLETS[1]}\n\n{HELLO}",
        HELLO,
        "message_edited",
        0,
    ),
    _hello(
        "a trailing newline was stripped from an old user message",
        f"{HELLO}\n",
        HELLO,
        "whitespace",
        164,
    ),
    _hello(
        "a zero-width space in an old user message",
        HELLO,
        HELLO.replace("The lamp", "The\u200b lamp"),
        "invisible",
        99,
    ),
    _hello(
        "examples in a user message in another order",
        f"{EXAMPLES}\n\n{HELLO}",
        "## Examples\nQ: Do you ship to Norway? A: Yes, it takes up to nine working days.\n"
        "Q: Where is my parcel? A: It left Leipzig on Monday and should be with you by Thursday.\n"
        f"Q: Can I return a lamp? A: Yes, within 30 days, unused and in its box.\n\n{HELLO}",
        "order",
        15,
    ),
    Pair(
        "chat: a guardrail edited what the assistant said",
        "openai.chat",
        WAS,
        edit(NOW, "messages", 4, "content", old="Ms Lindqvist", new="[name removed]"),
        Expect("message_edited", "messages", "messages[4].content", offset=36, relation="follows"),
    ),
    Pair(
        "chat: the call's arguments were serialised again, with spaces",
        "openai.chat",
        WAS,
        edit(
            NOW,
            "messages",
            2,
            "tool_calls",
            0,
            "function",
            "arguments",
            old='{"order":"48-20713","include":["items","parcels"]}',
            new='{"order": "48-20713", "include": ["items", "parcels"]}',
        ),
        Expect(
            "whitespace",
            "messages",
            "messages[2].tool_calls[0].function.arguments",
            offset=9,
            relation="follows",
        ),
    ),
    Pair(
        "chat: the call's arguments were serialised again, with sorted keys",
        "openai.chat",
        WAS,
        edit(
            NOW,
            "messages",
            2,
            "tool_calls",
            0,
            "function",
            "arguments",
            old='{"order":"48-20713","include":["items","parcels"]}',
            new='{"include":["items","parcels"],"order":"48-20713"}',
        ),
        Expect(
            "key_order",
            "messages",
            "messages[2].tool_calls[0].function.arguments",
            offset=2,
            relation="follows",
        ),
    ),
    Pair(
        "chat: a tool result is the same JSON with its keys in another order",
        "openai.chat",
        NOW,
        edit(
            desk(12),
            "messages",
            8,
            "content",
            old='{"refund":"F-20931","amount":12.5,"currency":"EUR","method":"card","days":"5-7"}',
            new='{"amount":12.5,"currency":"EUR","days":"5-7","method":"card","refund":"F-20931"}',
        ),
        Expect("key_order", "messages", "messages[8].content", offset=2, relation="follows"),
    ),
    Pair(
        "chat: a uuid inside a tool result",
        "openai.chat",
        edit(
            code(5),
            "messages",
            5,
            "content",
            old="41\t",
            new="# view 0b5c1b7e-7d0f-4c86-9b1a-7a3a9a3f2d10\n41\t",
        ),
        edit(
            code(6),
            "messages",
            5,
            "content",
            old="41\t",
            new="# view 5d9e6f1c-2a44-4a0b-8a55-1f6f0e0c9b7e\n41\t",
        ),
        Expect("random_id", "messages", "messages[5].content", offset=7, relation="follows"),
    ),
)
