"""The constructed model's bytes, and its rules, each asked of a real engine."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from agentcache.engine import Engine, ToolCue, serve, write_agent_model
from agentcache.engine.bpe import learn_merges
from agentcache.engine.model import DEFAULT_TOOLS, FINAL_TEXT, NO_TOOLS_CUE
from agentcache.errors import OptionError

NAMES = ("search_notes", "read_file", "run-tests")
QUESTION = {"role": "user", "content": "What is open?"}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "read_file", "arguments": '{"path": "notes.txt"}'},
}


def tool(name: str) -> dict[str, Any]:
    properties = {
        "query": {"type": "string"},
        "path": {"type": "string"},
        "only": {"type": "array", "items": {"type": "string"}},
        "limit": {"type": "integer"},
    }
    parameters = {"type": "object", "properties": properties}
    function = {"name": name, "description": f"Use {name} well.", "parameters": parameters}
    return {"type": "function", "function": function}


UNION = [tool(name) for name in NAMES]


def say(engine: Engine, *messages: Any, **options: Any) -> Any:
    with OpenAI(base_url=engine.openai_url, api_key="none") as client:
        return client.chat.completions.create(
            model=engine.model, messages=[*messages], **options
        ).choices[0]


def called(engine: Engine, *messages: Any, **options: Any) -> list[str]:
    calls = say(engine, *messages, **options).message.tool_calls or []
    return [call.function.name for call in calls]


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_agent_model(tmp_path / "a.gguf").read_bytes()
    assert write_agent_model(tmp_path / "b.gguf").read_bytes() == first
    assert len(first) < 3_000_000


def test_without_tools_the_answer_is_final(engine: Engine) -> None:
    choice = say(engine, QUESTION)
    assert (choice.message.content, choice.finish_reason) == (FINAL_TEXT, "stop")


def test_an_offered_tool_is_called_with_its_arguments(engine: Engine) -> None:
    choice = say(engine, QUESTION, tools=[tool("run-tests")])
    (call,) = choice.message.tool_calls
    assert call.function.name == "run-tests"
    assert json.loads(call.function.arguments) == {"only": ["fast"], "limit": 3}
    assert choice.finish_reason == "tool_calls"


def test_a_union_without_a_cue_calls_the_first_tool(engine: Engine) -> None:
    assert called(engine, QUESTION, tools=UNION[::-1]) == ["search_notes"]


@pytest.mark.parametrize("name", NAMES)
def test_in_a_union_the_cued_tool_is_called(engine: Engine, name: str) -> None:
    tail = {"role": "user", "content": [{"type": "text", "text": f"Use only `{name}`."}]}
    assert called(engine, QUESTION, tail, tools=UNION) == [name]


def test_of_several_cued_tools_one_of_them_is_called(engine: Engine) -> None:
    tail = {"role": "user", "content": "Use only `run-tests`, `read_file`."}
    assert called(engine, QUESTION, tail, tools=UNION) == ["read_file"]


def test_a_cue_far_back_in_a_long_prompt_is_found(engine: Engine) -> None:
    cue = {"role": "system", "content": "Use only `run-tests`."}
    filler = {"role": "user", "content": "The customer asked for a report. " * 700}
    assert called(engine, cue, filler, QUESTION, tools=UNION) == ["run-tests"]


def test_a_cue_for_a_tool_that_is_not_offered_calls_nothing_foreign(engine: Engine) -> None:
    tail = {"role": "user", "content": "Use only `run-tests`."}
    assert called(engine, tail, tools=[tool("read_file")]) == ["read_file"]
    assert say(engine, tail).message.content == FINAL_TEXT


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_the_no_tools_sentence_outweighs_every_definition(engine: Engine, choice: str) -> None:
    tail = {"role": "user", "content": f"You are the writer. {NO_TOOLS_CUE}"}
    answer = say(engine, QUESTION, tail, tools=UNION, tool_choice=choice)
    assert answer.message.content == FINAL_TEXT


def test_after_a_tool_result_the_answer_is_final(engine: Engine) -> None:
    asked = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "Nothing is open."}
    cue = {"role": "user", "content": "Use only `read_file`."}
    choice = say(engine, QUESTION, cue, asked, result, tools=UNION)
    assert (choice.message.content, choice.finish_reason) == (FINAL_TEXT, "stop")


def test_an_earlier_answer_does_not_end_the_next_one(engine: Engine) -> None:
    earlier = {"role": "assistant", "content": FINAL_TEXT}
    assert called(engine, QUESTION, earlier, QUESTION, tools=UNION) == ["search_notes"]
    assert say(engine, QUESTION, earlier, QUESTION).message.content == FINAL_TEXT


def test_a_high_temperature_changes_nothing(engine: Engine) -> None:
    tail = {"role": "user", "content": "Use only `read_file`."}
    assert called(engine, tail, tools=UNION, temperature=2.0) == ["read_file"]


def test_a_cold_cache_gives_the_same_answer(engine: Engine) -> None:
    tail = {"role": "user", "content": "Use only `run-tests`."}
    hot = called(engine, QUESTION, tail, tools=UNION)
    cold = called(engine, QUESTION, tail, tools=UNION, extra_body={"cache_prompt": False})
    assert cold == hot == ["run-tests"]


def test_a_json_schema_is_answered_with_valid_json(engine: Engine) -> None:
    fields = {"name": {"type": "string"}, "count": {"type": "integer"}, "ok": {"type": "boolean"}}
    schema = {"type": "object", "properties": fields, "required": ["name", "count", "ok"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    reply = say(engine, QUESTION, response_format=wanted, max_tokens=200)
    assert set(json.loads(reply.message.content)) == set(fields)


def test_seven_tools_and_an_own_answer_fit_into_one_file() -> None:
    tools = [ToolCue(f"tool_{number}", {"limit": number}) for number in range(7)]
    union = [tool(cue.name) for cue in tools]
    tail = {"role": "user", "content": "Use only `tool_6`."}
    with serve(tools=tools, final_text="Done, said the agent.", context=2048) as engine:
        assert called(engine, tail, tools=union) == ["tool_6"]
        assert called(engine, QUESTION, tools=union) == ["tool_0"]
        assert say(engine, QUESTION).message.content == "Done, said the agent."


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([ToolCue(f"tool_{number}", {}) for number in range(8)], "one model file holds 7"),
        ([*DEFAULT_TOOLS, *DEFAULT_TOOLS], "tools\\[1\\] is a second 'search_notes'"),
        ([ToolCue("two words", {})], "tools\\[0\\] is named 'two words'"),
    ],
)
def test_tools_that_do_not_fit_are_refused(
    tmp_path: Path, tools: list[ToolCue], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        write_agent_model(tmp_path / "agent.gguf", tools)


def test_merges_are_learned_most_frequent_pair_first() -> None:
    assert learn_merges(["abab abab cd"], 2) == [("a", "b"), ("ab", "ab")]
