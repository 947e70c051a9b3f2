"""Dialects: a request cut into blocks and put together again."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.blocks import dumps, estimate_tokens, shared_blocks
from agentcache.dialects import DIALECTS, dialect, dialect_of
from agentcache.errors import OptionError
from agentcache.prints import prints

TOOL = {"type": "function", "function": {"name": "search"}}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.floats(-1, 1),
    st.text('aé漢"\\\n\x7f', max_size=6),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text("abk[]*.", max_size=4), inner, max_size=3),
    ),
    max_leaves=6,
)


def shuffled(draw: Any, items: dict[str, Any]) -> dict[str, Any]:
    return {key: items[key] for key in draw(st.permutations(list(items)))}


@st.composite
def parts(draw: Any, mark_key: str) -> Any:
    part: dict[str, Any] = {"type": "text", "text": draw(st.text(max_size=8))}
    if mark_key and draw(st.booleans()):
        part[mark_key] = draw(st.sampled_from([{"type": "ephemeral"}, None, {"ttl": "1h"}]))
    if draw(st.booleans()):
        part["extra"] = draw(anything)
    return shuffled(draw, part)


@st.composite
def marked_lists(draw: Any, wire: Any, items: Any = None) -> Any:
    """Parts of a message, with marks where this API puts them: in a part, or behind it."""
    inside = wire.mark_key if wire.mark_key != "cachePoint" else ""
    out = []
    for part in draw(st.lists(parts(inside) if items is None else items, max_size=3)):
        points = draw(st.integers(0, 2)) if wire.mark_key == "cachePoint" else 0
        out += [part, *[{"cachePoint": {"type": "default"}}] * points]
    return draw(st.sampled_from([out, out[1:]]))


@st.composite
def messages(draw: Any, wire: Any) -> Any:
    content = st.one_of(
        st.none(),
        st.text(max_size=8),
        marked_lists(wire),
        st.lists(st.text(max_size=3)),
    )
    message = {"role": draw(st.sampled_from(["system", "user", "assistant", "tool"]))}
    if draw(st.booleans()):
        message["content"] = draw(content)
    if draw(st.booleans()):
        message["tool_calls"] = draw(anything)
    return shuffled(draw, message)


def dict_of(tools: list[Any]) -> dict[str, Any]:
    return {"toolSpec": {"name": "t", "about": tools}}


@st.composite
def requests(draw: Any, name: str) -> Any:
    wire: Any = DIALECTS[name]
    some = st.lists(messages(wire), max_size=4)
    keys = ["name", "type", "x" if wire.mark_key in ("", "cachePoint") else wire.mark_key]
    tools = st.lists(st.dictionaries(st.sampled_from(keys), anything), max_size=3)
    body: dict[str, Any] = {wire.messages_key: draw(st.one_of(some, st.none()))}
    if name == "openai.responses":
        body["input"] = draw(st.one_of(some, st.text(max_size=5)))
        body["instructions"] = draw(st.one_of(st.none(), st.text(max_size=5)))
    if name == "anthropic.messages":
        body["system"] = draw(st.one_of(st.none(), st.text(max_size=5), marked_lists(wire)))
    if name == "bedrock.converse":
        body["system"] = draw(st.one_of(st.none(), marked_lists(wire)))
        config = {"tools": st.one_of(st.none(), marked_lists(wire, tools.map(dict_of)))}
        body["toolConfig"] = draw(st.fixed_dictionaries({}, optional={**config, "x": anything}))
    if draw(st.booleans()):
        body["tools"] = draw(st.one_of(tools, st.none()))
    keys = st.one_of(
        st.sampled_from([*wire.rendered, "temperature", "*order", "a[0]"]), st.text(max_size=4)
    )
    for key in draw(st.lists(keys, max_size=4, unique=True)):
        body.setdefault(key, draw(anything))
    return shuffled(draw, body)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_blocks_put_together_again_are_the_request_byte_for_byte(name, data) -> None:
    body = data.draw(requests(name))
    wire = dialect(name)

    again = wire.request(wire.blocks(body))

    assert json.dumps(again) == json.dumps(body)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_blocks_stand_in_the_order_in_which_providers_hash_them(name, data) -> None:
    order = ["params", "tools", "system", "messages", "free"]

    sections = [b.section for b in dialect(name).blocks(data.draw(requests(name)))]

    assert sections == sorted(sections, key=order.index)


def test_a_marks_place_and_value_do_not_make_another_block() -> None:
    wire = dialect("anthropic.messages")
    bare = {"system": [{"type": "text", "text": "S"}], "messages": []}
    marked = {"system": [{"type": "text", "cache_control": {}, "text": "S"}], "messages": []}

    assert [b.identity for b in wire.blocks(bare)] == [b.identity for b in wire.blocks(marked)]
    assert [bool(b.mark) for b in wire.blocks(marked)] == [True, False]


def test_a_cache_point_is_the_mark_of_the_block_before_it() -> None:
    wire = dialect("bedrock.converse")
    point = {"cachePoint": {"type": "default"}}
    tools = [{"toolSpec": {"name": "t"}}]
    bare = {
        "toolConfig": {"tools": tools},
        "system": [{"text": "S"}],
        "messages": [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}],
    }
    marked = {
        "toolConfig": {"tools": [*tools, point]},
        "system": [{"text": "S"}, point],
        "messages": [{"role": "user", "content": [{"text": "a"}, point, {"text": "b"}]}],
    }

    assert [b.identity for b in wire.blocks(bare)[:4]] == [
        b.identity for b in wire.blocks(marked)[:4]
    ]
    assert [bool(b.mark) for b in wire.blocks(marked)[:4]] == [True, True, True, False]
    assert wire.tools_of(marked) == tuple(tools)


def test_a_mark_of_a_converse_request_is_written_behind_its_block() -> None:
    wire = dialect("bedrock.converse")
    part = {"type": wire.text_type, "text": "S", "cachePoint": wire.mark("1h")}

    body = wire.join({"modelId": "m"}, [], [part], [{"role": "user", "content": [{"text": "a"}]}])

    assert body["system"] == [{"text": "S"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["messages"] == [{"role": "user", "content": [{"text": "a"}]}]


def test_what_converse_says_of_tools_besides_them_stays() -> None:
    wire = dialect("bedrock.converse")
    body = {"toolConfig": {"tools": [{"toolSpec": {"name": "t"}}], "toolChoice": {"any": {}}}}

    found = wire.split({**body, "messages": []})

    assert found.rest == {"toolConfig": {"toolChoice": {"any": {}}}}
    assert wire.join(found.rest, found.tools, [], [])["toolConfig"] == body["toolConfig"]


def test_rendering_params_are_compared_in_one_order_whatever_the_sending_order() -> None:
    wire = dialect("openai.chat")
    one = wire.blocks({"model": "m", "verbosity": "low", "messages": []})
    other = wire.blocks({"verbosity": "low", "messages": [], "model": "m"})

    assert shared_blocks(one, other) == 2


def test_key_order_inside_a_tool_makes_another_block() -> None:
    wire = dialect("openai.chat")
    one = wire.blocks({"tools": [{"a": 1, "b": 2}], "messages": []})
    other = wire.blocks({"tools": [{"b": 2, "a": 1}], "messages": []})

    assert shared_blocks(one, other) == 0


def test_paths_say_where_a_block_stands() -> None:
    body = {
        "model": "m",
        "tools": [TOOL],
        "messages": [
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
        ],
    }

    paths = [b.path for b in dialect("openai.chat").blocks(body)]

    assert paths == [
        "model",
        "tools[0]",
        "messages[0]",
        "messages[1].content[0]",
        "messages[1].content[1]",
        "*order",
    ]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"model": "gpt-6-luna", "messages": []}, "openai.chat"),
        ({"model": "gpt-6-luna", "input": "hi"}, "openai.responses"),
        ({"model": "x", "system": "S", "messages": []}, "anthropic.messages"),
        ({"model": "claude-haiku-5-5", "max_tokens": 9, "messages": []}, "anthropic.messages"),
        ({"messages": [], "tools": [{"name": "t", "input_schema": {}}]}, "anthropic.messages"),
        ({"messages": [], "tools": [TOOL]}, "openai.chat"),
        ({"messages": [], "tools": None}, "openai.chat"),
        ({"modelId": "us.anthropic.claude-x", "messages": []}, "bedrock.converse"),
    ],
)
def test_a_dialect_is_guessed_from_the_shape_of_a_request(body, name) -> None:
    assert dialect_of(body).name == name


def test_what_is_no_chat_request_is_refused() -> None:
    with pytest.raises(OptionError, match=r"neither 'messages' nor 'input': \['prompt'\]"):
        dialect_of({"prompt": "hi"})


def test_an_unknown_dialect_is_refused_naming_those_there_are() -> None:
    with pytest.raises(OptionError, match=r"No dialect 'gopher'.*anthropic\.messages"):
        dialect("gopher")


def test_leading_system_messages_are_the_system_text_of_a_chat() -> None:
    found = dialect("openai.chat").split(
        {
            "messages": [
                {"role": "system", "content": "one"},
                {"role": "developer", "content": [{"type": "text", "text": "two"}]},
                {"role": "user", "content": "go"},
                {"role": "system", "content": "later"},
            ]
        }
    )

    assert found.system == ("one", "two")
    assert [m["role"] for m in found.messages] == ["user", "system"]


def test_instructions_and_leading_developer_items_are_the_system_text_of_a_response() -> None:
    found = dialect("openai.responses").split(
        {
            "instructions": "one",
            "input": [{"role": "developer", "content": "two"}, {"role": "user"}],
        }
    )

    assert (found.system, found.messages) == (("one", "two"), ({"role": "user"},))


def test_a_text_input_becomes_a_user_item() -> None:
    found = dialect("openai.responses").split({"input": "hi"})

    assert found.messages == ({"role": "user", "content": "hi"},)


def test_the_text_dialect_leaves_the_programs_own_messages_as_they_are() -> None:
    own = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}

    opened = dialect("openai.chat.text").opened([{"type": "text", "text": "T"}], [own])

    assert opened == [{"role": "user", "content": "T"}, own]


@pytest.mark.parametrize(
    ("name", "tool", "called"),
    [
        ("openai.chat", TOOL, "search"),
        ("openai.chat", {"type": "custom", "custom": {"name": "c"}}, "c"),
        ("openai.responses", {"type": "function", "name": "search"}, "search"),
        ("openai.responses", {"type": "web_search"}, "web_search"),
        ("anthropic.messages", {"name": "search"}, "search"),
        ("anthropic.messages", {"type": "bash_20250124"}, "bash_20250124"),
        ("bedrock.converse", {"toolSpec": {"name": "search"}}, "search"),
        ("bedrock.converse", {"systemTool": {"name": "grounding"}}, "grounding"),
    ],
)
def test_tools_are_known_by_name(name, tool, called) -> None:
    assert dialect(name).tool_name(tool) == called


@pytest.mark.parametrize(
    ("name", "message", "part", "may"),
    [
        ("openai.chat", {"role": "user"}, {"type": "text", "text": "x"}, True),
        ("openai.chat", {"role": "assistant"}, {"type": "text", "text": "x"}, False),
        ("openai.responses", {"role": "user"}, {"type": "input_text"}, True),
        ("openai.responses", {"role": "assistant"}, {"type": "output_text"}, False),
        ("anthropic.messages", {"role": "assistant"}, {"type": "text", "text": "x"}, True),
        ("anthropic.messages", {"role": "user"}, {"type": "text", "text": ""}, False),
        ("anthropic.messages", {"role": "assistant"}, {"type": "thinking"}, False),
        ("openai.chat.control", {"role": "user"}, {"type": "text", "text": "x"}, True),
        ("openai.chat.control", {"role": "user"}, {"type": "text", "text": ""}, False),
        ("bedrock.converse", {"role": "user"}, {"text": "x"}, True),
        ("bedrock.converse", {"role": "user"}, {"text": ""}, False),
        ("bedrock.converse", {"role": "user"}, {"toolResult": {}}, True),
        ("bedrock.converse", {"role": "user"}, {"document": {}}, False),
        ("bedrock.converse", {"role": "assistant"}, {"reasoningContent": {}}, False),
    ],
)
def test_only_some_parts_can_carry_a_mark(name, message, part, may) -> None:
    assert dialect(name).markable(message, part) is may


def test_fingerprints_of_equal_prefixes_are_equal_and_keep_no_text() -> None:
    wire = dialect("openai.chat")
    one = prints(wire.blocks({"messages": [{"role": "user", "content": "secret"}]}))
    two = prints(
        wire.blocks(
            {"messages": [{"role": "user", "content": "secret"}, {"role": "user", "content": "b"}]}
        )
    )

    assert one[0].chain == two[0].chain
    assert "secret" not in repr(one)


def test_fingerprints_leave_out_what_does_not_render() -> None:
    wire = dialect("openai.chat")
    cool = prints(wire.blocks({"model": "m", "temperature": 0, "messages": []}))
    warm = prints(wire.blocks({"temperature": 1, "model": "m", "messages": []}))

    assert cool == warm


def test_half_a_surrogate_pair_is_fingerprinted_too() -> None:
    body = {"messages": [{"role": "user", "content": "\ud83d"}]}

    assert len(prints(dialect("openai.chat").blocks(body))) == 1


def test_an_sdks_own_object_is_named_by_its_type_and_not_by_its_address() -> None:
    class Message:
        pass

    assert dumps([Message(), Message]).count(f"{Message.__qualname__}>") == 2
    assert "0x" not in dumps(Message())


@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_is_never_estimated_at_fewer_tokens_by_much(one, two) -> None:
    assert estimate_tokens(one + two) >= estimate_tokens(one) - 1
