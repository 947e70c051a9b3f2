"""Anthropic Messages: tools that changed."""

from .claude import MARK, code, desk, told
from .editing import Json, add, both, cut, edit, pick, put
from .pair import Expect, Pair
from .prose_desk import SUPPORT

WAS, NOW = desk(5), desk(9)
STEP, NEXT = code(9), code(10)
ABOUT = NEXT["tools"][0]["description"]
COMMIT = {
    "name": "commit",
    "description": "Commit what is in the working tree, with a message.",
    "input_schema": {"type": "object", "properties": {"message": {"type": "string"}}},
}


def _tools(name: str, after: Json, expect: Expect, before: Json = STEP) -> Pair:
    return Pair(f"anthropic: {name}", "anthropic.messages", before, after, expect)


def _about(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next step, with another description of the first tool."""
    was, now = both(STEP, NEXT, "tools", 0, "description", a=a, b=b)
    expect = Expect(kind, "tools", "tools[0].description", offset=offset, relation="follows")
    return _tools(name, now, expect, was)


def _marked(request: Json, last: int) -> Json:
    """The request with a mark on a tool too."""
    return put(request, "tools", last, "cache_control", value=MARK)


PAIRS = (
    _tools(
        "a tool was added at the end",
        add(NEXT, "tools", 5, value=COMMIT),
        Expect("tool_added", "tools", "tools[5]", relation="follows", level="all"),
    ),
    _tools(
        "a tool was added behind the marked one, and marked in its place",
        _marked(add(NEXT, "tools", 5, value=COMMIT), 5),
        Expect("tool_added", "tools", "tools[5]", relation="follows"),
        _marked(STEP, 4),
    ),
    _tools(
        "a server's tool was added in front",
        add(NEXT, "tools", 0, value={"type": "web_search_20250305", "name": "web_search"}),
        Expect("tool_added", "tools", "tools[0]", relation="follows"),
    ),
    _tools(
        "a tool was removed",
        cut(NEXT, "tools", 3),
        Expect("tool_removed", "tools", "tools[3]", relation="follows"),
    ),
    _tools(
        "the last turn goes without tools",
        cut(NOW, "tools"),
        Expect("tool_removed", "tools", "tools", relation="follows"),
        WAS,
    ),
    _tools(
        "a tool was renamed, its schema is the same",
        put(NEXT, "tools", 4, "name", value="ls"),
        Expect("tool_renamed", "tools", "tools[4]", relation="follows"),
    ),
    _about(
        "a tool's description was edited",
        ABOUT,
        ABOUT.replace("2,000 lines", "500 lines"),
        *("tool_description", 87),
    ),
    _about(
        "the time inside a tool's description",
        f"{ABOUT} Index of 2026-11-23T09:14.",
        f"{ABOUT} Index of 2026-11-23T10:02.",
        *("timestamp", 142),
    ),
    _about(
        "a uuid inside a tool's description",
        f"{ABOUT} Sandbox 1b4e28ba-2fa1-11d2-883f-0016d3cca427.",
        f"{ABOUT} Sandbox 6fa459ea-ee8a-3ca4-894e-db77e160355e.",
        *("random_id", 130),
    ),
    _about(
        "a newline at the end of a tool's description",
        ABOUT,
        f"{ABOUT}\n",
        *("whitespace", 121),
    ),
    _about(
        "the formats that a tool's description lists, in another order",
        f"{ABOUT} Formats: csv, json, toml, yaml.",
        f"{ABOUT} Formats: yaml, csv, toml, json.",
        *("order", 131),
    ),
    _tools(
        "a property was added to a tool's schema",
        put(
            NEXT,
            *("tools", 1, "input_schema", "properties", "ignore_case"),
            value={"type": "boolean", "default": False},
        ),
        Expect("tool_schema", "tools", "tools[1].input_schema", relation="follows"),
    ),
    _tools(
        "true became 1 in a tool's schema",
        put(NOW, "tools", 2, "input_schema", "properties", "electrical", "default", value=1),
        Expect(
            "tool_schema",
            "tools",
            "tools[2].input_schema.properties.electrical.default",
            relation="follows",
        ),
        put(WAS, "tools", 2, "input_schema", "properties", "electrical", "default", value=True),
    ),
    _tools(
        "the keys of a tool's schema in another order",
        pick(
            NEXT,
            *("tools", 2, "input_schema"),
            order=("additionalProperties", "properties", "required", "type"),
        ),
        Expect("key_order", "tools", "tools[2].input_schema", relation="follows"),
    ),
    _tools(
        "the required list of a tool in another order",
        pick(NEXT, "tools", 2, "input_schema", "required", order=(2, 1, 0)),
        Expect("order", "tools", "tools[2].input_schema.required", relation="follows"),
    ),
    _tools(
        "an enum of a tool in another order",
        pick(NEXT, *("tools", 1, "input_schema", "properties", "kind", "enum"), order=(1, 0, 2, 3)),
        Expect("order", "tools", "tools[1].input_schema.properties.kind.enum", relation="follows"),
    ),
    _tools(
        "the same tools in another order",
        pick(NEXT, "tools", order=(4, 3, 2, 1, 0)),
        Expect("order", "tools", "tools[0]", relation="follows", level="all"),
    ),
    _tools(
        "the tools were reordered and one of them was edited: the order comes first",
        put(
            pick(NEXT, "tools", order=(3, 0, 1, 2, 4)),
            *("tools", 4, "description"),
            value="List a folder.",
        ),
        Expect("order", "tools", "tools[0]", relation="follows"),
    ),
    _tools(
        "a schema was edited, later tools reordered: the schema comes first",
        put(
            pick(NEXT, "tools", order=(0, 1, 2, 4, 3)),
            *("tools", 0, "input_schema", "properties", "lines", "maximum"),
            value=500,
        ),
        Expect(
            "tool_schema",
            "tools",
            "tools[0].input_schema.properties.lines.maximum",
            relation="follows",
        ),
    ),
    _tools(
        "a description and the system prompt were edited: tools stand first",
        edit(
            desk(9, system=told(f"{SUPPORT}\n\nBe brief.")),
            *("tools", 4, "description"),
            old="a team of people",
            new="a colleague",
        ),
        Expect("tool_description", "tools", "tools[4].description", offset=32, relation="follows"),
        WAS,
    ),
)
