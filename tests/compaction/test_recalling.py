"""recall_result: what a placeholder stands for, whole or in part."""

import json

import pytest

from agentcache.compaction import RECALL, MemoryStore, compact, recall, recall_tool
from agentcache.dialects import dialect

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
        ({}, "no result None is kept"),
        ({"lines": "all"}, "give the first and the last line"),
        ({"pattern": "("}, "is no regular expression"),
    ],
)
def test_what_cannot_be_met_is_answered(held, asked, said) -> None:
    store, name, _ = held
    answer = recall(store, {"id": name, **asked} if asked.keys() & {"lines", "pattern"} else asked)
    assert answer.startswith("Error: ")
    assert said in answer


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
