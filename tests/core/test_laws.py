"""The laws of a fork (DESIGN, section 5), for every dialect and family, as properties."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agentcache.blocks import dumps
from agentcache.dialects import dialect
from agentcache.errors import FrozenError, OptionError
from agentcache.layout import reference_to
from agentcache.parent import CacheDomain, Parent, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session

BRIEF = "The brief, which all of them share. " + "facts about the market " * 400
NOTES = "Notes of the last meeting. " + "somebody said something " * 20
SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WIRES = [
    ("openai.chat", "gpt-6-luna"),
    ("openai.chat", "gpt-4.1-mini"),
    ("openai.chat", "somebody-else"),
    ("openai.chat", "agentcache-agent"),
    ("openai.chat.control", "claude-haiku-5-5"),
    ("openai.chat.control", "somebody-else"),
    ("openai.chat.text", "gpt-4.1-mini"),
    ("openai.chat.text", "somebody-else"),
    ("openai.responses", "gpt-6-luna"),
    ("openai.responses", "gpt-4.1-mini"),
    ("anthropic.messages", "claude-haiku-5-5"),
    ("anthropic.messages", "somebody-else"),
    ("bedrock.converse", "claude-haiku-5-5"),
    ("bedrock.converse", "somebody-else"),
]
every_wire = pytest.mark.parametrize(("wire", "model"), WIRES)
NAMES = ("search", "read", "write")
texts = st.text('abc äß漢\n"\\{}[]', min_size=1, max_size=20).filter(str.strip)
shared = st.sampled_from([BRIEF, NOTES, f"Before.\n{BRIEF}\nAfter.", f"{NOTES} and {BRIEF}"])
turns = st.lists(
    st.one_of(
        st.tuples(st.just("user"), st.one_of(texts, shared), st.booleans()),
        st.tuples(st.just("call"), st.sampled_from(NAMES), texts),
    ),
    max_size=6,
)
agents = st.fixed_dictionaries(
    {
        "system": texts,
        "opening": st.one_of(texts, shared),
        "as_list": st.booleans(),
        "named": st.booleans(),
        "content_first": st.booleans(),
        "tools": st.sets(st.sampled_from(NAMES)).map(sorted),
        "turns": turns,
    }
)


def tool(wire: str, name: str) -> dict[str, Any]:
    about = {"name": name, "description": f"To {name}."}
    schema = {"type": "object", "properties": {"what": {"type": "string"}}}
    if wire == "anthropic.messages":
        return {**about, "input_schema": schema}
    if wire == "openai.responses":
        return {"type": "function", **about, "parameters": schema}
    if wire == "bedrock.converse":
        return {"toolSpec": {**about, "inputSchema": {"json": schema}}}
    return {"type": "function", "function": {**about, "parameters": schema}}


def user(wire: str, text: str, *, as_list: bool, **more: str) -> dict[str, Any]:
    kind = dialect(wire).text_type
    content: Any = [{"type": kind, "text": text}] if as_list else text
    if wire == "bedrock.converse":
        content = [{"text": text}]
    return {"role": "user", "content": content, **more}


def call(wire: str, n: int, name: str, text: str) -> list[dict[str, Any]]:
    given_ = {"what": text}
    if wire == "anthropic.messages":
        use = {"type": "tool_use", "id": f"c{n}", "name": name, "input": given_}
        result = {"type": "tool_result", "tool_use_id": f"c{n}", "content": text}
        return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    if wire == "openai.responses":
        return [
            {"type": "function_call", "call_id": f"c{n}", "name": name, "arguments": dumps(given_)},
            {"type": "function_call_output", "call_id": f"c{n}", "output": text},
        ]
    if wire == "bedrock.converse":
        use = {"toolUse": {"toolUseId": f"c{n}", "name": name, "input": given_}}
        result = {"toolResult": {"toolUseId": f"c{n}", "content": [{"text": text}]}}
        return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    made = {"id": f"c{n}", "type": "function"}
    made["function"] = {"name": name, "arguments": dumps(given_)}  # type: ignore[assignment]
    return [
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": f"c{n}", "content": text},
    ]


def said(wire: str, agent: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The agent's messages as they grow, turn by turn."""
    unnamed = ("anthropic.messages", "bedrock.converse")
    more = {"name": "boss"} if agent["named"] and wire not in unnamed else {}
    first = user(wire, agent["opening"], as_list=agent["as_list"], **more)
    if agent["content_first"]:
        first = dict(reversed(first.items()))
    grown = [[first]]
    for n, (kind, what, how) in enumerate(agent["turns"]):
        if kind == "user":
            text: Any = [{"text": "Reply."}] if wire == "bedrock.converse" else f"Reply {n}."
            reply = {"role": "assistant", "content": text}
            added = [reply, user(wire, what, as_list=how)]
        else:
            added = call(wire, n, what, how)
        grown.append([*grown[-1], *added])
    return grown


