"""Marks: where a fork tells the provider to write, per family, within its limits."""

from typing import Any

import pytest

from agentcache.dialects import dialect
from agentcache.errors import FrozenError, OptionError
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session

BRIEF = "facts about the market " * 400
CLAUDE = {"name": "search", "input_schema": {"type": "object"}}
CHAT = {"type": "function", "function": {"name": "search"}}


def session(wire: str, model: str, **more: Any) -> Session:
    rule = rule_for(model)
    tool = CLAUDE if wire == "anthropic.messages" else CHAT
    options: dict[str, Any] = {
        "system": "Team.",
        "context": [BRIEF],
        "tools": [tool],
        "params": {"model": model},
    }
    return Session(freeze(wire, rule, CacheDomain(rule.provider, model), **{**options, **more}))


def chat(model: str = "gpt-6-luna", *, tools: bool = False, **more: Any) -> dict[str, Any]:
    said = [{"role": "system", "content": "Me."}, {"role": "user", "content": "Go."}]
    return {"model": model, "messages": said, **({"tools": [CHAT]} if tools else {}), **more}


def claude(turns: int = 0, *, tools: bool = True, width: int = 1, **more: Any) -> dict[str, Any]:
    said: list[dict[str, Any]] = [{"role": "user", "content": "Go."}]
    for n in range(turns):
        ids = [f"t{n}-{k}" for k in range(width)]
        uses = [{"type": "tool_use", "id": i, "name": "search", "input": {}} for i in ids]
        results = [{"type": "tool_result", "tool_use_id": i, "content": "found"} for i in ids]
        said += [{"role": "assistant", "content": uses}, {"role": "user", "content": results}]
    body = {"model": "claude-haiku-5-5", "max_tokens": 9, "system": "Me.", "messages": said}
    return {**body, **({"tools": [CLAUDE]} if tools else {}), **more}


def marked(wire: str, body: dict[str, Any]) -> list[str]:
    return [b.path for b in dialect(wire).blocks(body) if b.mark]


