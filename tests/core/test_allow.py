"""The allow-list: a union of tools on the wire, and each fork kept to its own."""

from typing import Any

import pytest

from agentcache.allow import NO_TOOLS_LINE, allow_line, foreign_tools, refusal_text, restriction
from agentcache.dialects import dialect
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session

UNION = ("read", "search", "write")
CHAT, CLAUDE = dialect("openai.chat"), dialect("anthropic.messages")
GPT, HAIKU, VLLM = rule_for("gpt-6-luna"), rule_for("claude-haiku-5-5"), rule_for("x", "", "vllm")


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def test_a_fork_that_may_use_every_tool_needs_no_line() -> None:
    assert allow_line(UNION, UNION) == ""


def test_a_fork_with_some_tools_is_told_which() -> None:
    assert allow_line(["search", "read"], UNION).startswith(
        "You may call only these tools: `search`, `read`."
    )


def test_a_fork_without_tools_is_told_so() -> None:
    assert allow_line([], UNION) == NO_TOOLS_LINE


def test_some_tools_are_said_on_the_wire_where_it_has_a_form_for_it() -> None:
    assert restriction(CHAT, GPT, ["search"], UNION) == {
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [function("search")]},
        }
    }


def test_responses_say_it_in_their_flat_form() -> None:
    assert restriction(dialect("openai.responses"), GPT, ["search"], UNION) == {
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "search"}],
        }
    }


def test_claude_cannot_be_told_some_tools_on_the_wire() -> None:
    assert restriction(CLAUDE, HAIKU, ["search"], UNION) == {}


@pytest.mark.parametrize(
    ("wire", "rule", "choice"), [(CHAT, GPT, "none"), (CLAUDE, HAIKU, {"type": "none"})]
)
def test_no_tools_at_all_is_said_on_the_wire(wire, rule, choice) -> None:
    assert restriction(wire, rule, [], UNION) == {"tool_choice": choice}


def test_nothing_is_said_where_it_would_move_the_prefix() -> None:
    assert restriction(CHAT, VLLM, [], UNION) == {}
    assert restriction(CHAT, VLLM, ["search"], UNION) == {}


@pytest.mark.parametrize("names", [UNION, (*UNION, "more")])
def test_nothing_is_said_where_every_tool_is_allowed(names) -> None:
    assert restriction(CHAT, GPT, names, UNION) == {}


def test_without_a_union_there_is_nothing_to_restrict() -> None:
    assert restriction(CHAT, GPT, [], []) == {}


@pytest.mark.parametrize("asked", ["none", function("search")])
def test_a_choice_the_program_forces_is_kept(asked) -> None:
    assert restriction(CHAT, GPT, ["search"], UNION, asked) == {}


@pytest.mark.parametrize("asked", ["required", {"type": "any"}])
def test_a_call_to_any_tool_that_the_program_forces_is_one_to_its_own(asked) -> None:
    made = restriction(CHAT, GPT, ["search"], UNION, asked)
    assert made["tool_choice"]["allowed_tools"]["mode"] == "required"


@pytest.mark.parametrize("asked", [None, "auto", {"type": "auto"}])
def test_an_automatic_choice_is_narrowed(asked) -> None:
    assert "tool_choice" in restriction(CHAT, GPT, ["search"], UNION, asked)


def test_the_guard_names_each_foreign_tool_once_and_in_order() -> None:
    called = ["write", "search", "read", "write"]

    assert foreign_tools(called, ["search"]) == ("write", "read")


def test_the_guard_lets_own_tools_pass() -> None:
    assert foreign_tools(["search"], UNION) == ()


def test_a_refusal_names_the_tool_the_own_tools_and_that_nothing_happened() -> None:
    said = refusal_text(["write"], ["search"])

    assert "'write' is not one of your tools (yours: 'search')" in said
    assert "Nothing was executed" in said


class TestOnTheWire:
    """The list as a fork's request carries it."""

    def session(self, canonical: tuple[str, ...] = ()) -> Session:
        return Session(
            freeze(
                "openai.chat",
                GPT,
                CacheDomain("openai", "gpt-6-luna"),
                context=["facts about the market " * 400],
                tools=[function(name) for name in UNION],
                params={"model": "gpt-6-luna"},
                canonical=canonical,
            )
        )

    def body(self, *tools: dict[str, Any], said: int = 0, **more: Any) -> dict[str, Any]:
        messages = [{"role": "system", "content": "Me."}, {"role": "user", "content": "Go."}]
        for n in range(said):
            messages.append({"role": "assistant", "content": f"{n}"})
            messages.append({"role": "user", "content": "Go on."})
        body = {"model": "gpt-6-luna", "messages": messages, **more}
        return {**body, "tools": list(tools)} if tools else body

    def test_the_union_is_sent_and_the_choice_is_narrowed_to_the_own_tools(self) -> None:
        made = self.session().fork("w").rewrite(self.body(function("search")))

        assert [t["function"]["name"] for t in made.request["tools"]] == list(UNION)
        assert made.allowed == ("search",)
        assert "only these tools: `search`." in str(made.request["messages"])
        assert made.request["tool_choice"]["allowed_tools"]["tools"] == [function("search")]

    def test_a_forced_choice_reaches_the_wire(self) -> None:
        body = self.body(function("search"), tool_choice="required")

        choice = self.session().fork("w").rewrite(body).request["tool_choice"]
        assert choice["allowed_tools"]["mode"] == "required"

    def test_tools_dropped_for_a_last_answer_move_nothing_but_the_choice(self) -> None:
        fork = self.session().fork("w")
        first = fork.rewrite(self.body(function("search"))).request
        last = fork.rewrite(self.body(said=1)).request

        assert last["messages"][: len(first["messages"])] == first["messages"]
        assert last["tool_choice"] == "none"

    def test_the_same_words_with_other_tools_are_another_conversation(self) -> None:
        fork = self.session().fork("w")
        fork.rewrite(self.body(function("search")))

        again = fork.rewrite(self.body(function("read"))).request

        assert "only these tools: `read`." in str(again["messages"])

    def test_an_own_description_of_a_canonical_tool_stands_in_the_tail(self) -> None:
        mine = {"name": "search", "description": "Mine.", "parameters": {}}
        own = {"type": "function", "function": mine}

        made = self.session(canonical=("search",)).fork("w").rewrite(self.body(own))

        assert made.forked
        assert "For you, this tool reads: " in str(made.request["messages"])
        assert made.request["tools"][1] == function("search")

    def test_where_only_the_description_differs_only_that_is_repeated(self) -> None:
        own = function("search")
        own["function"]["description"] = "Mine."

        made = self.session(canonical=("search",)).fork("w").rewrite(self.body(own))

        assert made.forked
        assert "For you, the tool `search` reads: Mine." in str(made.request["messages"])
        assert made.request["tools"][1] == function("search")

    def test_an_agent_told_of_tools_in_its_own_text_is_not_told_that_it_has_none(self) -> None:
        held = self.session()

        plain, told = (
            held.fork("w", (), told_of_tools=t).rewrite(self.body()) for t in (False, True)
        )

        assert NO_TOOLS_LINE in str(plain.request["messages"])
        assert NO_TOOLS_LINE not in str(told.request["messages"])
        assert told.request["tool_choice"] == "none"