def request(
    wire: str, model: str, system: str, messages: list[dict[str, Any]], tools: list[str]
) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "temperature": 0.5}
    if wire == "bedrock.converse":
        body = {"modelId": model, "inferenceConfig": {"temperature": 0.5}, "messages": messages}
        body["system"] = [{"text": system}]
        if tools:
            body["toolConfig"] = {"tools": [tool(wire, name) for name in tools]}
        return json.loads(json.dumps(body))
    if wire == "anthropic.messages":
        body |= {"max_tokens": 100, "system": system, "messages": messages}
    elif wire == "openai.responses":
        body |= {"instructions": system, "input": messages}
    else:
        body |= {"messages": [{"role": "system", "content": system}, *messages]}
    if tools:
        body["tools"] = [tool(wire, name) for name in tools]
    return json.loads(json.dumps(body))


def requests(wire: str, model: str, agent: dict[str, Any]) -> list[dict[str, Any]]:
    return [request(wire, model, agent["system"], m, agent["tools"]) for m in said(wire, agent)]


def parent(wire: str, model: str, **more: Any) -> Parent:
    rule = rule_for(model)
    if rule.marks and wire == "bedrock.converse":
        rule = rule.model_copy(update={"mark_key": "cachePoint"})
    domain = more.pop("domain", CacheDomain(rule.provider, model))
    return freeze(
        wire,
        rule,
        domain,
        **{
            "system": "You are one of a team.",
            "context": [BRIEF, NOTES],
            "tools": [tool(wire, name) for name in NAMES],
            "params": {"modelId" if wire == "bedrock.converse" else "model": model},
            **more,
        },
    )


def identities(wire: str, body: dict[str, Any]) -> list[str]:
    received = json.loads(json.dumps(body))  # as the server reads it
    return [b.identity for b in dialect(wire).blocks(received) if b.section != "free"]


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def expanded(text: str) -> str:
    for context in (BRIEF, NOTES):
        text = text.replace(reference_to(context), context)
    return text


@every_wire
@SETTINGS
@given(agent=agents)
def test_every_fork_starts_with_all_of_its_parent_byte_for_byte(wire, model, agent) -> None:
    session = Session(parent(wire, model))
    fork = session.fork("worker")
    trunk = [b.identity for b in session.parent.blocks()]

    for body in requests(wire, model, agent):
        sent = fork.rewrite(body)

        assert sent.forked
        assert identities(wire, sent.request)[: len(trunk)] == trunk


@every_wire
@SETTINGS
@given(agent=agents)
def test_every_text_and_tool_of_the_original_is_in_the_fork(wire, model, agent) -> None:
    fork = Session(parent(wire, model)).fork("worker")
    body = requests(wire, model, agent)[-1]

    sent = fork.rewrite(body).request

    everything = "\x00".join(expanded(text) for text in strings(sent))
    assert [text for text in strings(body) if text not in everything] == []
    tools_of = dialect(wire).tools_of
    assert all(one in tools_of(sent) for one in tools_of(body))


