"""Finding what conversations carry verbatim: exact, whole, and only where it pays."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.blocks import estimate_tokens
from agentcache.hoist import MIN_TOKENS, pays, shared_texts
from agentcache.rules import rule_for

BRIEF = "\n".join(f"{n}. The committee met {n} times in the old mill." for n in range(40))
NOTES = "\n".join(f"- note {n}: the wheel turned before the water was let off." for n in range(30))
DATA = '{"a": [1, 2, 3], "b": "x y z"}, ' * 60

words = st.sampled_from(
    ["mill", "wheel", "water", "committee", "met", "decided", "before", "twice"]
)
sentences = st.lists(words, min_size=3, max_size=9).map(lambda ws: " ".join(ws).capitalize() + ".")
passages = st.lists(sentences, min_size=1, max_size=25).map(" ".join)
pools = st.lists(passages, min_size=1, max_size=4)


@st.composite
def conversations(draw: st.DrawFn) -> list[list[str]]:
    """Conversations put together from one pool of passages, with words of their own between."""
    pool = draw(pools)
    picks = st.lists(st.sampled_from(pool), max_size=3)
    joins = st.sampled_from(["\n\n", " ", "\n"])
    return [
        [draw(joins).join([f"Task {n}.", *draw(picks), draw(sentences)]), f"You are agent {n}."]
        for n in range(draw(st.integers(1, 5)))
    ]


@given(conversations())
@settings(max_examples=200, deadline=None)
def test_what_is_found_stands_in_two_conversations_and_in_no_other_find(talks) -> None:
    found = shared_texts(talks)

    for text in found:
        assert sum(any(text in said for said in talk) for talk in talks) > 1
        assert not any(text in other for other in found if other != text)
        assert estimate_tokens(text) >= MIN_TOKENS
        assert text == text.strip()


@given(conversations())
@settings(max_examples=50, deadline=None)
def test_finding_is_a_function_of_the_texts_alone(talks) -> None:
    assert shared_texts(talks) == shared_texts([list(talk) for talk in talks])


@pytest.mark.parametrize(
    "around",
    [
        ("{}\n\nYour part: find.", "{}\n\nYour part: count."),
        ("{}\nYour part:\nfind.", "{}\nYour part:\ncount."),
        ("Find. This is all:\n{}", "Now count!\n\n{}"),
        ("<brief>{}</brief> find", "<brief>{}</brief> count"),
        ("{}\r\nYour part:\r\nfind.", "{}\r\nYour part:\r\ncount."),
    ],
)
@pytest.mark.parametrize("text", [BRIEF, NOTES, BRIEF.replace("\n", "\r\n")])
def test_a_brief_is_found_whole_and_without_what_leads_over_to_the_task(around, text) -> None:
    (found,) = shared_texts([[a.format(text)] for a in around])

    assert text in found
    assert len(found) <= len(text) + len("<brief></brief>")
    assert "Your part" not in found


def test_one_line_of_data_behind_different_labels_is_found() -> None:
    (found,) = shared_texts([[f"Data for writer: {DATA} Go."], [f"Data for editor: {DATA} No."]])

    assert DATA.strip().startswith(found[:40])
    assert len(found) > 0.95 * len(DATA)


def test_a_long_run_of_headings_takes_no_time() -> None:
    text = "All the keys.\n" + "key:\n" * 100_000

    began = time.perf_counter()
    shared_texts([[f"{text}Alpha."], [f"{text}Beta."]])

    assert time.perf_counter() - began < 10  # was minutes: every line was cut off on its own


def test_text_without_spaces_is_found() -> None:
    text = "委员会在旧磨坊开会。" * 40

    assert shared_texts([[f"甲{text}"], [f"乙{text}"]])


def test_what_most_carry_comes_first_and_is_cut_out_of_what_fewer_carry() -> None:
    found = shared_texts([[f"{BRIEF}\n\n{NOTES}\n\nA."], [f"{BRIEF}\n\n{NOTES}\n\nB."], [BRIEF]])

    assert found == (BRIEF, NOTES)


def test_one_conversation_shares_nothing_with_itself() -> None:
    assert shared_texts([[BRIEF, BRIEF]]) == ()


def test_short_texts_stay_where_they_are() -> None:
    assert shared_texts([["Answer in English. Find."], ["Answer in English. Count."]]) == ()


@pytest.mark.parametrize(
    ("model", "uses", "expected"),
    [
        ("gpt-6-luna", 1, False),
        ("gpt-6-luna", 2, True),
        ("gpt-4.1-mini", 1, False),
        ("gpt-4.1-mini", 2, True),
        ("claude-haiku-5-5", 2, True),
        ("agentcache-agent", 2, True),
    ],
)
def test_sharing_pays_from_the_second_reader_on(model, uses, expected) -> None:
    assert pays(rule_for(model), 1000, uses) is expected


def test_a_short_text_pays_for_nobody() -> None:
    assert not pays(rule_for("gpt-6-luna"), MIN_TOKENS - 1, 50)
