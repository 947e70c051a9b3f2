"""What the ready-made scripts answer, and the instances they make up."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from agentcache.errors import OptionError
from agentcache.loopback import Answer, ToolCall, agent, by_text, echo, scripted
from agentcache.loopback.chat_turn import chat_turn
from agentcache.loopback.instances import instance
from agentcache.loopback.messages_turn import messages_turn
from agentcache.loopback.responses_turn import responses_turn
from agentcache.loopback.wire import Refusal

TOOL = {"type": "function", "function": {"name": "search", "parameters": {}}}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "found"}


def turn(*messages, **more):
    said = [{"role": role, "content": text} for role, text in messages]
    return chat_turn({"messages": said, **more}, "m")


def test_echo_is_short_and_deterministic():
    asked = turn(("user", "say   this " * 50))
    assert echo(asked) == echo(asked)
    assert len(echo(asked).text) < 100


def test_agent_calls_again_after_a_new_user_turn():
    loop = [{"role": "user", "content": "go"}, {"role": "assistant", "content": None}, RESULT]
    said = [*loop, {"role": "assistant", "content": "done"}, {"role": "user", "content": "again"}]
    assert agent(chat_turn({"messages": loop, "tools": [TOOL]}, "m")).tool_calls == ()
    assert agent(chat_turn({"messages": said, "tools": [TOOL]}, "m")).tool_calls


def test_a_user_text_right_after_a_result_stays_in_the_loop():
    """CrewAI appends 'Analyze the tool result...' as a user message."""
    said = [{"role": "user", "content": "go"}, RESULT, {"role": "user", "content": "Analyze it."}]
    asked = chat_turn({"messages": said, "tools": [TOOL]}, "m")
    assert [result.text for result in asked.tool_results] == ["found"]
    assert agent(asked).tool_calls == ()


def test_scripted_gives_each_answer_once_across_threads():
    script = scripted([str(number) for number in range(50)])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: script(turn(("user", "x"))).text, range(50)))
    assert sorted(answers, key=int) == [str(number) for number in range(50)]
    with pytest.raises(OptionError, match="holds 50"):
        script(turn(("user", "x")))


def test_by_text_answers_each_agent_by_what_it_is_told():
    script = by_text({"coder": "code", "tester": [Answer("t1"), "t2"]})
    assert script(turn(("system", "You are the coder"), ("user", "x"))).text == "code"
    assert script(turn(("system", "You are the coder"), ("user", "x"))).text == "code"
    tests = [script(turn(("user", "You are the tester"))).text for _ in range(2)]
    assert tests == ["t1", "t2"]
    with pytest.raises(OptionError, match="by_text\\['tester'\\]"):
        script(turn(("user", "You are the tester")))


def test_by_text_lets_the_last_text_win_so_that_forks_are_told_apart():
    script = by_text({"coder": "code", "tester": "test"})
    roster = ("system", "The team: coder, tester.")
    assert script(turn(roster, ("user", "You are the coder"))).text == "code"
    assert (
        script(turn(roster, ("assistant", "tester"), ("user", "You are the coder"))).text == "code"
    )


def test_by_text_falls_back_to_its_default():
    script = by_text({"nobody": "x"}, default=lambda _turn: Answer("default"))
    assert script(turn(("user", "hello"))).text == "default"


def test_a_forced_tool_is_called_by_every_script_that_decides():
    choice = {"type": "function", "function": {"name": "search"}}
    asked = turn(("user", "x"), tools=[TOOL], tool_choice=choice)
    assert echo(asked) == agent(asked) == Answer(tool_calls=(ToolCall("search", {}),))


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (chat_turn, {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}),
        (
            responses_turn,
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": []}}},
        ),
        (chat_turn, {"tool_choice": {"type": "function", "function": {"name": "gone"}}}),
        (responses_turn, {"tool_choice": {"type": "function", "name": "gone"}}),
        (messages_turn, {"tool_choice": {"type": "tool", "name": "gone"}}),
    ],
)
def test_a_tool_choice_of_the_other_api_or_of_no_tool_is_refused(read, body):
    """Chat nests allowed_tools, Responses keeps it flat."""
    with pytest.raises(Refusal, match=r"tool_choice|not found"):
        read(body, "m")


def test_all_three_apis_give_the_same_turn():
    tool = {"name": "search"}
    chat = turn(("system", "s"), ("user", "u"), tools=[{"type": "function", "function": tool}])
    responses = responses_turn(
        {"instructions": "s", "input": "u", "tools": [{"type": "function", **tool}]}, "m"
    )
    messages = messages_turn(
        {"system": "s", "messages": [{"role": "user", "content": "u"}], "tools": [tool]}, "m"
    )
    assert chat.tools == ("search",)
    for other in (responses, messages):
        assert (other.texts, other.offered, other.callable_tools, other.user, other.system) == (
            chat.texts,
            chat.offered,
            chat.callable_tools,
            "u",
            "s",
        )


def test_tool_results_of_all_three_apis_are_found():
    responses = responses_turn(
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "found"}]}, "m"
    )
    block = {
        "type": "tool_result",
        "tool_use_id": "c",
        "content": [{"type": "text", "text": "found"}],
    }
    messages = messages_turn({"messages": [{"role": "user", "content": [block]}]}, "m")
    chat = chat_turn({"messages": [RESULT]}, "m")
    assert chat.tool_results == responses.tool_results == messages.tool_results


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "boolean"}, True),
        ({"type": ["null", "string"]}, None),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": None}, None),
        ({"default": 7, "type": "integer"}, 7),
        ({"type": "array", "items": {"type": "integer"}}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, 0),
        ({"allOf": [{"properties": {"a": {"type": "null"}}, "required": ["a"]}]}, {"a": None}),
        ({"type": "object", "properties": {"a": {}}}, {}),
        (
            {
                "$defs": {
                    "P": {
                        "type": "object",
                        "properties": {"n": {"type": "integer"}},
                        "required": ["n"],
                    }
                },
                "type": "object",
                "properties": {"p": {"$ref": "#/$defs/P"}},
                "required": ["p"],
            },
            {"p": {"n": 0}},
        ),
    ],
)
def test_instances_are_minimal_and_valid(schema, value):
    assert instance(schema) == value


def test_a_schema_that_contains_itself_ends():
    node = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    schema = {"type": "object", "properties": {"next": node}, "required": ["next"]}
    assert "next" in instance(schema)


def test_a_call_forced_to_any_tool_keeps_to_the_tools_that_the_prompt_lists():
    tools = [{"name": name, "input_schema": {}} for name in ("foreign", "mine")]

    def called(listed, choice):
        said = f"You may call only these tools: `{listed}`. Others belong to your coworkers."
        body = {"messages": [{"role": "user", "content": said}], "tools": tools}
        turn = messages_turn({**body, "tool_choice": choice}, "m")
        return [call.name for call in agent(turn).tool_calls]

    assert called("mine", {"type": "any"}) == ["mine"]
    assert called("nobody", {"type": "any"}) == ["foreign"]
    assert called("mine", {"type": "tool", "name": "foreign"}) == ["foreign"]
