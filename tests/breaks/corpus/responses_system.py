"""Responses: texts that changed in `instructions` and in the leading developer item."""

from .pair import Expect, Pair
from .prose_code import CODER
from .prose_desk import SETTINGS, SUPPORT
from .responses import code, desk, text


def _told(name: str, a: str, b: str, kind: str, offset: int, **more: str) -> Pair:
    """The next turn of a conversation whose instructions changed."""
    before, after = desk(5, system=a, **more), desk(9, system=b, **more)
    expect = Expect(kind, "system", "instructions", offset=offset, relation="follows")
    return Pair(f"responses: {name}", "openai.responses", before, after, expect)


def _developer(name: str, a: str, b: str, kind: str, offset: int, **more: str) -> Pair:
    """The next step of a loop whose developer item, a text, changed."""
    before, after = code(9, system=a, **more), code(10, system=b, **more)
    expect = Expect(kind, "system", "input[0].content", offset=offset, relation="follows")
    return Pair(f"responses: {name}", "openai.responses", before, after, expect)


def _second(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next step of a loop whose developer item has two parts, the second of which changed."""
    before = code(9, system=[text(CODER), text(a)])
    after = code(10, system=[text(CODER), text(b)])
    expect = Expect(kind, "system", "input[0].content[1].text", offset=offset, relation="follows")
    return Pair(f"responses: {name}", "openai.responses", before, after, expect)


PAIRS = (
    _told(
        "an e-mail's date at the end of the instructions",
        f"{SUPPORT}\n\nReceived: Mon, 23 Nov 2026 09:14:07 +0100",
        f"{SUPPORT}\n\nReceived: Mon, 23 Nov 2026 11:02:55 +0100",
        *("timestamp", 5514),
    ),
    _told(
        "only the time of the day",
        f"It is 9:14 AM at the customer's.\n\n{SUPPORT}",
        f"It is 9:21 AM at the customer's.\n\n{SUPPORT}",
        *("timestamp", 8),
        model="gpt-4.1-mini",
    ),
    _told(
        "a nanoid as conversation id",
        f"{SUPPORT}\n\nConversation V1StGXR8_Z5jdHi6B-myT",
        f"{SUPPORT}\n\nConversation Uakgb_J5m9g-0JDMbcJqL",
        *("random_id", 5500),
    ),
    _told(
        "a request's number",
        f"Request #1041\n\n{SUPPORT}",
        f"Request #1042\n\n{SUPPORT}",
        *("counter", 12),
    ),
    _told(
        "a newline at the end of the instructions",
        f"{SUPPORT}\n",
        SUPPORT,
        *("whitespace", 5485),
    ),
    _told(
        "soft hyphens in a long word",
        SUPPORT,
        SUPPORT.replace("qualified electrician must", "qualified elec\u00adtri\u00adcian must"),
        *("invisible", 4220),
    ),
    _told(
        "a paragraph was added in the middle of the instructions",
        SUPPORT,
        SUPPORT.replace("## Tone\n", "## Strikes\nDPX is on strike until Friday.\n\n## Tone\n"),
        *("text_edit", 3649),
    ),
    _told(
        "an amount with a comma for the decimals",
        f"{SUPPORT}\n\nParcels cost 4.90 EUR.",
        f"{SUPPORT}\n\nParcels cost 4,90 EUR.",
        *("text_edit", 5501),
        model="gpt-4.1-mini",
    ),
    _told(
        "the names in a line, out of a set, in another order",
        f"{SUPPORT}\n\nOn duty today: Ines, Tomas, Ruth, Bjarne.",
        f"{SUPPORT}\n\nOn duty today: Ruth, Ines, Bjarne, Tomas.",
        *("order", 5502),
    ),
    _told(
        "the same sentences in another order",
        f"{SUPPORT}\n\nBe brief. Name the carrier. Offer parts first.",
        f"{SUPPORT}\n\nOffer parts first. Be brief. Name the carrier.",
        *("order", 5487),
        model="gpt-5.6-luna",
    ),
    _told(
        "settings as JSON with its keys in another order",
        f"{SUPPORT}\n\n{SETTINGS}",
        f'{SUPPORT}\n\n## Settings\n{{"region": "eu-central", "refund_limit": 150, '
        '"languages": ["de", "en", "fr"], "currency": "EUR"}',
        *("key_order", 5525),
    ),
    _developer(
        "an ISO date and time in the developer item",
        f"{CODER}\n\nNow: 2026-11-23 09:14:07.318442",
        f"{CODER}\n\nNow: 2026-11-23 09:14:29.771020",
        *("timestamp", 4113),
    ),
    _developer(
        "tabs became spaces in the developer item",
        f"{CODER}\n\nLayout:\n\tsrc\n\ttests",
        f"{CODER}\n\nLayout:\n    src\n    tests",
        *("whitespace", 4099),
    ),
    _developer(
        "the developer item names another branch",
        f"{CODER}\n\nBranch: fix-close-order (clean)",
        f"{CODER}\n\nBranch: fix-close-order (2 files changed)",
        *("text_edit", 4116),
        model="gpt-4.1-mini",
    ),
    _second(
        "a counter of iterations in a developer item's second part",
        "Iteration 3 of 25.",
        "Iteration 4 of 25.",
        *("counter", 10),
    ),
    _second(
        "a temporary folder's random name in a developer item's second part",
        "Working tree: /tmp/tree-x7f3k9qa2m/ledgerline",
        "Working tree: /tmp/tree-b81zr4wd0c/ledgerline",
        *("random_id", 24),
    ),
    _second(
        "a list of files in another order in a developer item's second part",
        "Open files:\n- src/ledgerline/books.py\n- src/ledgerline/periods.py\n- tests/conftest.py",
        "Open files:\n- tests/conftest.py\n- src/ledgerline/books.py\n- src/ledgerline/periods.py",
        *("order", 14),
    ),
)
