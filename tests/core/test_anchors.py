"""A history that several agents talk in: shared by all, each agent's own text behind it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.dialects import dialect
from agentcache.forks import Fork
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session

BRIEF = "The brief, which all of them read. " + "facts about the market " * 400
LONG = "You are long. " + "Mind every rule of the house. " * 900
WIRES = [
    ("openai.chat", "gpt-6-luna"),
    ("openai.chat", "gpt-4.1-mini"),
    ("openai.chat.text", "gpt-4.1-mini"),
    ("openai.responses", "gpt-6-luna"),
    ("anthropic.messages", "claude-haiku-5-5"),
]
every_wire = pytest.mark.parametrize(("wire", "model"), WIRES)
SETTINGS = settings(max_examples=20, deadline=None)


def session_of(wire: str, model: str, *, adds: bool = False, hoist: bool = True) -> Session:
    domain = CacheDomain("test", model)
    parent = freeze(wire, rule_for(model), domain, system="Shared.", adds=adds)
    return Session(parent, hoist=hoist)


def message(wire: str, who: str, text: str) -> dict[str, Any]:
    if wire != "openai.responses":
        return {"role": who, "content": text}
    kind = "output_text" if who == "assistant" else "input_text"
    return {"role": who, "content": [{"type": kind, "text": text}], "type": "message"}


def request(wire: str, system: str, said: list[tuple[str, str]], **more: Any) -> dict[str, Any]:
    messages = [message(wire, who, text) for who, text in said]
    if wire == "anthropic.messages":
        return {"system": system, "messages": messages, **more}
    key = "input" if wire == "openai.responses" else "messages"
    return {key: [message(wire, "system", system), *messages], **more}


def joined(wire: str, said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The history as a framework sends it where roles take turns."""
    if wire != "anthropic.messages":
        return said
    out: list[tuple[str, str]] = []
    for who, text in said:
        same = out and out[-1][0] == who
        out[-1:] = [(who, f"{out[-1][1]}\n{text}")] if same else [*out[-1:], (who, text)]
    return out


def blocks(wire: str, body: dict[str, Any]) -> list[bytes]:
    return [b.identity for b in dialect(wire).hashed(body) if b.section != "params"]


def in_common(one: list[bytes], other: list[bytes]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


def forks(session: Session, *names: str, follows: Any = "history") -> list[Fork]:
    return [session.fork(name, follows=follows) for name in names]


@every_wire
def test_agents_of_one_history_share_it_and_differ_behind_it(wire, model):
    one, two = forks(session_of(wire, model), "one", "two")
    said = [("user", BRIEF)]
    first = one.rewrite(request(wire, "You are one.", said))
    second = two.rewrite(request(wire, "You are two.", said))
    assert first.forked
    assert second.forked
    a, b = blocks(wire, first.request), blocks(wire, second.request)
    assert in_common(a, b) == len(a) - 1
    assert "You are one." in json.dumps(first.request)
    assert first.keys == second.keys


@every_wire
def test_without_anchors_the_same_agents_share_no_history(wire, model):
    """Positive control: with its own text in front, an agent's history is its own."""
    session = session_of(wire, model)
    session.extend(BRIEF)
    one, two = forks(session, "one", "two", follows="nothing")
    said = [("user", "Something else. " + BRIEF[:-9])]
    a = blocks(wire, one.rewrite(request(wire, "You are one.", said)).request)
    b = blocks(wire, two.rewrite(request(wire, "You are two.", said)).request)
    assert in_common(a, b) == len(session.standing.trunk)


@every_wire
def test_an_agent_that_goes_on_alone_keeps_its_place(wire, model):
    (one,) = forks(session_of(wire, model), "one")
    said = [("user", BRIEF)]
    before: list[bytes] = []
    for n in range(4):
        made = one.rewrite(request(wire, "You are one.", said))
        now = blocks(wire, made.request)
        assert in_common(before, now) == len(before)
        before, said = now, [*said, ("assistant", f"Thought {n}."), ("user", f"Go on {n}.")]


@every_wire
def test_its_place_moves_behind_what_others_said_where_that_is_more(wire, model):
    one, two = forks(session_of(wire, model), "one", "two")
    said = [("user", BRIEF)]
    one.rewrite(request(wire, "You are one.", said))
    said += [("assistant", "One says. " + "A long report. " * 90), ("user", "Now two.")]
    two.rewrite(request(wire, "You are two.", said))
    said += [("assistant", "Two says. " + "A longer report. " * 200), ("user", "Now one.")]
    last = one.rewrite(request(wire, "You are one.", said))
    text = json.dumps(last.request)
    assert text.index("Now one.") < text.index("You are one.")


@every_wire
def test_a_long_own_text_is_not_sent_anew_for_a_short_history(wire, model):
    one, two = forks(session_of(wire, model), "one", "two")
    said = [("user", "Short question.")]
    one.rewrite(request(wire, LONG, said))
    said += [("assistant", "Answer."), ("user", "Now two.")]
    made = two.rewrite(request(wire, LONG.replace("long", "two"), said))
    text = json.dumps(made.request)
    assert text.index("Mind every rule") < text.index("Short question.")


@every_wire
@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "assistant"]), st.text("ab ä漢\n", min_size=1)),
        max_size=6,
    ),
    st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=5),
)
@SETTINGS
def test_every_fork_starts_with_its_parent_and_holds_every_text(wire, model, talk, order):
    session = session_of(wire, model, hoist=False)
    speakers = forks(session, "one", "two", "three")
    trunk = list(session.standing.trunk)
    for turn, who in enumerate(order):
        said = [("user", BRIEF), *talk[: turn + 1], ("user", f"Turn {turn}.")]
        body = request(wire, f"You are {who}.", joined(wire, said))
        made = speakers[who].rewrite(body)
        again = speakers[who].rewrite(made.request)
        if not made.forked:
            assert made.request == body
            continue
        sent = dialect(wire).hashed(made.request)
        assert [b.identity for b in sent if b.section != "params"][: len(trunk)] == trunk
        assert again.request == made.request
        whole = "".join(b.json for b in sent)
        for text in [f"You are {who}.", *(text for _, text in joined(wire, said))]:
            assert json.dumps(text, ensure_ascii=False)[1:-1] in whole


