"""recall_result: what a placeholder stands for, whole or in part."""

import json
import time

import pytest

from agentcache.compaction import RECALL, MemoryStore, compact, patterns, recall, recall_tool
from agentcache.dialects import dialect
from agentcache.errors import OptionError

from .loops import LOOPS, chat, log_of


@pytest.fixture
def held():
    text = log_of(1, 900)
    made = compact(chat([text]))
    store = MemoryStore()
    store.put(made.originals)
    return store, made.new[0].content_id, text


def test_all_of_it_comes_back_byte_for_byte(held) -> None:
    store, name, text = held
    assert recall(store, {"id": name}) == text
    assert recall(store, {"id": f" {name} "}) == text


def test_lines_and_patterns_choose_with_their_numbers(held) -> None:
    store, name, text = held
    rows = text.split("\n")
    assert recall(store, {"id": name, "lines": "3-4"}) == f"3: {rows[2]}\n4: {rows[3]}"
    assert recall(store, {"id": name, "lines": "900"}) == f"900: {rows[899]}"
    found = recall(store, {"id": name, "pattern": "FAILED|_case_7 "})
    assert [line.partition(":")[0] for line in found.split("\n")] == ["8", "451"]
    assert (
        recall(store, {"id": name, "lines": "1-9", "pattern": "FAILED"}) == "No line is like that."
    )
    assert recall(store, {"id": name, "pattern": "PASSED"}).endswith("[699 more lines]")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"id": "nobody"}, "no result 'nobody' is kept. Call its tool again"),
        ({}, "id is missing"),
        ("{", "no JSON"),
        ('["id"]', "no JSON object"),
        ({"lines": "all"}, "give the first and the last line"),
        ({"lines": "9" * 5_000}, "give the first and the last line"),
        ({"lines": 10**5_000}, "cannot be read"),
        ({"lines": "40-10"}, "runs backwards: give 10-40"),
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": "a{99999999999}"}, "is no regular expression"),
        ({"pattern": "x" * 201}, "is longer than 200 characters"),
        ({"pattern": "(a+)+$"}, "may take too long"),
        ({"pattern": "(?:a|aa)+$"}, "may take too long"),
        ({"pattern": "(?:(?:){65535}){65535}"}, "may take too long"),
        ({"pattern": r"(a)\1"}, "may take too long"),
        ({"pattern": "a?" * 60}, "may take too long"),
        ({"pattern": "(a|a)" * 18}, "may take too long"),
        ({"pattern": "(" * 20 + "a" + "{1,9})" * 20}, "may take too long"),
        ({"pattern": ".*.*.*.*x"}, "may take too long"),
    ],
)
def test_what_cannot_be_met_is_answered(held, asked, said) -> None:
    store, name, _ = held
    whole = not asked or isinstance(asked, str) or "id" in asked
    answer = recall(store, asked if whole else {"id": name, **asked})
    assert answer.startswith("Error: ")
    assert said in answer


def test_arguments_may_be_json_as_the_wire_has_them(held) -> None:
    store, name, text = held
    assert recall(store, json.dumps({"id": name})) == text
    assert recall(store, json.dumps({"id": name, "lines": 2})).startswith("2: ")


def test_an_open_range_goes_to_the_end(held) -> None:
    store, name, text = held
    rows = text.split("\n")
    told = recall(store, {"id": name, "lines": "899-"})
    assert told == "\n".join(f"{n}: {rows[n - 1]}" for n in range(899, len(rows) + 1))


@pytest.mark.parametrize("error", [OSError("locked"), OptionError("lost"), RuntimeError("odd")])
def test_a_store_that_breaks_is_answered(error) -> None:
    class Broken(MemoryStore):
        def get(self, content_id):
            raise error

    said = recall(Broken(), {"id": "x"})
    assert said == "Error: result 'x' cannot be read now. Call its tool again."


def test_a_content_that_is_none_is_answered() -> None:
    store = MemoryStore()
    store.put({"x": "{no json"})
    assert "cannot be read now" in recall(store, {"id": "x"})


@pytest.mark.parametrize("pattern", [r"(\d{1,3}\.){3}\d{1,3}", "ERROR|WARN", r"^a.*b$", r"\bfoo\b"])
def test_the_patterns_that_people_write_are_searched_for(pattern) -> None:
    store = MemoryStore()
    store.put({"x": "=at 10.0.0.1\nERROR\na to b\nfoo"})
    assert recall(store, {"id": "x", "pattern": pattern}).count("\n") == 0


def test_only_the_start_of_a_long_line_is_searched() -> None:
    store = MemoryStore()
    store.put({"x": "=" + "a" * 2_000 + "FAILED\nFAILED"})
    told = recall(store, {"id": "x", "pattern": "FAILED"})
    assert told.split("\n") == [
        "2: FAILED",
        "[only the first 2000 characters of a line were searched]",
    ]


def test_a_search_ends_in_time(monkeypatch) -> None:
    monkeypatch.setattr(patterns, "_TIME_S", 0.05)
    store = MemoryStore()
    store.put({"x": "=" + "\n".join(["a" * 2_000] * 5_000)})
    begun_s = time.monotonic()
    assert "takes too long" in recall(store, {"id": "x", "pattern": "a*b"})
    assert time.monotonic() - begun_s < 20


def test_a_dialect_that_is_none_is_refused() -> None:
    assert recall_tool("openai.chat.text") == recall_tool("openai.chat")
    with pytest.raises(OptionError, match=r"openai\.chat, openai\.responses, anth.*bedrock"):
        recall_tool("openai")


@pytest.mark.parametrize("wire", LOOPS)
def test_each_api_has_the_tool_in_its_own_form(wire) -> None:
    tool = recall_tool(wire)
    assert dialect(wire).tool_name(tool) == RECALL
    assert '"required": ["id"]' in json.dumps(tool)


def test_parts_are_kept_as_they_were() -> None:
    request = chat([""])
    parts = [{"type": "text", "text": log_of(1, 900)}, {"type": "text", "text": "exit 1"}]
    request["messages"][-1]["content"] = parts
    made = compact(request)
    assert json.loads(made.originals[made.new[0].content_id]) == parts
    assert [part["type"] for part in made.request["messages"][-1]["content"]] == ["text"]