@every_wire
@SETTINGS
@given(agent=agents)
def test_a_fork_rewritten_again_stays_as_it_is(wire, model, agent) -> None:
    fork = Session(parent(wire, model)).fork("worker")
    once = fork.rewrite(requests(wire, model, agent)[-1])

    twice = fork.rewrite(once.request)

    assert twice.forked
    assert json.dumps(twice.request) == json.dumps(once.request)


@every_wire
@SETTINGS
@given(agent=agents, extended_after=st.integers(0, 6), drops_tools=st.booleans())
def test_a_growing_conversation_only_appends(
    wire, model, agent, extended_after, drops_tools
) -> None:
    session = Session(parent(wire, model))
    fork = session.fork("worker")
    bodies = requests(wire, model, agent)
    if drops_tools and len(bodies) > 1:  # as frameworks do for a last, forced answer
        bodies[-1].pop("tools", None)
    before: list[str] = []
    for n, body in enumerate(bodies):
        after = identities(wire, fork.rewrite(body).request)
        assert after[: len(before)] == before
        before = after
        if n == extended_after:
            session.extend("A result that all share from now on.")


@every_wire
@SETTINGS
@given(agent=agents)
def test_the_programs_request_is_left_as_it_was(wire, model, agent) -> None:
    fork = Session(parent(wire, model)).fork("worker")
    body = requests(wire, model, agent)[-1]
    before = json.dumps(body)

    fork.rewrite(body)

    assert json.dumps(body) == before


@every_wire
@SETTINGS
@given(agent=agents, other=agents)
def test_siblings_share_exactly_the_trunk_or_more(wire, model, agent, other) -> None:
    assume(agent["system"] != other["system"])
    session = Session(parent(wire, model))
    first = session.fork("a").rewrite(requests(wire, model, agent)[-1])
    second = session.fork("b").rewrite(requests(wire, model, other)[-1])

    common = [x for x, y in zip(first.sent, second.sent, strict=False) if x.chain == y.chain]

    assert len(common) == len(session.parent.blocks())


@every_wire
def test_extending_only_appends_to_the_trunk(wire, model) -> None:
    session = Session(parent(wire, model))
    before = [b.identity for b in session.parent.blocks()]

    session.extend("one", "two")
    session.extend("three")

    after = [b.identity for b in session.parent.blocks()]
    assert after[: len(before)] == before
    assert session.parent.context[2:] == ("one", "two", "three")


@every_wire
def test_a_new_conversation_reads_the_extended_trunk(wire, model) -> None:
    session = Session(parent(wire, model))
    fork = session.fork("worker")
    body = request(wire, model, "Me.", [user(wire, "Go.", as_list=False)], [])
    fork.rewrite(body)

    session.extend("A result that all share from now on.")

    assert "A result that all share" in dumps(fork.rewrite(body).request)


@every_wire
def test_a_fork_made_before_the_trunk_grew_is_still_a_fork(wire, model) -> None:
    session = Session(parent(wire, model))
    body = request(wire, model, "Me.", [user(wire, "Go.", as_list=False)], [])
    before = session.fork("worker").rewrite(body).request

    session.extend("More.")

    assert session.fork("worker").rewrite(before).request == before


@pytest.mark.parametrize("name", ["parent", "domain", "affinity_id", "terms", "key", "anything"])
def test_nothing_of_a_session_can_be_set(name) -> None:
    session = Session(parent("openai.chat", "gpt-6-luna"))

    with pytest.raises(FrozenError, match=rf"Session\.{name} cannot be set.*extend"):
        setattr(session, name, "new")


@pytest.mark.parametrize("name", ["session", "name", "tools"])
def test_nothing_of_a_fork_can_be_set(name) -> None:
    fork = Session(parent("openai.chat", "gpt-6-luna")).fork("worker")

    with pytest.raises(AttributeError):
        setattr(fork, name, "new")


