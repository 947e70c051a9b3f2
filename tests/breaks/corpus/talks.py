"""Conversations of the programs in the corpus, before any API's way of writing them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """A tool call with its arguments as the model wrote them, and what came back."""

    id: str
    name: str
    arguments: str
    result: str


@dataclass(frozen=True)
class Thought:
    """What a reasoning model hands back with its answer: opaque, to be sent again as it is."""

    id: str
    text: str
    signature: str


User = tuple[str]
"""What a user says; what the assistant says is a plain text, and calls stand in a list."""
Entry = User | str | Thought | list[Call]

LOOKUP = Call(
    "call_8fTq2mWc1ZpLr0",
    "lookup_order",
    '{"order":"48-20713","include":["items","parcels"]}',
    '{"order":"48-20713","placed":"2026-11-09","items":[{"line":1,"name":"desk lamp Skerry",'
    '"qty":2,"price":64.5,"parts":{"shade":3120,"bulb":3007}}],"parcels":[{"carrier":"DPX",'
    '"tracking":"DPX 5530 9921 07","scans":["left Leipzig","delivered"]}],"total":129.0}',
)
RETURN = Call(
    "call_Yw7bHk3nUe5SxD",
    "create_return",
    '{"order":"48-20713","items":[1],"reason":"damaged"}',
    '{"return":"R-7712-04","label":"sent","needed":false,"note":"worth less than the way back"}',
)
PART = Call(
    "call_Jd4vNq9aRt6OgB",
    "refund",
    '{"order":"48-20713","amount":12.5,"reason":"cracked shade, customer keeps the lamp"}',
    '{"refund":"F-20931","amount":12.5,"currency":"EUR","method":"card","days":"5-7"}',
)
FIND = Call(
    "call_Mx1cGz8sIo2KuP",
    "find_orders",
    '{"email":"marta.lindqvist@example.org","limit":5}',
    '[{"order":"48-20713","items":["desk lamp Skerry"]},{"order":"48-18840","items":["shelf Lund",'
    '"screws"]},{"order":"48-15507","items":["floor lamp Tern"]}]',
)

DESK_TALK: tuple[Entry, ...] = (
    (
        (
            "Hello, I ordered two desk lamps (order 48-20713) and the glass shade of one of "
            "them is cracked. The lamp itself works. I would rather not send the whole thing "
            "back."
        ),
    ),
    Thought("rs_68f1a0", "Look the order up before answering.", "EqoBCkgIBxABGAIiQL8r"),
    [LOOKUP],
    (
        "I am sorry about the cracked shade, Ms Lindqvist. I can send you a new shade (part "
        "3120) free of charge, or refund 12.50 EUR and you keep the lamp as it is. Which do "
        "you prefer?"
    ),
    ("The refund, please. The crack is small and nobody will see it behind the monitor.",),
    Thought("rs_68f1b7", "She agreed. Refund and close the return.", "EqoBCkgIBxABGAIiQM2x"),
    [RETURN, PART],
    (
        "Done: 12.50 EUR go back to your card and arrive within seven working days. Please "
        "keep the lamp; nothing has to be returned."
    ),
    ("Thank you. One more thing: which shelf did I order in spring? I need a second one.",),
    [FIND],
    "It was the wall shelf Lund, order 48-18840. It is in stock. Shall I send you the link?",
    ("Yes please, and that is all for today.",),
)
"""Up to 5, 9 and 12 entries it ends with what the user says, up to 3, 7 and 10 with results."""

_STEPS: tuple[tuple[str, str, str], ...] = (
    (
        "grep",
        '{"pattern":"def close_period","kind":"py"}',
        "src/ledgerline/periods.py:41:def close_period(books: Books, month: Month) -> Period:",
    ),
    (
        "read_file",
        '{"path":"src/ledgerline/periods.py","start":30,"lines":60}',
        (
            "41\tdef close_period(books: Books, month: Month) -> Period:\n42\t    period = "
            "books.period(month)\n43\t    if period.closed:\n44\t        raise "
            "ClosedError(month)\n45\t    return books.replace(period, closed=True)"
        ),
    ),
    (
        "grep",
        '{"pattern":"ClosedError"}',
        (
            "src/ledgerline/errors.py:18:class "
            "ClosedError(LedgerError):\nsrc/ledgerline/posting.py:77:        raise "
            "ClosedError(entry.month)\ntests/test_periods.py:25:    with "
            "pytest.raises(ClosedError):"
        ),
    ),
    (
        "read_file",
        '{"path":"src/ledgerline/posting.py","start":60,"lines":40}',
        (
            "72\tdef post(books: Books, entry: Entry) -> Books:\n73\t    if "
            "entry.posted:\n74\t        raise PostedError(entry.id)\n75\t    period = "
            "books.period(entry.month)\n76\t    if period.closed:\n77\t        raise "
            "ClosedError(entry.month)"
        ),
    ),
    (
        "read_file",
        '{"path":"tests/test_periods.py"}',
        (
            "20\tdef test_a_closed_period_takes_no_entries(books):\n21\t    books = "
            "close(books, NOV)\n25\t    with pytest.raises(ClosedError):\n26\t        "
            "post(books, make_entry(month=NOV))"
        ),
    ),
    (
        "run_tests",
        '{"target":"tests/test_periods.py"}',
        "6 passed in 0.41s",
    ),
    (
        "edit_file",
        (
            '{"path":"tests/test_periods.py","old":"NOV = Month(2026, 11)","new":"NOV = '
            'Month(2026, 11)\\nDEC = NOV.next()"}'
        ),
        "1 replacement in tests/test_periods.py",
    ),
    (
        "run_tests",
        '{"target":"tests/test_periods.py"}',
        (
            "FAILED tests/test_periods.py::test_closing_december_closes_november - "
            "LedgerError: period 2026-11 is open\n1 failed, 6 passed in 0.47s"
        ),
    ),
    (
        "grep",
        '{"pattern":"def period","under":"src/ledgerline"}',
        (
            "src/ledgerline/books.py:102:    def period(self, month: Month) -> "
            "Period:\nsrc/ledgerline/books.py:110:    def periods_before(self, month: Month) "
            "-> tuple[Period, ...]:"
        ),
    ),
    (
        "read_file",
        '{"path":"src/ledgerline/books.py","start":95,"lines":40}',
        (
            "110\t    def periods_before(self, month: Month) -> tuple[Period, ...]:\n111\t     "
            "   return tuple(p for p in self._periods if p.month < month)"
        ),
    ),
    (
        "edit_file",
        (
            '{"path":"src/ledgerline/periods.py","old":"    return books.replace(period, '
            'closed=True)","new":"    open_ = [p for p in books.periods_before(month) if not '
            "p.closed]\\n    if open_:\\n        raise OrderError(open_[0].month)\\n    return "
            'books.replace(period, closed=True)"}'
        ),
        "1 replacement in src/ledgerline/periods.py",
    ),
    (
        "edit_file",
        (
            '{"path":"src/ledgerline/errors.py","old":"class '
            'ClosedError(LedgerError):","new":"class OrderError(LedgerError):\\n    '
            'pass\\n\\n\\nclass ClosedError(LedgerError):"}'
        ),
        "1 replacement in src/ledgerline/errors.py",
    ),
    ("run_tests", '{"target":"tests/test_periods.py"}', "7 passed in 0.44s"),
    ("run_tests", "{}", "412 passed, 31 deselected in 58.20s"),
    ("list_dir", '{"path":"docs"}', "changelog.md  9.1 kB\nmanual.md  48.7 kB"),
    (
        "grep",
        '{"pattern":"[Cc]losing a period","kind":"md"}',
        "docs/manual.md:311:## Closing a period",
    ),
)

CODE_TALK: tuple[Entry, ...] = (
    (
        (
            "A customer closed December while November was still open, and the balance sheet "
            "was wrong. Closing a month must be refused while an earlier one is open. Please "
            "fix it."
        ),
    ),
    *([Call(f"call_{n:02d}hTzQ4v", *step)] for n, step in enumerate(_STEPS)),
    (
        "Closing a month is now refused while an earlier one is open: `close_period` raises "
        "`OrderError` and names the first open month. I changed periods.py and errors.py and "
        "added a test; the whole suite passes. The manual says nothing about the order yet."
    ),
    ("Good. Please say so in the manual too, in one sentence.",),
)
"""Eighteen entries and more: one request, sixteen steps one after the other, a report, a reply."""
