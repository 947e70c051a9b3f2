"""Anthropic Messages: texts that changed in the system prompt."""

from typing import Any

from .claude import code, desk, fork, tail, text, told, trunk
from .editing import Json, pick, put
from .pair import Expect, Pair
from .prose_code import BRIEF, CODER, PERSONA_ANALYST, PERSONA_WRITER
from .prose_desk import LEAFLETS, MEMORY, RULES, SUPPORT


def _pair(name: str, before: Json, after: Json, expect: Expect) -> Pair:
    return Pair(f"anthropic: {name}", "anthropic.messages", before, after, expect)


def _whole(name: str, a: str, b: str, kind: str, offset: int, **more: Any) -> Pair:
    """The next turn of a conversation whose system prompt, one text, changed."""
    expect = Expect(kind, "system", "system", offset=offset, relation="follows")
    return _pair(name, desk(5, system=a, **more), desk(9, system=b, **more), expect)


def _second(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next turn of a conversation whose second system block, the marked one, changed."""
    expect = Expect(kind, "system", "system[1].text", offset=offset, relation="follows")
    before, after = desk(5, system=told(SUPPORT, a)), desk(9, system=told(SUPPORT, b))
    return _pair(name, before, after, expect)


def _code(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next step of a loop whose only system block changed."""
    expect = Expect(kind, "system", "system[0].text", offset=offset, relation="follows")
    return _pair(name, code(9, system=told(a)), code(10, system=told(b)), expect)


def _sibling(name: str, persona: str, *, brief: str = BRIEF) -> Json:
    """A fork of one parent, all of whose texts stand in the system prompt."""
    said = [tail(name, persona, "Say what the board should know about returns.")]
    return fork(said, system=trunk(brief=brief))


DATED = [told(SUPPORT)[0], text("Date: 2026-11-23")]
NEXT_DAY = [told(SUPPORT)[0], text("Date: 2026-11-24")]

PAIRS = (
    _second(
        "a date in the second system block",
        "Today's date: 2026-11-23",
        "Today's date: 2026-11-24",
        *("timestamp", 23),
    ),
    _pair(
        "a date in a system block without a mark, in front of marked messages",
        desk(5, system=DATED),
        desk(9, system=NEXT_DAY),
        Expect("timestamp", "system", "system[1].text", offset=15, relation="follows"),
    ),
    _whole(
        "a time in front of the system prompt",
        f"<now>Mon Nov 23 09:14:07 CET 2026</now>\n{SUPPORT}",
        f"<now>Mon Nov 23 09:15:12 CET 2026</now>\n{SUPPORT}",
        *("timestamp", 20),
    ),
    _whole(
        "epoch milliseconds",
        f"{SUPPORT}\n\nts: 1795428847318",
        f"{SUPPORT}\n\nts: 1795428919004",
        *("timestamp", 5498),
        model="claude-sonnet-4-6",
    ),
    _second(
        "a French date with its month",
        "Nous sommes le lundi 30 novembre 2026.",
        "Nous sommes le mardi 1 décembre 2026.",
        *("timestamp", 15),
    ),
    _second(
        "a session id in the second system block",
        "session_id: 018f6e2a-9c1b-7d43-b0e5-2f4a6c8e1d37",
        "session_id: 018f6e2b-03ef-7a10-8c2d-915be7f40a66",
        *("random_id", 19),
    ),
    _whole(
        "a commit's hash in front of the system prompt",
        f"build 3f786850e387550fdab836ed7e6dc881de23001b\n{SUPPORT}",
        f"build 89e6c98d92887913cadf06b2adb97f26cde4849b\n{SUPPORT}",
        *("random_id", 6),
        model="claude-sonnet-5",
    ),
    _code(
        "a counter of steps",
        f"{CODER}\n\nStep 8 of at most 40.",
        f"{CODER}\n\nStep 9 of at most 40.",
        *("counter", 4096),
    ),
    _second(
        "a counter that runs down, of messages left",
        "You may send 12 more messages.",
        "You may send 11 more messages.",
        *("counter", 14),
    ),
    _code("spaces at the end of a line", CODER, f"{CODER}  ", *("whitespace", 4089)),
    _whole(
        "an empty line more between two sections",
        SUPPORT,
        SUPPORT.replace("\n\n## Tone", "\n\n\n## Tone"),
        *("whitespace", 3646),
    ),
    _whole(
        "CRLF instead of LF",
        SUPPORT.replace("\n", "\r\n"),
        SUPPORT,
        *("whitespace", 97),
        model="claude-sonnet-4-5-20250929",
    ),
    _second(
        "a zero-width joiner in a name",
        "Your name is Pina.",
        "Your name is Pi\u200dna.",
        *("invisible", 15),
    ),
    _whole(
        "NFD instead of NFC",
        f"{SUPPORT}\n\nCaf\u00e9 Br\u00fbl\u00e9e is our shop in Lyon.",
        f"{SUPPORT}\n\nCafe\u0301 Bru\u0302le\u0301e is our shop in Lyon.",
        *("invisible", 5490),
    ),
    _whole(
        "the memory in the middle of the system prompt grew",
        f"{SUPPORT}\n\n{MEMORY}\n\n{RULES}",
        f"{SUPPORT}\n\n{MEMORY}\n- Has a discount of ten per cent.\n\n{RULES}",
        *("text_edit", 5598),
    ),
    _code(
        "the prompt of the agent was edited",
        CODER,
        CODER.replace("after three attempts", "after five attempts"),
        *("text_edit", 784),
    ),
    _second(
        "retrieved documents in another order",
        "\n".join((LEAFLETS[0], LEAFLETS[1], LEAFLETS[2])),
        "\n".join((LEAFLETS[1], LEAFLETS[0], LEAFLETS[2])),
        *("order", 27),
    ),
    _second(
        "a JSON list in another order",
        '{"beta_features": ["photos", "parts", "returns_by_post"]}',
        '{"beta_features": ["returns_by_post", "photos", "parts"]}',
        *("order", 20),
    ),
    _pair(
        "the marked system block moved in front of the other",
        desk(5, system=told(LEAFLETS[0], SUPPORT)),
        pick(desk(9, system=told(LEAFLETS[0], SUPPORT)), "system", order=(1, 0)),
        Expect("order", "system", "system[0]", relation="follows"),
    ),
    _second(
        "a customer's record as JSON with its keys in another order",
        '<customer>{"name": "Marta Lindqvist", "since": 2019, "orders": 3}</customer>',
        '<customer>{"orders": 3, "name": "Marta Lindqvist", "since": 2019}</customer>',
        *("key_order", 12),
    ),
    _pair(
        "two forks whose shared brief differs in a figure",
        _sibling("analyst", PERSONA_ANALYST),
        _sibling("writer", PERSONA_WRITER, brief=BRIEF.replace("84.2 million", "84.6 million")),
        Expect("text_edit", "system", "system[1].text", offset=522, relation="sibling"),
    ),
    _pair(
        "two forks whose shared brief says when it was read",
        _sibling("analyst", PERSONA_ANALYST, brief=f"{BRIEF}\nRead at 2026-11-23T09:14:07Z."),
        _sibling("writer", PERSONA_WRITER, brief=f"{BRIEF}\nRead at 2026-11-23T09:14:31Z."),
        Expect("timestamp", "system", "system[1].text", offset=4832, relation="sibling"),
    ),
    _pair(
        "another tool_choice and another date: the date stands earlier and costs more",
        put(
            desk(5, system=told(f"{SUPPORT}\n\nDate: 2026-11-23")),
            "tool_choice",
            value={"type": "auto"},
        ),
        put(
            desk(9, system=told(f"{SUPPORT}\n\nDate: 2026-11-24")),
            "tool_choice",
            value={"type": "any"},
        ),
        Expect("timestamp", "system", "system[0].text", offset=5502, relation="follows"),
    ),
)
