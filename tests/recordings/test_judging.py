"""What is held against a program, and what is its recorder's fault."""

import json
from typing import Any

import pytest

from agentcache import recordings
from agentcache.errors import OptionError

RULES = "You are the clerk. " + "Mind the rules of the house. " * 400


def claude(*said: str, mark: bool = False) -> dict[str, Any]:
    marked = {"cache_control": {"type": "ephemeral"}} if mark else {}
    roles = ("user", "assistant")
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 9,
        "system": [{"type": "text", "text": RULES, **marked}],
        "messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)],
    }


def chat(*said: str, system: str = RULES, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
    head = {"role": "system", "content": system}
    return {"model": "gpt-4.1-mini", "messages": [head, *messages], **more}


def usage(total: int, cached: int | None, written: int = 0) -> dict[str, Any]:
    details = {"cached_tokens": cached, "cache_write_tokens": written}
    return {"prompt_tokens": total, "completion_tokens": 1, "prompt_tokens_details": details}


def tape(folder, *exchanges: tuple[dict[str, Any], dict[str, Any] | None], host: str = "h"):
    """A cassette without times, as many are."""
    rows = [
        {
            "request": {"method": "POST", "uri": f"http://{host}/v1/x", "body": json.dumps(body)},
            "response": {"status": {"code": 200}, "body": {"string": json.dumps({"usage": used})}},
        }
        for body, used in exchanges
    ]
    (folder / "tape.json").write_text(json.dumps({"interactions": rows}))
    return recordings.read(folder / "tape.json")


def runs(folder, *exchanges: tuple[dict[str, Any], dict[str, Any]]):
    """Runs of LangSmith's wrapper."""
    rows = [
        {
            "id": str(n),
            "run_type": "llm",
            "inputs": body,
            "outputs": {"usage_metadata": used},
            "start_time": f"2026-11-23T14:{n:02}:00Z",
            "end_time": f"2026-11-23T14:{n:02}:01Z",
        }
        for n, (body, used) in enumerate(exchanges)
    ]
    (folder / "runs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return recordings.read(folder / "runs.jsonl")


def kinds(recording: recordings.Recording, provider: str | None = None) -> list[str]:
    return [found.kind for found in recording.breaks(provider)]


def test_missing_marks_are_told_where_the_request_is_as_it_was_sent(tmp_path) -> None:
    calls = [(claude("a"), usage(3000, 0)), (claude("a", "b", "c"), usage(3010, 0))]

    assert kinds(tape(tmp_path, *calls)) == ["mark_missing"]


@pytest.mark.parametrize("cached", [0, None])
def test_they_are_not_told_where_the_recorder_may_have_dropped_them(tmp_path, cached) -> None:
    used = {"input_tokens": 3000, "input_token_details": {"cache_read": cached}}

    assert kinds(runs(tmp_path, (claude("a"), used), (claude("a", "b", "c"), used))) == []


def test_they_are_told_where_the_recorder_keeps_them(tmp_path) -> None:
    used = {"input_tokens": 3000, "input_token_details": {"cache_read": 0, "cache_creation": 0}}
    calls = [(claude("a", mark=True), used), (claude("a", "b", "c"), used)]

    assert kinds(runs(tmp_path, *calls)) == ["mark_missing"]


def test_a_miss_is_told_where_something_had_been_written(tmp_path) -> None:
    wrote = {"input_tokens": 3000, "input_token_details": {"cache_read": 0, "cache_creation": 2900}}
    missed = {"input_tokens": 3000, "input_token_details": {"cache_read": 0}}

    assert kinds(runs(tmp_path, (claude("a"), wrote), (claude("a", "b", "c"), missed))) == [
        "evicted"
    ]


def test_usage_that_a_provider_left_out_is_told_and_one_that_a_recorder_did_is_not(
    tmp_path,
) -> None:
    calls = [chat("a"), chat("a", "b", "c")]

    silent = tape(tmp_path, *((body, None) for body in calls))
    assert kinds(silent) == ["usage_unreported"]
    assert kinds(runs(tmp_path, *((body, {}) for body in calls))) == []


def test_calls_without_times_are_neither_together_nor_expired(tmp_path) -> None:
    calls = [(chat("a"), usage(3000, 0)), (chat("a", "b", "c"), usage(3010, 0))]

    assert kinds(tape(tmp_path, *calls)) == ["evicted"]


def test_conversations_of_one_agent_are_not_compared_with_each_other(tmp_path) -> None:
    turns = [
        [f"Question {user} of many", "Answer.", f"More {user}"] for user in "abcdefghijklmnopqrst"
    ]
    first = [(chat(turn[0]), usage(3000, 2944)) for turn in turns]
    later = [(chat(*turn), usage(3010, 2944)) for turn in turns]

    assert kinds(tape(tmp_path, *first, *later)) == []


def responses(*said: str) -> dict[str, Any]:
    """What `chat` asks, through the other API: tools lie flat, their names in another order."""
    roles = ("user", "assistant")
    items = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
    tools = [{"type": "function", "name": n, "parameters": SCHEMA} for n in ("count", "search")]
    return {"model": "gpt-4.1-mini", "instructions": RULES, "input": items, "tools": tools}


SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
NESTED = [
    {"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in ("search", "count")
]


def test_requests_of_two_apis_are_not_compared_with_each_other(tmp_path) -> None:
    turns = [["a"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]]
    used = {"input_tokens": 3000, "input_tokens_details": {"cached_tokens": 2944}}
    asked: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
    for said in turns:
        asked += [(chat(*said, tools=NESTED), usage(3000, 2944)), (responses(*said), used)]

    ledger = tape(tmp_path, *asked).ledger()

    assert len({call.agent for call in ledger.calls}) == 1
    assert ledger.breaks == ()
    assert [call.kin for call in ledger.calls] == [None, None, 0, 1, 2, 3]


def test_what_breaks_within_one_of_two_apis_is_told(tmp_path) -> None:
    used = {"input_tokens": 3000, "input_tokens_details": {"cached_tokens": 0}}
    late = responses("a", "b", "c")
    late["tools"] = late["tools"][::-1]
    asked = [
        (chat("a", tools=NESTED), usage(3000, 2944)),
        (responses("a"), used),
        (chat("a", "b", "c", tools=NESTED), usage(3000, 2944)),
        (late, used),
    ]

    ledger = tape(tmp_path, *asked).ledger()

    assert [(call.index, call.kin) for call in ledger.calls if call.broke] == [(3, 1)]
    assert [found.kind for found in ledger.breaks] == ["order"]


def test_requests_that_go_on_from_a_server_are_not_compared(tmp_path) -> None:
    plain = {"model": "gpt-6-luna", "instructions": RULES}
    chained = {**plain, "instructions": "Other.", "previous_response_id": "resp_1"}
    rows = [({**plain, "input": "a"}, usage(3000, 0)), ({**chained, "input": "b"}, usage(3010, 0))]

    recording = tape(tmp_path, *rows)

    assert kinds(recording) == []
    assert "1 call(s) go on from what a server holds" in recording.remarks()[0]


def test_the_rules_come_from_model_and_host_unless_a_provider_is_named(tmp_path) -> None:
    recording = tape(tmp_path, (chat("a"), usage(9, 0)), host="api.groq.com")

    [call] = recording.ledger().calls
    assert call.rule_id.startswith("groq")
    [call] = recording.ledger("openai").calls
    assert call.rule_id.startswith("openai")
    with pytest.raises(OptionError, match="provider='nobody'"):
        recording.breaks("nobody")


def test_a_header_is_compared_as_part_of_its_request(tmp_path) -> None:
    recording = tape(tmp_path, (chat("a"), usage(3000, 2944)), (chat("a"), usage(3000, 0)))
    rows = json.loads((tmp_path / "tape.json").read_text())
    for n, row in enumerate(rows["interactions"]):
        row["request"]["headers"] = {"X-Session-Affinity": [f"run-{n}"]}
    (tmp_path / "tape.json").write_text(json.dumps(rows))

    assert kinds(recording) == ["evicted"]
    assert kinds(recordings.read(tmp_path / "tape.json")) == ["affinity"]


def test_the_report_shows_what_an_unwrapped_program_could_have_read(tmp_path) -> None:
    asked = [(chat(f"Question {n}", system=RULES), usage(3000, 0)) for n in range(3)]

    ledger = tape(tmp_path, *asked).ledger()

    assert [call.forked for call in ledger.calls] == [False] * 3
    assert {call.reason for call in ledger.calls} == {"recorded: the program was not wrapped"}
    assert sum(block.weight for block in ledger.calls[0].sent) > 1_000
