"""The tools of the programs in the corpus, and how each API writes them."""

from typing import Any

Json = dict[str, Any]
Tool = tuple[str, str, Json]
"""Name, description, schema of the arguments."""

_ORDER = {"type": "string", "pattern": "^48-[0-9]{5}$", "description": "Order number, 48-20713."}


def _takes(required: list[str], **properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


DESK: tuple[Tool, ...] = (
    (
        "find_orders",
        (
            "Find the orders of a customer by e-mail address, newest first. Returns number, "
            "date and the names of the items of each order. Use it only if the customer gave "
            "no order number."
        ),
        _takes(
            ["email"],
            email={"type": "string", "format": "email", "description": "Address used in the shop."},
            since={
                "type": "string",
                "format": "date",
                "description": "Only orders after this day.",
            },
            limit={"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
        ),
    ),
    (
        "lookup_order",
        (
            "Read one order: items with prices and parts, payments, parcels with all scans, "
            "the window promised for delivery, returns and earlier conversations about it."
        ),
        _takes(
            ["order", "include"],
            order=_ORDER,
            include={
                "type": "array",
                "items": {"type": "string", "enum": ["items", "parcels", "payments", "notes"]},
                "description": "Parts of the order to read; all if empty.",
            },
        ),
    ),
    (
        "create_return",
        (
            "Order a return label for some items of an order. The label is sent to the customer by "
            "e-mail within a minute. Lamps with a built-in light source need `electrical`."
        ),
        _takes(
            ["order", "items", "reason"],
            order=_ORDER,
            items={"type": "array", "items": {"type": "integer"}, "description": "Line numbers."},
            reason={"type": "string", "enum": ["faulty", "damaged", "wrong", "unwanted"]},
            electrical={"type": "boolean", "default": False},
        ),
    ),
    (
        "refund",
        (
            "Refund an amount to the means of payment that was used. At most 150 EUR; larger "
            "amounts are refused. Ask the customer before you call it."
        ),
        _takes(
            ["order", "amount", "reason"],
            order=_ORDER,
            amount={"type": "number", "minimum": 0.01, "maximum": 150, "description": "In EUR."},
            reason={"type": "string", "maxLength": 200},
        ),
    ),
    (
        "escalate",
        "Hand the conversation over to a team of people, with a summary. Ends the conversation.",
        _takes(
            ["queue", "summary", "order"],
            queue={
                "type": "string",
                "enum": ["refunds", "carriers", "quality", "legal", "safety"],
            },
            summary={"type": "string", "maxLength": 400},
            order=_ORDER,
        ),
    ),
)

CODE: tuple[Tool, ...] = (
    (
        "read_file",
        (
            "Read a text file of the working tree. Returns numbered lines; long files are cut "
            "after 2,000 lines, read on with `start`."
        ),
        _takes(
            ["path"],
            path={"type": "string", "description": "Path from the root of the repository."},
            start={"type": "integer", "minimum": 1, "default": 1},
            lines={"type": "integer", "minimum": 1, "maximum": 2000, "default": 2000},
        ),
    ),
    (
        "grep",
        (
            "Search the working tree with a regular expression. Returns path, line number and "
            "line of each match, at most 200."
        ),
        _takes(
            ["pattern"],
            pattern={"type": "string", "description": "Expression in the syntax of Python's re."},
            under={"type": "string", "default": ".", "description": "Folder to search in."},
            kind={"type": "string", "enum": ["py", "sql", "md", "any"], "default": "any"},
        ),
    ),
    (
        "edit_file",
        (
            "Replace a text in a file. `old` must occur exactly once; the call fails otherwise and "
            "changes nothing. An empty `old` creates the file."
        ),
        _takes(
            ["path", "old", "new"],
            path={"type": "string"},
            old={"type": "string", "description": "The text to replace, exactly as in the file."},
            new={"type": "string", "description": "The text to put in its place."},
        ),
    ),
    (
        "run_tests",
        (
            "Run the test suite or a part of it. Returns the summary and the traceback of the "
            "first three failures. Takes about a minute without a target."
        ),
        _takes(
            [],
            target={"type": "string", "description": "A file, a folder or a test's id."},
            slow={"type": "boolean", "default": False, "description": "Also run tests/slow."},
        ),
    ),
    (
        "list_dir",
        "List the files and folders in a folder, with sizes. Hidden files are left out.",
        _takes(
            ["path"],
            path={"type": "string", "description": "Folder, from the root of the repository."},
            depth={"type": "integer", "minimum": 1, "maximum": 4, "default": 1},
        ),
    ),
)


def for_chat(tools: tuple[Tool, ...]) -> list[Json]:
    """As Chat Completions takes them."""
    return [
        {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
        for name, about, schema in tools
    ]


def for_responses(tools: tuple[Tool, ...]) -> list[Json]:
    """As Responses takes them."""
    return [
        {
            "type": "function",
            "name": name,
            "description": about,
            "parameters": schema,
            "strict": False,
        }
        for name, about, schema in tools
    ]


def for_anthropic(tools: tuple[Tool, ...]) -> list[Json]:
    """As Anthropic Messages takes them."""
    return [
        {"name": name, "description": about, "input_schema": schema}
        for name, about, schema in tools
    ]