def rewritten(wire: str, model: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return session(wire, model, **more).fork("worker").rewrite(body).request


def test_a_single_shot_claude_fork_marks_the_shared_part_alone() -> None:
    sent = rewritten("anthropic.messages", "claude-haiku-5-5", claude(tools=False))

    assert marked("anthropic.messages", sent) == ["system[1]"]


def test_a_looping_claude_fork_marks_the_end_of_its_loop_too() -> None:
    sent = rewritten("anthropic.messages", "claude-haiku-5-5", claude(turns=2))

    assert marked("anthropic.messages", sent) == ["system[1]", "messages[4].content[0]"]


def test_a_turn_longer_than_the_look_back_keeps_the_mark_of_the_turn_before() -> None:
    sent = rewritten("anthropic.messages", "claude-haiku-5-5", claude(turns=2, width=12))

    assert marked("anthropic.messages", sent) == [
        "system[1]",
        "messages[2].content[11]",
        "messages[4].content[11]",
    ]


@pytest.mark.parametrize("turns", [0, 1, 5, 30])
@pytest.mark.parametrize("width", [1, 12])
@pytest.mark.parametrize("grown", [0, 1, 3])
def test_a_claude_fork_never_has_more_than_four_marks(turns, width, grown) -> None:
    held = session("anthropic.messages", "claude-haiku-5-5")
    for n in range(grown):
        held.extend(f"More {n}.")

    sent = held.fork("worker").rewrite(claude(turns=turns, width=width)).request

    assert len(marked("anthropic.messages", sent)) <= 4


def test_marks_of_the_framework_give_way_to_the_forks_own() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    own = [{"type": "text", "text": "Go.", **mark}]
    result = {"type": "tool_result", "content": [{"type": "text", "text": "x", **mark}], **mark}
    body = claude(tools=False, **mark)
    body["messages"] = [
        {"role": "user", "content": own},
        {"role": "assistant", "content": "Hm."},
        {"role": "user", "content": [result]},
    ]
    body["system"] = [{"type": "text", "text": "Me.", **mark}]

    sent = rewritten("anthropic.messages", "claude-haiku-5-5", body)

    assert str(sent).count("cache_control") == 1


def test_a_mark_on_a_tool_is_no_other_definition() -> None:
    body = claude()
    body["tools"] = [{**CLAUDE, "cache_control": {"type": "ephemeral"}}]

    made = session("anthropic.messages", "claude-haiku-5-5").fork("worker").rewrite(body)

    assert (made.forked, made.request["tools"]) == (True, [CLAUDE])


def test_a_ttl_that_is_not_the_default_is_named_in_every_mark() -> None:
    sent = rewritten("anthropic.messages", "claude-haiku-5-5", claude(turns=1), ttl="1h")

    values = [b.mark for b in dialect("anthropic.messages").blocks(sent) if b.mark]
    assert [value.count('"ttl":"1h"') for value in values] == [1, 1]


def test_a_ttl_that_is_not_offered_is_refused_naming_those_that_are() -> None:
    with pytest.raises(OptionError, match=r"ttl='2h' is not offered.*'5m', '1h'"):
        session("anthropic.messages", "claude-haiku-5-5", ttl="2h")


def test_a_ttl_that_this_wire_refuses_is_refused_first() -> None:
    with pytest.raises(OptionError, match=r"ttl='12h' is not offered.*openai\.chat.*'30m'"):
        session("openai.chat", "gpt-6-luna", ttl="12h")


def test_a_single_shot_gpt_6_fork_writes_nothing_but_the_shared_part() -> None:
    sent = rewritten("openai.chat", "gpt-6-luna", chat())

    assert marked("openai.chat", sent) == ["messages[1].content[0]"]
    assert sent["prompt_cache_options"] == {"mode": "explicit"}


def test_the_programs_own_cache_options_are_kept_beside_ours() -> None:
    sent = rewritten("openai.chat", "gpt-6-luna", chat(prompt_cache_options={"ttl": "30m"}))

    assert sent["prompt_cache_options"] == {"ttl": "30m", "mode": "explicit"}


def test_a_looping_gpt_6_fork_lets_the_provider_mark_its_loop() -> None:
    sent = rewritten("openai.chat", "gpt-6-luna", chat(tools=True))

    assert marked("openai.chat", sent) == ["messages[1].content[0]"]
    assert "prompt_cache_options" not in sent


def test_without_context_the_shared_system_text_carries_the_mark() -> None:
    sent = rewritten("openai.chat", "gpt-6-luna", chat(), system=BRIEF, context=())

    assert marked("openai.chat", sent) == ["messages[0].content[0]"]


def test_a_longer_trunk_still_marks_where_the_shorter_one_ended() -> None:
    held = session("openai.chat", "gpt-6-luna")
    held.extend("More.", "And more.")

    sent = held.fork("worker").rewrite(chat()).request

    assert marked("openai.chat", sent) == ["messages[1].content[0]", "messages[2].content[1]"]


def test_gpt_4_1_gets_an_affinity_key_and_no_marks() -> None:
    held = session("openai.chat", "gpt-4.1-mini")

    sent = held.fork("worker").rewrite(chat("gpt-4.1-mini")).request

    assert marked("openai.chat", sent) == []
    assert sent["prompt_cache_key"] == held.affinity_id
    assert "prompt_cache_options" not in sent


def test_the_programs_own_affinity_key_is_kept() -> None:
    sent = rewritten("openai.chat", "gpt-4.1-mini", chat("gpt-4.1-mini", prompt_cache_key="mine"))

    assert sent["prompt_cache_key"] == "mine"


def test_an_unknown_model_gets_neither_marks_nor_parameters() -> None:
    sent = rewritten("openai.chat", "somebody-else", chat("somebody-else", tools=True))

    assert marked("openai.chat", sent) == []
    assert set(sent) == {"model", "messages", "tools"}


def test_below_the_minimum_the_request_is_left_alone_and_the_numbers_are_told() -> None:
    body = chat()

    made = session("openai.chat", "gpt-6-luna", context=["short"]).fork("worker").rewrite(body)

    assert (made.forked, made.request) == (False, body)
    assert made.reason.startswith("below_minimum: the shared part, tools included, is about ")
    assert "1,024" in made.reason


def test_a_wire_that_cannot_carry_the_familys_mark_is_left_alone() -> None:
    made = session("openai.chat", "claude-haiku-5-5").fork("w").rewrite(chat("claude-haiku-5-5"))

    assert made.reason.startswith("no_mark: ")


def test_a_trunk_of_tools_alone_has_nothing_to_mark() -> None:
    tool = {**CHAT, "function": {"name": "search", "description": BRIEF}}

    held = session("openai.chat", "gpt-6-luna", system="", context=(), tools=[tool])

    assert held.why_not().startswith("no_mark: the shared part has no text")


def test_as_is_leaves_every_request_alone() -> None:
    held = Session(session("openai.chat", "gpt-6-luna").parent, leave="as_is: asked for")

    made = held.fork("worker").rewrite(chat())

    assert (made.request, made.reason[:6]) == (chat(), "as_is:")


def test_a_program_that_marks_its_own_prefix_under_unknown_rules_is_left_alone() -> None:
    body = claude(tools=False, model="somebody-else")
    body["system"] = [{"type": "text", "text": "Me.", "cache_control": {"type": "ephemeral"}}]

    made = session("anthropic.messages", "somebody-else").fork("worker").rewrite(body)

    assert (made.request, made.reason[:10]) == (body, "own_marks:")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"model": "gpt-6-sol"}, 'sends model="gpt-6-sol", the parent froze "gpt-6-luna"'),
        ({"verbosity": "low"}, 'sends verbosity="low", the parent froze nothing'),
        ({"functions": []}, "sends functions=[]"),
        ({"tools": [{"type": "function", "function": {"name": "grep"}}]}, "tools[0] = 'grep'"),
        (
            {"tools": [{"type": "function", "function": {"name": "search", "strict": True}}]},
            "tools[0] = 'search', with another definition",
        ),
    ],
)
def test_what_differs_from_the_parent_is_sent_unforked_and_named(more, says) -> None:
    body = {**chat(), **more}
    fork = session("openai.chat", "gpt-6-luna").fork("coder")

    made = fork.rewrite(body)

    assert (made.forked, made.request) == (False, body)
    assert "'coder'" in made.reason
    assert says in made.reason
    with pytest.raises(FrozenError):
        fork.rewrite(body, strict=True)


def test_an_sdks_own_message_object_passes_through_and_is_named() -> None:
    class ChatCompletionMessage:
        pass

    body = chat()
    body["messages"].append(ChatCompletionMessage())

    made = session("openai.chat", "gpt-6-luna").fork("worker").rewrite(body)

    assert made.request == body
    assert made.reason.startswith("not_json: messages[2] is a ")
    assert "model_dump()" in made.reason


def test_a_side_call_passes_through_with_its_reason() -> None:
    made = session("openai.chat", "gpt-6-luna").fork("w").rewrite(chat(), side_call="side_call: x")

    assert (made.request, made.reason) == (chat(), "side_call: x")


def test_references_are_never_searched_for_the_next_context() -> None:
    from agentcache.layout import lift, reference_to

    assert lift(f"{BRIEF}!", [BRIEF, "given above" * 9]) == f"{reference_to(BRIEF)}!"
    assert lift("given above", ["x", "given above"]) == "given above"
