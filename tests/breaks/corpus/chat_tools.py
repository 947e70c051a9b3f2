"""Chat Completions: tools that changed."""

from .chat import desk
from .editing import add, both, cut, edit, pick, put, within
from .pair import Expect, Pair
from .prose_desk import SUPPORT
from .toolbox import Json, for_chat

WAS, NOW = desk(5), desk(9)
ABOUT = NOW["tools"][1]["function"]["description"]
TRACK = for_chat(
    (
        (
            "track_parcel",
            "Read the scans of one parcel from its carrier, newest first.",
            {
                "type": "object",
                "properties": {"tracking": {"type": "string"}},
                "required": ["tracking"],
            },
        ),
    )
)[0]


def _tools(name: str, after: Json, expect: Expect, before: Json = WAS, **options: str) -> Pair:
    return Pair(f"chat: {name}", "openai.chat", before, after, expect, options)


def _about(name: str, a: str, b: str, kind: str, offset: int) -> Pair:
    """The next turn, with another description of the second tool."""
    was, now = both(WAS, NOW, "tools", 1, "function", "description", a=a, b=b)
    path = "tools[1].function.description"
    expect = Expect(kind, "tools", path, offset=offset, relation="follows")
    return Pair(f"chat: {name}", "openai.chat", was, now, expect)


PAIRS = (
    _tools(
        "a tool was added at the end",
        add(NOW, "tools", 5, value=TRACK),
        Expect("tool_added", "tools", "tools[5]", relation="follows", level="all"),
    ),
    _tools(
        "a tool was added in the middle",
        add(desk(9, model="gpt-6-luna"), "tools", 2, value=TRACK),
        Expect("tool_added", "tools", "tools[2]", relation="follows"),
        desk(5, model="gpt-6-luna"),
    ),
    _tools(
        "a tool was removed",
        cut(NOW, "tools", 2),
        Expect("tool_removed", "tools", "tools[2]", relation="follows"),
    ),
    _tools(
        "the last turn goes without tools",
        cut(desk(9, model="gpt-5.6-luna"), "tools"),
        Expect("tool_removed", "tools", "tools", relation="follows"),
        desk(5, model="gpt-5.6-luna"),
    ),
    _tools(
        "a tool was renamed, its schema is the same",
        put(NOW, "tools", 3, "function", "name", value="refund_customer"),
        Expect("tool_renamed", "tools", "tools[3]", relation="follows"),
    ),
    _about(
        "a tool's description was edited",
        ABOUT,
        ABOUT.replace("all scans", "the latest scan"),
        "tool_description",
        68,
    ),
    _about(
        "a timestamp inside a tool's description",
        f"{ABOUT} Data as of 2026-11-23 09:14.",
        f"{ABOUT} Data as of 2026-11-23 09:29.",
        "timestamp",
        182,
    ),
    _about(
        "a tool's description lost the indentation of its docstring",
        "Read one order.\n\n    Returns items with prices, payments and parcels.\n    ",
        "Read one order.\n\nReturns items with prices, payments and parcels.\n",
        "whitespace",
        17,
    ),
    _tools(
        "a property was added to a tool's schema",
        put(
            NOW,
            *("tools", 3, "function", "parameters", "properties", "notify"),
            value={"type": "boolean", "default": True},
        ),
        Expect("tool_schema", "tools", "tools[3].function.parameters", relation="follows"),
    ),
    _tools(
        "a number in a tool's schema became a float of the same value",
        put(
            NOW,
            *("tools", 3, "function", "parameters", "properties", "amount", "maximum"),
            value=150.0,
        ),
        Expect(
            "tool_schema",
            "tools",
            "tools[3].function.parameters.properties.amount.maximum",
            relation="follows",
        ),
    ),
    _tools(
        "a tool became strict",
        put(NOW, "tools", 0, "function", "strict", value=True),
        Expect("tool_schema", "tools", "tools[0].function", relation="follows"),
    ),
    _tools(
        "the keys of a tool's schema in another order",
        pick(
            NOW,
            *("tools", 1, "function", "parameters"),
            order=("properties", "required", "type", "additionalProperties"),
        ),
        Expect("key_order", "tools", "tools[1].function.parameters", relation="follows"),
    ),
    _tools(
        "the properties of a tool in another order",
        pick(
            desk(9, model="Qwen/Qwen3-32B"),
            *("tools", 2, "function", "parameters", "properties"),
            order=("electrical", "items", "order", "reason"),
        ),
        Expect("key_order", "tools", "tools[2].function.parameters.properties", relation="follows"),
        desk(5, model="Qwen/Qwen3-32B"),
        provider="vllm",
    ),
    _tools(
        "the required list of a tool in another order",
        pick(NOW, *("tools", 3, "function", "parameters", "required"), order=(2, 0, 1)),
        Expect("order", "tools", "tools[3].function.parameters.required", relation="follows"),
    ),
    _tools(
        "an enum of a tool in another order",
        pick(
            NOW,
            *("tools", 4, "function", "parameters", "properties", "queue", "enum"),
            order=(3, 4, 1, 0, 2),
        ),
        Expect(
            "order",
            "tools",
            "tools[4].function.parameters.properties.queue.enum",
            relation="follows",
        ),
    ),
    _tools(
        "the same tools in another order",
        pick(desk(9, model="gpt-6-luna"), "tools", order=(2, 4, 0, 1, 3)),
        Expect("order", "tools", "tools[0]", relation="follows", level="all"),
        desk(5, model="gpt-6-luna"),
    ),
    _tools(
        "two tools changed places and a later one was edited",
        edit(
            pick(NOW, "tools", order=(1, 0, 2, 3, 4)),
            *("tools", 4, "function", "description"),
            old="a team of people",
            new="a colleague",
        ),
        Expect("order", "tools", "tools[0]", relation="follows"),
    ),
    _tools(
        "a tool was edited and two later ones changed places",
        edit(
            pick(NOW, "tools", order=(0, 1, 2, 4, 3)),
            *("tools", 0, "function", "description"),
            old="newest first",
            new="oldest first",
        ),
        Expect(
            "tool_description",
            "tools",
            "tools[0].function.description",
            offset=49,
            relation="follows",
        ),
    ),
    _tools(
        "a tool was added and the system prompt has a new date: tools stand first",
        add(
            put(NOW, "messages", 0, "content", value=f"{SUPPORT}\n\nDate: 2026-11-24"),
            *("tools", 5),
            value=TRACK,
        ),
        Expect("tool_added", "tools", "tools[5]", relation="follows"),
        put(WAS, "messages", 0, "content", value=f"{SUPPORT}\n\nDate: 2026-11-23"),
    ),
    _tools(
        "the sampling changed and a schema too: the schema is the cause",
        put(
            within(NOW, temperature=0.2),
            *("tools", 0, "function", "parameters", "properties", "limit", "maximum"),
            value=100,
        ),
        Expect(
            "tool_schema",
            "tools",
            "tools[0].function.parameters.properties.limit.maximum",
            relation="follows",
        ),
        within(WAS, temperature=0.7),
    ),
    Pair(
        "chat: a default that was computed when the tools were built",
        "openai.chat",
        *both(
            WAS,
            NOW,
            *("tools", 0, "function", "parameters", "properties", "since", "default"),
            a="2026-11-23T09:14:07",
            b="2026-11-23T09:31:52",
        ),
        Expect(
            "timestamp",
            "tools",
            "tools[0].function.parameters.properties.since.default",
            offset=14,
            relation="follows",
        ),
    ),
)
