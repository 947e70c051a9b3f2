"""The tree of trunks: who stands on what, and that a trunk only ever grows at its end."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.dialects import dialect
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session

BRIEF = "\n".join(f"{n}. The committee met {n} times in the old mill." for n in range(120))
NOTES = "\n".join(f"- note {n}: the wheel turned before the water was let off." for n in range(30))
POOL = [
    "\n".join(
        f"{name} {n}: {name} was seen near the weir, {n} hours after dawn." for n in range(25)
    )
    for name in ("Anna", "Bela", "Carl", "Dora")
]
WIRES = [
    ("openai.chat", "gpt-6-luna"),
    ("openai.chat", "gpt-4.1-mini"),
    ("openai.responses", "gpt-6-luna"),
    ("anthropic.messages", "claude-haiku-5-5"),
    ("openai.chat", "agentcache-agent"),
]


def session(wire: str = "openai.chat", model: str = "gpt-6-luna", **more) -> Session:
    rule = rule_for(model)
    domain = CacheDomain(rule.provider, model)
    parent = freeze(wire, rule, domain, system="All of us.", params={"model": model})
    return Session(parent, **more)


def request(wire: str, model: str, text: str, turns: int = 0) -> dict:
    messages = [{"role": "user", "content": text}]
    for n in range(turns):
        messages += [
            {"role": "assistant", "content": f"a{n}"},
            {"role": "user", "content": f"q{n}"},
        ]
    if wire == "openai.responses":
        return {"model": model, "instructions": "You are A.", "input": messages}
    if wire == "anthropic.messages":
        return {"model": model, "max_tokens": 9, "system": "You are A.", "messages": messages}
    return {"model": model, "messages": [{"role": "system", "content": "You are A."}, *messages]}


def identities(wire: str, body: dict) -> list[bytes]:
    return [b.identity for b in dialect(wire).blocks(body) if b.section not in ("params", "free")]


def path_of(held: Session, text: str, who: str = "w") -> tuple[str, ...]:
    return held.fork(who).talk([text], 1).standing.path


carried = st.lists(st.sets(st.sampled_from(range(len(POOL)))).map(sorted), min_size=2, max_size=6)


@given(carried, carried)
@settings(max_examples=60, deadline=None)
def test_a_conversation_stands_only_on_its_own_texts_and_its_trunk_only_grows(first, second):
    held = session()
    talks = [[f"Task {n}.", *(POOL[i] for i in picks)] for n, picks in enumerate(first)]
    said = ["\n\n".join(talk) for talk in talks]
    held.learn([[text] for text in said])
    before = [path_of(held, text) for text in said]
    held.learn([["\n\n".join(["More.", *(POOL[i] for i in picks)])] for picks in second])
    for text, earlier in zip(said, before, strict=True):
        assert all(piece in text for piece in earlier)
        standing = held.branch(earlier)
        assert path_of(held, text) is not None
        trunks = [held.branch(earlier[:n]).trunk for n in range(len(earlier) + 1)]
        for shorter, longer in pairwise(trunks):
            assert longer[: len(shorter)] == shorter
        assert standing.trunk == trunks[-1]


@pytest.mark.parametrize(("wire", "model"), WIRES)
def test_every_fork_starts_with_its_branch_and_keeps_it_through_its_turns(wire, model) -> None:
    held = session(wire, model)
    held.learn([[f"{BRIEF}\n\nFind."], [f"{BRIEF}\n\nCount."]])
    fork = held.fork("finder")
    first = fork.rewrite(request(wire, model, f"{BRIEF}\n\nFind."))
    held.learn([[f"{BRIEF}\n\n{NOTES}\n\nFind."], [f"{BRIEF}\n\n{NOTES}\n\nCount."]])
    later = fork.rewrite(request(wire, model, f"{BRIEF}\n\nFind.", turns=2))
    assert first.forked
    assert later.forked
    trunk = list(held.branch((BRIEF,)).trunk)
    for made in (first, later):
        assert identities(wire, made.request)[: len(trunk)] == trunk
        assert json.dumps(made.request).count("The committee met 7 times") == 1
    sent = identities(wire, first.request)
    assert identities(wire, later.request)[: len(sent)] == sent


@pytest.mark.parametrize(("wire", "model"), WIRES)
def test_a_longer_trunk_begins_with_the_shorter_one_byte_for_byte(wire, model) -> None:
    held = session(wire, model)
    held.learn([[f"{BRIEF} Find."], [f"{BRIEF} Count."], [f"{BRIEF} Write."]])
    answer = "\n".join(f"finding {n}: the weir stood open for {n} nights." for n in range(40))
    short = held.fork("a").rewrite(request(wire, model, f"{BRIEF} Find."))
    held.expect(answer, [[f"{BRIEF} Count."], [f"{BRIEF} Write."]])
    long = held.fork("b").rewrite(request(wire, model, f"{BRIEF} Count. Context: {answer}"))
    trunk = list(held.branch((BRIEF,)).trunk)
    assert short.forked
    assert long.forked
    assert identities(wire, short.request)[: len(trunk)] == trunk
    assert identities(wire, long.request)[: len(trunk)] == trunk
    assert path_of(held, f"{BRIEF} Count. Context: {answer}", "b") == (BRIEF, answer)


def test_an_answer_that_one_task_alone_will_read_stays_in_its_tail() -> None:
    held = session()
    held.expect(NOTES, [["Use."]])
    assert path_of(held, f"Use {NOTES}") == ()


def test_what_an_answer_quotes_of_a_shared_text_is_not_shared_once_more() -> None:
    held = session()
    held.learn([[f"{BRIEF} Find."], [f"{BRIEF} Count."]])
    held.expect(f"I quote.\n{BRIEF}\n{NOTES}", [[f"{BRIEF} A."], [f"{BRIEF} B."]])
    path = path_of(held, f"{BRIEF} Write. Context: I quote.\n{BRIEF}\n{NOTES}")
    assert path == (BRIEF, f"\n{NOTES}")


def test_an_answer_is_shared_no_longer_once_its_last_reader_has_begun() -> None:
    held = session()
    held.expect(NOTES, [["Write."], ["Edit."]])
    assert path_of(held, f"Write. {NOTES}") == (NOTES,)
    assert path_of(held, f"Write. {NOTES}") == (NOTES,)  # the same conversation, counted once
    assert path_of(held, f"Edit. {NOTES}") == (NOTES,)


def test_nobody_is_given_a_text_it_does_not_carry() -> None:
    held = session()
    held.learn([[f"{BRIEF} Find."], [f"{BRIEF} Count."]])
    assert path_of(held, "Write.") == ()
    assert path_of(held, f"{BRIEF} Edit.") == (BRIEF,)


def test_a_text_inside_the_shared_context_needs_no_branch() -> None:
    rule = rule_for("gpt-6-luna")
    parent = freeze("openai.chat", rule, CacheDomain("openai", "gpt-6-luna"), context=[BRIEF])
    held = Session(parent)
    assert held.learn([[f"{BRIEF} Find."], [f"{BRIEF} Count."]]) == ()


def test_texts_of_different_speakers_are_heard_and_those_of_one_are_its_own() -> None:
    held = session(hoist=True)
    for n in range(3):
        assert path_of(held, f"{NOTES} Round {n}.", who="a") == ()
    assert path_of(held, f"{NOTES} Count.", who="b") == (NOTES,)


def test_the_dearer_text_stands_first() -> None:
    held = session()
    both = f"{NOTES}\n\n{BRIEF}"
    held.learn([[f"{NOTES} A."], [f"{NOTES} B."]])
    held.learn([[f"{both}\n\nA."], [f"{both}\n\nB."], [f"{BRIEF}\n\nC."], [f"{BRIEF}\n\nD."]])
    assert path_of(held, f"{BRIEF}\n\nC.") == (BRIEF,)
    assert path_of(held, f"{both}\n\nA.") == (BRIEF, NOTES)


def test_a_tool_that_an_agent_brings_late_is_not_denied_to_it_in_its_tail() -> None:
    def tool(name: str) -> dict:
        return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}

    rule = rule_for("gpt-6-luna")
    domain = CacheDomain(rule.provider, "gpt-6-luna")
    parent = freeze(
        "openai.chat",
        rule,
        domain,
        system=BRIEF,
        tools=[tool("look"), tool("zip")],
        params={"model": "gpt-6-luna"},
    )
    fork = Session(parent, announce=lambda _: None).fork("A", ["look"])
    body = request("openai.chat", "gpt-6-luna", "Find.")
    later = request("openai.chat", "gpt-6-luna", "Find.", turns=1)
    first = fork.rewrite({**body, "tools": [tool("look")]})
    second = fork.rewrite({**later, "tools": [tool("look"), tool("late")]})
    assert "only these tools: `look`." in json.dumps(first.request)
    assert "only these tools: `look`, `late`." in json.dumps(second.request)


def test_a_long_life_does_not_fill_memory() -> None:
    held = session()
    for n in range(200):
        text = "\n".join(f"run {n}, line {i} of the records of the mill" for i in range(60))
        held.learn([[f"{text} A."], [f"{text} B."]])
        assert len(path_of(held, f"{text} A.")) == 1
    assert len(held._trunks._texts) <= 128
    assert len(held._branches) <= 256


def test_a_root_of_tools_alone_makes_no_request_a_fork_already() -> None:
    rule = rule_for("gpt-4.1-mini")
    search = {"type": "function", "function": {"name": "search", "description": BRIEF}}
    domain = CacheDomain("openai", "gpt-4.1-mini")
    held = Session(freeze("openai.chat", rule, domain, tools=[search]))
    held.learn([[f"{BRIEF} Find."], [f"{BRIEF} Count."]])
    body = {**request("openai.chat", "gpt-4.1-mini", f"{BRIEF} Find."), "tools": [search]}
    del body["model"]

    made = held.fork("w").rewrite(body)
    again = held.fork("w").rewrite(made.request)

    assert "<shared_context" in json.dumps(made.request["messages"])
    assert again.request == made.request
