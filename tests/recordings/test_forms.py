"""Each form of recording: its calls, agents, usage and breaks, from files that real tools wrote."""

import json
from pathlib import Path
from typing import Any

import pytest

from agentcache import recordings

DATA = Path(__file__).with_name("data")
WRITER, REVIEWER = "You are the writer. Current...", "You are the reviewer. Current..."
BY_TEXT = [WRITER, WRITER, REVIEWER, WRITER]
CREW = ["crew", "crew", "crew (2)", "crew"]
FILES = {
    "otel-openai-console.json": ("otel", CREW),
    "otel-openai-otlp.jsonl": ("otel", CREW),
    "otel-openinference-console.json": ("otel", BY_TEXT),
    "otel-openinference-otlp.jsonl": ("otel", BY_TEXT),
    "otel-events-console.json": ("otel", BY_TEXT),
    "otel-anthropic-console.json": ("otel", [WRITER] * 3),
    "langsmith-sdk.jsonl": ("langsmith", [*BY_TEXT, "agent"]),
    "langsmith-langchain.jsonl": ("langsmith", [WRITER, WRITER, "reviewer", WRITER, WRITER]),
    "langfuse-api.json": ("langfuse", CREW),
    "cassette.yaml": ("vcr", [*BY_TEXT, *[WRITER] * 3]),
    "cassette.json": ("vcr", [*BY_TEXT, *[WRITER] * 3]),
    "session.har": ("har", [*BY_TEXT, *[WRITER] * 3]),
}


