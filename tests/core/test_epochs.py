"""A tool that appears late: the union grows once, for all forks, and it is said."""

import pytest

from agentcache.dialects import dialect
from agentcache.errors import FrozenError
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session

BRIEF = "The brief, which all of them share. " + "facts about the market " * 400


def tool(name: str, about: str = "To do it.") -> dict:
    return {"type": "function", "function": {"name": name, "description": about}}


def session(announced: list[str] | None) -> Session:
    rule = rule_for("gpt-6-luna")
    parent = freeze(
        "openai.chat",
        rule,
        CacheDomain("openai", "gpt-6-luna"),
        context=[BRIEF],
        tools=[tool("read"), tool("search")],
        params={"model": "gpt-6-luna"},
    )
    return Session(parent, announce=None if announced is None else announced.append)


def body(*tools: str, turns: int = 0, about: str = "To do it.") -> dict:
    messages = [{"role": "system", "content": "Me."}, {"role": "user", "content": "Do it."}]
    for n in range(turns):
        messages += [
            {"role": "assistant", "content": f"a{n}"},
            {"role": "user", "content": f"q{n}"},
        ]
    return {"model": "gpt-6-luna", "messages": messages, "tools": [tool(t, about) for t in tools]}


def identities(sent: dict) -> list[str]:
    return [b.identity for b in dialect("openai.chat").blocks(sent) if b.section != "free"]


def names(sent: dict) -> list[str]:
    return [t["function"]["name"] for t in sent["tools"]]


def test_a_late_tool_joins_the_union_of_every_fork_and_is_announced_once() -> None:
    announced: list[str] = []
    held = session(announced)
    early, late = held.fork("early"), held.fork("late")
    assert names(early.rewrite(body("read")).request) == ["read", "search"]
    made = late.rewrite(body("read", "mail"))
    assert made.forked
    assert names(made.request) == ["mail", "read", "search"]
    assert made.allowed == ("read", "mail")
    again = held.fork("third").rewrite(body("search"))
    assert names(again.request) == ["mail", "read", "search"]
    (said,) = announced
    assert "Epoch 2: agent 'late' brought 'mail'" in said
    assert "before wrap()" in said


def test_a_conversation_under_way_keeps_its_union_until_it_needs_the_new_tool() -> None:
    held = session([])
    fork = held.fork("early")
    first = fork.rewrite(body("read")).request
    held.fork("late").rewrite(body("mail"))
    second = fork.rewrite(body("read", turns=1)).request
    assert identities(second)[: len(identities(first))] == identities(first)
    third = fork.rewrite(body("read", "mail", turns=2))
    assert third.forked
    assert names(third.request) == ["mail", "read", "search"]
    forced = fork.rewrite({**body(turns=3), "tools": []})
    assert names(forced.request) == ["mail", "read", "search"]


def test_a_branch_grows_anew_in_a_new_epoch() -> None:
    held = session([])
    notes = "\n".join(f"- note {n}: the wheel turned before the water." for n in range(40))
    held.learn([[f"{notes} A."], [f"{notes} B."]])
    held.fork("late").rewrite(body("mail"))
    standing = held.fork("a").talk([f"{notes} A."], 1).standing
    assert standing.path == (notes,)
    assert "mail" in standing.names


def test_another_definition_of_a_known_tool_is_not_forked() -> None:
    announced: list[str] = []
    made = session(announced).fork("w").rewrite(body("read", about="Otherwise."))
    assert not made.forked
    assert made.reason.startswith("frozen_tools: agent 'w' sends tools[0] = 'read', with another")
    assert announced == []


def test_a_parent_that_nobody_listens_to_stays_frozen() -> None:
    made = session(None).fork("w").rewrite(body("mail"))
    assert made.reason.startswith("frozen_tools: agent 'w' sends tools[0] = 'mail', unknown to it")
    with pytest.raises(FrozenError):
        session(None).fork("w").rewrite(body("mail"), strict=True)


def test_tools_that_never_stop_changing_end_in_no_more_epochs() -> None:
    announced: list[str] = []
    held = session(announced)
    forked = [held.fork("w").rewrite(body(f"tool_{n}")).forked for n in range(20)]
    assert forked == [True] * 7 + [False] * 13
    assert len(announced) == 7