@pytest.mark.parametrize("name", ["system", "context", "tools", "params", "rule", "domain"])
def test_nothing_of_a_parent_can_be_set(name) -> None:
    with pytest.raises(AttributeError):
        setattr(parent("openai.chat", "gpt-6-luna"), name, "new")


def test_tools_are_handed_out_as_copies() -> None:
    held = parent("openai.chat", "gpt-6-luna")

    held.tool("search")["function"]["name"] = "changed"  # type: ignore[index]
    held.request()["tools"][0]["function"]["name"] = "changed"

    assert held.tool_names == ("read", "search", "write")


def test_what_the_caller_changes_after_freezing_changes_nothing() -> None:
    context, tools = [BRIEF], [tool("openai.chat", name) for name in NAMES]
    params: dict[str, Any] = {"model": "gpt-6-luna", "response_format": {"type": "text"}}
    held = parent("openai.chat", "gpt-6-luna", context=context, tools=tools, params=params)
    before = held.digest()

    context.append("more")
    tools[0]["function"]["name"] = "changed"
    params["response_format"]["type"] = "json_object"

    assert held.digest() == before


def test_what_the_caller_changes_in_a_sent_request_changes_no_rule() -> None:
    session = Session(parent("openai.chat", "gpt-6-luna"))
    body = request("openai.chat", "gpt-6-luna", "Me.", [], [])
    sent = session.fork("worker").rewrite(body).request

    sent["prompt_cache_options"]["mode"] = "implicit"

    again = session.fork("worker").rewrite(body).request
    assert again["prompt_cache_options"] == {"mode": "explicit"}


@pytest.mark.parametrize(
    "changed",
    [
        {"domain": CacheDomain("openai", "gpt-6-luna", "", CacheDomain.digest("key of another"))},
        {"domain": CacheDomain("openai", "gpt-6-luna", "https://proxy.example/v1")},
        {"domain": CacheDomain("openai", "gpt-6-sol")},
        {"system": "Another system."},
        {"context": [BRIEF]},
        {"tools": []},
        {"params": {"model": "gpt-6-luna", "reasoning_effort": "low"}},
    ],
    ids=["key", "endpoint", "model", "system", "context", "tools", "params"],
)
def test_another_tenant_or_prefix_has_another_key_and_affinity(changed) -> None:
    one = Session(parent("openai.chat", "gpt-6-luna"))
    other = Session(parent("openai.chat", "gpt-6-luna", **changed))

    assert one.key != other.key
    assert one.affinity_id != other.affinity_id


def test_another_cache_salt_has_another_key_and_affinity() -> None:
    rule = rule_for("x", provider="vllm")
    one, other = (
        Session(
            freeze(
                "openai.chat",
                rule,
                CacheDomain("vllm", "x"),
                context=[BRIEF],
                params={"model": "x", "cache_salt": salt},
            )
        )
        for salt in ("ours", "theirs")
    )

    assert one.key != other.key
    assert one.affinity_id != other.affinity_id


def test_a_digest_of_credentials_does_not_show_them() -> None:
    assert "sk-secret" not in CacheDomain.digest("sk-secret", "org")
    assert CacheDomain.digest("a", "b") != CacheDomain.digest("ab", None)


def test_growing_keeps_the_key_where_the_longest_prefix_is_read() -> None:
    session = Session(parent("openai.chat", "gpt-4.1-mini"))
    before = session.key

    session.extend("More.")

    assert session.key == before


def test_growing_asks_for_a_new_leader_where_only_marks_are_read() -> None:
    session = Session(parent("openai.chat", "gpt-6-luna"))
    before, affinity = session.key, session.affinity_id

    session.extend("More.")

    assert (session.key != before, session.affinity_id) == (True, affinity)


def test_extending_with_what_is_no_text_is_refused() -> None:
    with pytest.raises(OptionError, match=r"context\[0\] = 3 is not a text"):
        Session(parent("openai.chat", "gpt-6-luna")).extend(3)  # type: ignore[arg-type]