def read(name: str) -> recordings.Recording:
    if name.endswith(".yaml"):
        pytest.importorskip("yaml")
    return recordings.read(DATA / name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_tells_what_it_is_and_who_spoke_in_it(name) -> None:
    recording = read(name)

    form, agents = FILES[name]
    assert (recording.form, [call.agent for call in recording]) == (form, agents)
    assert recording.unread == 0
    assert len(recording) == len(agents)


@pytest.mark.parametrize("name", FILES)
def test_the_clock_in_the_writers_text_is_the_break(name) -> None:
    found = [one for one in read(name).breaks() if one.kind == "timestamp"]

    assert found
    for one in found:
        assert one.offset == 38
        assert "10:00:00" in one.before
        assert "10:05:30" in one.after
        assert one.section == "system"


@pytest.mark.parametrize("name", FILES)
def test_no_other_cause_is_told_from_the_bytes(name) -> None:
    told = {one.kind for one in read(name).breaks() if one.source == "bytes"}

    assert told == {"timestamp"}


@pytest.mark.parametrize("name", FILES)
def test_calls_keep_their_time_and_their_model(name) -> None:
    calls = read(name).calls

    at = [call.at_s for call in calls]
    assert at == sorted(at)
    assert all(1_795_000_000 < call.at_s <= call.ended_s for call in calls)
    assert {c.model for c in calls} <= {"gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5"}


@pytest.mark.parametrize(
    ("name", "cached"),
    [("cassette.json", 0), ("langfuse-api.json", 0), ("otel-events-console.json", None)],
)
def test_usage_is_read_and_what_was_not_said_stays_unknown(name, cached) -> None:
    usages = [call.usage for call in read(name).calls[:4]]

    assert [usage.input_tokens for usage in usages] == [127, 144, 125, 153]
    assert {usage.cached_tokens for usage in usages} == {cached}
    assert [usage.output_tokens for usage in usages] == [8, 8, 5, 5]


def chat_shape(request: dict[str, Any]) -> Any:
    return {key: request[key] for key in ("model", "messages", "tools", "max_tokens")}


@pytest.mark.parametrize(
    "name",
    [
        "langfuse-api.json",
        "langsmith-sdk.jsonl",
        "otel-openai-console.json",
        "otel-openai-otlp.jsonl",
        "otel-openinference-console.json",
        "otel-openinference-otlp.jsonl",
    ],
)
def test_a_rebuilt_request_is_the_one_that_was_sent(name) -> None:
    sent = [chat_shape(dict(c.request)) for c in recordings.read(DATA / "cassette.json").calls[:4]]

    rebuilt = [chat_shape(dict(call.request)) for call in read(name).calls[:4]]

    assert rebuilt == sent


def test_events_tell_all_but_the_tools() -> None:
    sent = recordings.read(DATA / "cassette.json").calls

    for call, other in zip(read("otel-events-console.json"), sent, strict=False):
        assert call.request["messages"] == other.request["messages"]


def test_anthropics_requests_are_rebuilt_in_anthropics_shape() -> None:
    sent = [dict(call.request) for call in recordings.read(DATA / "cassette.json").calls[4:]]

    rebuilt = [dict(call.request) for call in read("otel-anthropic-console.json")]

    assert [r["messages"] for r in rebuilt] == [s["messages"] for s in sent]
    assert [r["tools"] for r in rebuilt] == [s["tools"] for s in sent]
    assert [r["system"] for r in rebuilt] == [s["system"][0]["text"] for s in sent]


def test_langchains_messages_become_the_wires() -> None:
    calls = read("langsmith-langchain.jsonl").calls

    messages = calls[1].request["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    called = messages[2]["tool_calls"][0]
    assert (called["id"], called["function"]["name"]) == ("call_1", "search")
    assert json.loads(called["function"]["arguments"]) == {"q": "whales"}
    assert messages[3] == {"role": "tool", "content": "Ish.", "tool_call_id": "call_1"}
    claude = calls[4].request
    assert claude["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert claude["messages"][1]["content"][-1]["type"] == "tool_use"
    assert claude["messages"][2]["content"][0]["tool_use_id"] == "call_1"


def test_an_sdk_and_its_framework_are_one_call() -> None:
    lines = (DATA / "otel-anthropic-console.json").read_text()
    assert lines.count('"name": "anthropic.messages.create"') == 3
    assert lines.count('"name": "chat claude-haiku-5-5"') == 3

    recording = read("otel-anthropic-console.json")

    assert len(recording) == 3
    assert [call.usage.cache_write_tokens for call in recording] == [
        0,
        0,
        0,
    ]  # only one of them says


def test_a_streamed_answer_tells_its_usage_id_and_model() -> None:
    chat, claude = (recordings.read(DATA / "cassette.json").calls[n] for n in (3, 6))

    assert chat.request["stream"] is claude.request["stream"] is True
    assert chat.usage.input_tokens == 153
    assert chat.answer_id.startswith("chatcmpl-")
    assert claude.usage.input_tokens == 129
    assert claude.answer_id.startswith("msg_")


def test_other_requests_in_a_cassette_are_counted() -> None:
    assert read("cassette.json").others == 1


def test_headers_that_bear_on_a_cache_are_kept() -> None:
    calls = read("session.har").calls

    assert calls[0].headers == {"x-session-affinity": "crew-1"}
    assert calls[4].headers == {"anthropic-beta": "extended-cache-ttl-2025-04-11"}


def test_emulated_answers_make_an_emulated_report() -> None:
    assert read("cassette.json").ledger().source == "emulated"


def test_spans_without_content_say_how_to_get_it() -> None:
    recording = read("otel-anthropic-otlp.jsonl")

    assert recording.breaks() == ()
    assert "3 call(s) were recorded without their content" in recording.remarks()[0]
    assert [call.usage.input_tokens for call in recording] == [114, 129, 129]


def test_langfuses_storage_export_is_read_as_its_api(tmp_path) -> None:
    rows = json.loads((DATA / "langfuse-api.json").read_text())["data"]
    names = {"parentObservationId": "parent_observation_id", "model": "provided_model_name"}
    names |= {"modelParameters": "model_parameters", "usageDetails": "usage_details"}
    names |= {"traceId": "trace_id", "startTime": "start_time", "endTime": "end_time"}
    with (tmp_path / "export.jsonl").open("w") as file:
        for row in reversed(rows):
            flat = {names.get(key, key): value for key, value in row.items()}
            for key in ("start_time", "end_time"):
                flat[key] = flat[key].replace("T", " ").removesuffix("Z")
            for key in ("model_parameters", "usage_details"):
                flat[key] = json.dumps(flat[key]) if flat.get(key) else None
            file.write(json.dumps(flat) + "\n")

    export = recordings.read(tmp_path / "export.jsonl")

    assert export.form == "langfuse"
    assert list(export) == list(read("langfuse-api.json"))


def test_langfuses_counts_sum_up_to_the_whole_input(tmp_path) -> None:
    row = {"id": "1", "traceId": "t", "type": "GENERATION", "model": "m", "input": "Hello."}
    details = {"input": 10, "input_cached_tokens": 80, "input_cache_creation": 5, "output": 3}
    (tmp_path / "o.json").write_text(json.dumps([{**row, "usageDetails": details}]))

    [call] = recordings.read(tmp_path / "o.json")

    assert (call.usage.input_tokens, call.usage.cached_tokens) == (95, 80)
    assert call.usage.cache_write_tokens == 5


def test_langsmiths_own_count_is_used_where_nothing_else_tells(tmp_path) -> None:
    run = {
        "id": "1",
        "run_type": "llm",
        "inputs": {"messages": [{"role": "user", "content": "Hello."}], "model": "gpt-6-luna"},
        "prompt_tokens": 90,
        "prompt_token_details": {"cache_read": 64},
        "completion_tokens": 4,
    }
    (tmp_path / "runs.json").write_text(json.dumps({"runs": [run]}))

    [call] = recordings.read(tmp_path / "runs.json")

    assert (call.usage.input_tokens, call.usage.cached_tokens) == (90, 64)


NUMBERED = {
    "gen_ai.system": "openai",
    "llm.request.type": "chat",
    "gen_ai.request.model": "gpt-4.1-mini",
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "You are the clerk.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Look it up.",
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.tool_calls.0.id": "call_1",
    "gen_ai.prompt.2.tool_calls.0.name": "search",
    "gen_ai.prompt.2.tool_calls.0.arguments": '{"q": "x"}',
    "gen_ai.prompt.3.role": "tool",
    "gen_ai.prompt.3.tool_call_id": "call_1",
    "gen_ai.prompt.3.content": "Found.",
    "llm.request.functions.0.name": "search",
    "llm.request.functions.0.parameters": '{"type": "object"}',
    "gen_ai.usage.prompt_tokens": 50,
    "gen_ai.usage.cache_read_input_tokens": 40,
}


def span(**attributes: Any) -> dict[str, Any]:
    return {
        "name": "openai.chat",
        "context": {"trace_id": "0x1", "span_id": "0x2"},
        "parent_id": None,
        "start_time": "2026-11-23T14:00:00.5Z",
        "end_time": "2026-11-23T14:00:01Z",
        "attributes": attributes,
    }


def test_numbered_attributes_are_read_too(tmp_path) -> None:
    (tmp_path / "spans.json").write_text(json.dumps(span(**NUMBERED), indent=4))

    [call] = recordings.read(tmp_path / "spans.json")

    roles = [message["role"] for message in call.request["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert call.request["messages"][2]["tool_calls"][0]["function"]["name"] == "search"
    assert call.request["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert (call.usage.input_tokens, call.usage.cached_tokens) == (50, 40)
    assert call.at_s == 1795442400.5


def test_spans_that_are_no_chat_are_no_calls(tmp_path) -> None:
    others = [
        {"gen_ai.operation.name": name, "gen_ai.request.model": "m"}
        for name in ("embeddings", "execute_tool", "invoke_agent")
    ]
    chat = {**NUMBERED, "gen_ai.operation.name": "chat"}
    spans = [span(**attributes) for attributes in (*others, chat)]
    for n, one in enumerate(spans):
        one["context"]["span_id"] = f"0x{n}"
    (tmp_path / "spans.jsonl").write_text("\n".join(map(json.dumps, spans)))

    recording = recordings.read(tmp_path / "spans.jsonl")

    assert (len(recording), recording.others) == (1, 3)


def test_bedrock_names_its_model_in_the_path(tmp_path) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "Hello."}]}]}
    answer = {"usage": {"inputTokens": 5, "outputTokens": 1, "cacheReadInputTokens": 2}}
    url = (
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/anthropic.claude-haiku-5-5/converse"
    )
    entry = {
        "startedDateTime": "2026-11-23T14:00:00Z",
        "time": 10,
        "request": {
            "method": "POST",
            "url": url,
            "headers": [],
            "postData": {"text": json.dumps(body)},
        },
        "response": {"status": 200, "content": {"text": json.dumps(answer)}},
    }
    (tmp_path / "b.har").write_text(json.dumps({"log": {"entries": [entry]}}))

    [call] = recordings.read(tmp_path / "b.har")

    assert call.model == "anthropic.claude-haiku-5-5"
    assert call.request["modelId"] == call.model
    assert call.usage.input_tokens == 7


def test_a_failed_call_is_named_and_not_compared(tmp_path) -> None:
    tape = json.loads((DATA / "cassette.json").read_text())
    tape["interactions"] = tape["interactions"][:4]
    tape["interactions"][3]["response"]["status"] = {"code": 429, "message": "Too many"}
    (tmp_path / "c.json").write_text(json.dumps(tape))

    recording = recordings.read(tmp_path / "c.json")

    assert [call.error for call in recording] == ["", "", "", "HTTP 429"]
    assert "timestamp" not in {one.kind for one in recording.breaks()}