def test_a_history_is_read_by_what_it_says_not_by_how_it_is_written():
    wire, model = "anthropic.messages", "claude-haiku-5-5"
    one, two = forks(session_of(wire, model), "one", "two")
    first = one.rewrite(request(wire, "You are one.", [("user", BRIEF)]))
    parts = [{"type": "text", "text": BRIEF}, {"type": "text", "text": "A plan. " * 40}]
    body = {"system": "You are two.", "messages": [{"role": "user", "content": parts}]}
    second = two.rewrite(body)
    a, b = blocks(wire, first.request), blocks(wire, second.request)
    assert in_common(a, b) == len(a) - 1


def test_one_call_at_a_time_is_told_and_asked_of_whoever_sends():
    session = session_of("openai.chat", "gpt-6-luna")
    body = request("openai.chat", "You are one.", [("user", BRIEF)], parallel_tool_calls=False)
    careful = session.fork("one", follows="history", checks_calls=True).rewrite(body)
    assert careful.forked
    assert careful.one_call
    assert "parallel_tool_calls" not in careful.request
    assert "Call at most one tool at a time." in json.dumps(careful.request)
    careless = session.fork("two", follows="history").rewrite(body)
    assert not careless.forked
    assert careless.request == body


def tool(wire: str, name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {}}
    if wire == "anthropic.messages":
        return {"name": name, "description": f"Use {name}.", "input_schema": schema}
    return {"type": "function", "name": name, "description": f"Use {name}.", "parameters": schema}


@pytest.mark.parametrize(("wire", "model"), WIRES[3:])
def test_an_agents_own_tools_are_offered_behind_what_is_shared(wire, model):
    one, two = forks(session_of(wire, model, adds=True), "one", "two")
    made = []
    for fork, name in ((one, "search"), (two, "count")):
        said = request(wire, f"You are {fork.name}.", [("user", BRIEF)], tools=[tool(wire, name)])
        made.append(fork.rewrite(said))
    assert all(each.forked for each in made)
    assert all("tools" not in each.request for each in made)
    a, b = (blocks(wire, each.request) for each in made)
    shared = in_common(a, b)
    text = json.dumps(made[0].request)
    assert '"search"' in text
    assert '"count"' not in text
    assert shared >= len(one.session.standing.trunk) + 1
    assert bool(made[0].headers) == (wire == "anthropic.messages")


def test_requests_that_stay_as_they_are_wait_for_one_that_begins_alike():
    session = session_of("openai.chat", "gpt-4.1-mini")
    (one,) = forks(session, "one", follows="found")
    made = [
        one.rewrite(request("openai.chat", "You are one.", [("user", f"{BRIEF}{end}")]))
        for end in ("Pier 0.", "Pier 1.")
    ]
    short = one.rewrite(request("openai.chat", "You are one.", [("user", "Pier 0.")]))
    assert not any(each.forked for each in (*made, short))
    assert made[0].keys == made[1].keys != ()
    assert short.keys == ()
