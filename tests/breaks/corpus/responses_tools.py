"""Responses: tools that changed."""

from .editing import Json, add, both, cut, edit, pick, put
from .pair import Expect, Pair
from .prose_desk import SUPPORT
from .responses import code, desk
from .toolbox import for_responses

WAS, NOW = desk(5), desk(9)
ABOUT = NOW["tools"][3]["description"]
COMMIT = for_responses(
    (
        (
            "commit",
            "Commit what is in the working tree, with a message.",
            {"type": "object", "properties": {"message": {"type": "string"}}},
        ),
    )
)[0]


def _tools(name: str, after: Json, expect: Expect, before: Json = WAS) -> Pair:
    return Pair(f"responses: {name}", "openai.responses", before, after, expect)


def _about(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next turn, with another description of the fourth tool."""
    was, now = both(WAS, NOW, "tools", 3, "description", a=a, b=b)
    expect = Expect(kind, "tools", "tools[3].description", offset=offset, relation="follows")
    return Pair(f"responses: {name}", "openai.responses", was, now, expect)


PAIRS = (
    _tools(
        "a tool was added at the end",
        add(code(12), "tools", 5, value=COMMIT),
        Expect("tool_added", "tools", "tools[5]", relation="follows", level="all"),
        code(11),
    ),
    _tools(
        "the first turn had no tools",
        NOW,
        Expect("tool_added", "tools", "tools", relation="follows"),
        cut(WAS, "tools"),
    ),
    _tools(
        "a built-in tool was added in front",
        add(NOW, "tools", 0, value={"type": "web_search", "search_context_size": "low"}),
        Expect("tool_added", "tools", "tools[0]", relation="follows"),
    ),
    _tools(
        "a tool was removed",
        cut(NOW, "tools", 0),
        Expect("tool_removed", "tools", "tools[0]", relation="follows"),
    ),
    _tools(
        "a tool was renamed, its schema is the same",
        put(code(12), "tools", 1, "name", value="search"),
        Expect("tool_renamed", "tools", "tools[1]", relation="follows"),
        code(11),
    ),
    _about(
        "a tool's description was edited",
        ABOUT,
        ABOUT.replace("At most 150 EUR", "At most 200 EUR"),
        *("tool_description", 64),
    ),
    _about(
        "the date inside a tool's description",
        f"{ABOUT} Limits as of Nov 23, 2026.",
        f"{ABOUT} Limits as of Nov 24, 2026.",
        *("timestamp", 156),
    ),
    _about(
        "the id of a server inside a tool's description",
        f"{ABOUT} (server mcp-4f2b9c81)",
        f"{ABOUT} (server mcp-d07e53aa)",
        *("random_id", 150),
    ),
    _about(
        "a tool's description with a non-breaking space",
        ABOUT,
        ABOUT.replace("150 EUR", "150\u00a0EUR"),
        *("invisible", 67),
    ),
    _tools(
        "a property of a tool became required",
        put(
            NOW,
            "tools",
            2,
            "parameters",
            "required",
            value=["order", "items", "reason", "electrical"],
        ),
        Expect("tool_schema", "tools", "tools[2].parameters", relation="follows"),
    ),
    _tools(
        "a tool became strict",
        put(NOW, "tools", 4, "strict", value=True),
        Expect("tool_schema", "tools", "tools[4]", relation="follows"),
    ),
    _tools(
        "false became 0 in a tool's schema",
        put(NOW, "tools", 2, "parameters", "properties", "electrical", "default", value=0),
        Expect(
            "tool_schema",
            "tools",
            "tools[2].parameters.properties.electrical.default",
            relation="follows",
        ),
    ),
    _tools(
        "the keys of a tool's schema in another order",
        pick(
            NOW,
            *("tools", 3, "parameters", "properties", "amount"),
            order=("description", "maximum", "minimum", "type"),
        ),
        Expect("key_order", "tools", "tools[3].parameters.properties.amount", relation="follows"),
    ),
    _tools(
        "the required list of a tool in another order",
        pick(code(12), "tools", 2, "parameters", "required", order=(1, 2, 0)),
        Expect("order", "tools", "tools[2].parameters.required", relation="follows"),
        code(11),
    ),
    _tools(
        "an enum of a tool in another order",
        pick(
            code(12), *("tools", 1, "parameters", "properties", "kind", "enum"), order=(3, 2, 0, 1)
        ),
        Expect("order", "tools", "tools[1].parameters.properties.kind.enum", relation="follows"),
        code(11),
    ),
    _tools(
        "the tools were sorted by name",
        pick(NOW, "tools", order=(2, 4, 0, 1, 3)),
        Expect("order", "tools", "tools[0]", relation="follows", level="all"),
    ),
    _tools(
        "two tools changed places and one of them was edited: the order comes first",
        edit(
            pick(code(12), "tools", order=(0, 2, 1, 3, 4)),
            *("tools", 3, "description"),
            old="about a minute",
            new="about two minutes",
        ),
        Expect("order", "tools", "tools[1]", relation="follows"),
        code(11),
    ),
    _tools(
        "a tool was removed, and the instructions have a new id",
        put(cut(NOW, "tools", 3), "instructions", value=f"{SUPPORT}\n\nrun 8d969eef6ecad3c2"),
        Expect("tool_removed", "tools", "tools[3]", relation="follows"),
        put(WAS, "instructions", value=f"{SUPPORT}\n\nrun 2bb80d537b1da3e3"),
    ),
)
