"""What a lookout says of calls as they are made, by what its agents sent before."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcache.breaks import CacheBreak, Lookout, Seen
from agentcache.breaks.kept import Kept, common, keep
from agentcache.breaks.seen import Shelf
from agentcache.breaks.spellings import spelled_out
from agentcache.dialects import dialect
from agentcache.rules import rule_for
from agentcache.usage import Usage

from .talking import DIALECTS, RULES, Json, Talk

STEPS = (
    ("Where is order 17?", "On its way."),
    ("Since when?", "Since Monday."),
    ("Who packed it?", "Somebody in Utrecht."),
    ("Thank them.", "I did."),
)
TALK = Talk(f"You are the clerk.\n{RULES * 3}", "These are the orders of the week.", STEPS)
OTHER = Talk(
    TALK.system,
    "My lamp is broken, and I bought it from you.",
    (("Is it covered?", "It is."), ("Then send me a new one.", "Gladly."), ("Soon?", "Soon.")),
)
PLACES = {
    "openai.chat": ("messages[1].content", "messages"),
    "openai.responses": ("input[0].content[0].text", "input"),
    "anthropic.messages": ("messages[0].content[0].text", "messages"),
    "bedrock.converse": ("messages[0].content[0].text", "messages"),
}
TOTAL = 5_000
CHAT = "openai.chat"
every_dialect = pytest.mark.parametrize("wire", DIALECTS)


class Desk:
    """A lookout, and a program that asks every ten seconds; the provider reads all it can."""

    def __init__(self) -> None:
        self.lookout = Lookout()
        self.count = 0

    def ask(
        self,
        body: Json,
        wire: str = CHAT,
        *,
        agent: str = "clerk",
        cached: int | None = TOTAL,
        at_s: float | None = None,
        **more: Any,
    ) -> CacheBreak | None:
        self.found, self.kin = self.lookout.judged(
            self.seen(body, wire, agent=agent, cached=cached, at_s=at_s, **more)
        )
        return self.found

    def seen(
        self,
        body: Json,
        wire: str = CHAT,
        *,
        agent: str = "clerk",
        cached: int | None = TOTAL,
        at_s: float | None = None,
        **more: Any,
    ) -> Seen:
        number, self.count = self.count, self.count + 1
        start = 10.0 * number if at_s is None else at_s
        rule = rule_for(body.get("model") or body["modelId"])
        used = Usage(input_tokens=TOTAL, cached_tokens=cached)
        return Seen(dialect(wire), rule, agent, body, {}, used, start, start + 0.1, number, **more)

    @property
    def kin_number(self) -> int | None:
        return None if self.kin is None else self.kin.number


def said(steps: int, wire: str = CHAT, talk: Talk = TALK) -> Json:
    """A request as it is sent, its marks where they roll to."""
    return DIALECTS[wire](talk, steps, mark=True)


def kinds(*found: CacheBreak | None) -> list[str | None]:
    return [None if each is None else each.kind for each in found]


@every_dialect
def test_a_conversation_that_grows_is_silent(wire) -> None:
    desk = Desk()

    found = [(desk.ask(said(n, wire), wire), desk.kin_number) for n in range(5)]

    assert found == [(None, None), (None, 0), (None, 1), (None, 2), (None, 3)]


@every_dialect
def test_an_edited_message_is_named_with_its_agent_its_kind_and_its_place(wire) -> None:
    desk = Desk()
    for n in range(3):
        desk.ask(said(n, wire), wire)
    edited = Talk(TALK.system, TALK.trunk.replace("week", "month"), STEPS)

    found = desk.ask(said(3, wire, edited), wire, cached=0)

    assert found is not None
    assert (found.agent, found.kind, found.path) == ("clerk", "message_edited", PLACES[wire][0])
    assert (found.section, found.offset) == ("messages", TALK.trunk.index("week"))
    assert desk.kin_number == 2


@every_dialect
def test_an_edited_brief_is_named(wire) -> None:
    desk = Desk()
    desk.ask(said(1, wire), wire)

    found = desk.ask(said(2, wire, Talk(f"{TALK.system} Be kind.", TALK.trunk, STEPS)), wire)

    assert found is not None
    assert (found.section, found.kind) == ("system", "text_edit")


@every_dialect
def test_two_conversations_on_one_brief_are_silent_each_compared_with_its_own(wire) -> None:
    desk = Desk()
    turns = [said(n, wire, talk) for n in range(4) for talk in (TALK, OTHER)]
    if wire == "openai.responses":
        turns = [{**body, "model": "gpt-4.1-mini"} for body in turns]

    found = [(desk.ask(body, wire), desk.kin_number) for body in turns]

    assert found == [(None, kin) for kin in (None, 0, 0, 1, 2, 3, 4, 5)]


def test_a_brief_that_cannot_be_read_without_a_mark_is_told_to_the_second_conversation() -> None:
    desk, wire = Desk(), "openai.responses"
    desk.ask(said(0, wire), wire, cached=0)

    found = desk.ask(said(0, wire, OTHER), wire, cached=0)

    assert found is not None
    assert (found.kind, found.path, found.relation) == ("mark_missing", "instructions", "sibling")


def test_what_breaks_in_one_of_two_conversations_is_named() -> None:
    desk = Desk()
    for body in (said(1), said(1, talk=OTHER), said(2), said(2, talk=OTHER)):
        assert desk.ask(body) is None
    edited = Talk(TALK.system, TALK.trunk, (("Where is order 18?", "On its way."), *STEPS[1:]))

    found = desk.ask(said(3, talk=edited))

    assert kinds(found) == ["message_edited"]
    assert desk.kin_number == 2


@every_dialect
def test_a_retry_is_silent_where_it_was_read_and_a_miss_where_it_was_not(wire) -> None:
    desk = Desk()

    found = [desk.ask(said(2, wire), wire, cached=c) for c in (0, TOTAL, 0)]

    assert kinds(*found) == [None, None, "evicted"]


def test_a_miss_without_a_change_is_told_every_time() -> None:
    desk = Desk()

    found = [desk.ask(said(n), cached=0) for n in range(4)]

    assert kinds(*found) == [None, "evicted", "evicted", "evicted"]
    assert all(each is None or each.source == "usage" for each in found)


@pytest.mark.parametrize(
    ("brief", "used", "kind"),
    [
        ("You are the clerk.", Usage(input_tokens=900, cached_tokens=0), "below_minimum"),
        (TALK.system, Usage(input_tokens=TOTAL, cached_tokens=None), "usage_unreported"),
    ],
)
def test_what_holds_for_every_call_is_told_once_of_each_agent(brief, used, kind) -> None:
    desk, talk = Desk(), Talk(brief, TALK.trunk, STEPS)

    for agent in ("clerk", "guard"):
        for n, expected in enumerate((None, kind, None, None)):
            seen = replace(desk.seen(said(n, talk=talk), agent=agent), usage=used)
            assert kinds(desk.lookout.judged(seen)[0]) == [expected]


def overflow(calls: int, *, every_s: float = 3.0, keys: int = 1, cached: int = 0) -> Any:
    """The last of so many calls, which alone missed."""
    desk = Desk()
    for n in range(calls - 1):
        body = {**said(1), "prompt_cache_key": f"key-{n % keys}"}
        assert desk.ask(body, agent=f"clerk {n % keys}", at_s=n * every_s) is None
    last = calls - 1
    body = {**said(1), "prompt_cache_key": f"key-{last % keys}"}
    return desk.ask(body, agent=f"clerk {last % keys}", at_s=last * every_s, cached=cached)


def test_more_than_fifteen_calls_a_minute_with_one_key_explain_a_miss() -> None:
    found = overflow(16)

    assert found is not None
    assert (found.kind, found.section, found.source) == ("rate_overflow", "usage", "usage")
    assert found.note.startswith("16 calls in a minute;")


def test_fifteen_do_not() -> None:
    assert kinds(overflow(15)) == ["evicted"]


def test_nor_do_sixteen_in_more_than_a_minute_or_with_several_keys() -> None:
    assert kinds(overflow(16, every_s=4.01)) == ["evicted"]
    assert kinds(overflow(16, keys=2)) == ["evicted"]
    assert kinds(overflow(32, every_s=1.0, keys=2)) == ["rate_overflow"]


def test_nor_are_they_told_while_they_are_read() -> None:
    assert overflow(40, every_s=1.0, cached=TOTAL) is None


def test_claude_has_no_such_limit() -> None:
    desk, wire = Desk(), "anthropic.messages"
    body = {**said(1, wire), "prompt_cache_key": "key"}

    found = [desk.ask(body, wire, at_s=n * 1.0, cached=0) for n in range(20)]

    assert set(kinds(*found[1:])) == {"evicted"}


def test_calls_that_start_together_are_cold_together() -> None:
    together, apart = Desk(), Desk()

    for desk, later_s in ((together, 0.05), (apart, 5.0)):
        desk.ask(said(1), cached=0, at_s=0.0)
        desk.ask(said(1), cached=0, at_s=later_s)

    assert together.found is not None
    assert (together.found.kind, together.found.relation) == ("concurrent_cold", "sibling")
    assert kinds(apart.found) == ["evicted"]


def test_a_lifetime_that_passed_is_told() -> None:
    desk, wire = Desk(), "anthropic.messages"
    desk.ask(said(1, wire), wire, at_s=0.0)

    assert desk.ask(said(2, wire), wire, at_s=280.0, cached=TOTAL) is None
    assert kinds(desk.ask(said(3, wire), wire, at_s=600.0, cached=0)) == ["ttl_expired"]


def test_an_agents_first_call_is_held_against_anothers_only_by_usage_and_only_in_a_fork() -> None:
    for forked, expected in ((True, ["evicted"]), (False, [None])):
        desk = Desk()
        desk.ask(said(2), agent="clerk", forked=forked)
        assert kinds(desk.ask(said(2), agent="guard", forked=forked, cached=0)) == expected
        assert desk.found is None or desk.found.relation == "sibling"
    desk = Desk()
    desk.ask(said(2), agent="clerk", forked=True)
    changed = Talk(f"{TALK.system} Be kind.", TALK.trunk, STEPS)
    assert desk.ask(said(2, talk=changed), agent="guard", forked=True) is None
    assert kinds(desk.ask(said(3), agent="guard", forked=True)) == ["text_edit"]


def test_an_agents_first_call_is_compared_with_calls_under_the_same_rules_only() -> None:
    desk = Desk()
    desk.ask(said(1), agent="clerk")
    desk.ask({**said(1), "model": "gpt-6-luna"}, agent="guard")

    assert desk.kin is None
    desk.ask(said(2), agent="maid")
    assert desk.kin_number == 0


@every_dialect
@pytest.mark.parametrize("again", [1, 3])
def test_what_a_program_does_to_its_request_after_the_call_changes_nothing(wire, again) -> None:
    desk = Desk()
    body = said(2, wire)
    sent = copy.deepcopy(body)
    for _ in range(again):
        assert desk.ask(body, wire) is None

    _spoil(body, wire)

    assert desk.ask(sent, wire) is None
    assert desk.kin is not None
    assert {k: v for k, v in desk.kin.request.items() if k != "extra_headers"} == full(sent, wire)
    assert kinds(desk.ask(body, wire)) == ["text_edit"]


def full(body: Json, wire: str = CHAT) -> Json:
    return spelled_out(dialect(wire), body)


def _spoil(body: Json, wire: str) -> None:
    """Change a request's brief and its messages, as deep as they go."""
    rows = body[PLACES[wire][1]]
    for holder in (
        body,
        *rows,
        *(p for r in rows if isinstance(r["content"], list) for p in r["content"]),
    ):
        for key in ("instructions", "content", "text"):
            if isinstance(holder.get(key), str):
                holder[key] = f"Spoilt. {holder[key]}"
    for part in body.get("system", []):
        if "text" in part:
            part["text"] = f"{part['text']} Spoilt."
    rows.append({"role": "user", "content": "One more."})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"type": "text", "n": 0, "m": 1}, {"m": 1, "type": "text", "n": 0}),
        ({"type": "text", "n": 1}, {"type": "text", "n": 1.0}),
        ({"type": "text", "n": [0.0]}, {"type": "text", "n": [-0.0]}),
        ({"type": "text", "n": [{"a": 1}]}, {"type": "text", "n": [{"a": True}]}),
    ],
)
def test_what_is_equal_but_not_the_same_bytes_is_told(one, other) -> None:
    desk = Desk()
    head, *rest = said(2)["messages"]
    more = {"role": "user", "content": "And now?"}
    bodies = [
        {"model": "gpt-4.1-mini", "messages": [head, {"role": "user", "content": [part]}, *said]}
        for part, said in ((one, rest), (one, [*rest, more]), (other, [*rest, more, more]))
    ]
    assert bodies[1]["messages"] == bodies[2]["messages"][:-1]

    assert [each is None for each in map(desk.ask, bodies)] == [True, True, False]


def test_a_lookout_that_fails_logs_it_and_goes_on(caplog) -> None:
    desk = Desk()
    broken = replace(desk.seen(said(1)), request=None)

    assert desk.lookout.judged(broken) == (None, None)
    assert "could not compare a call of 'clerk'" in caplog.text
    assert desk.ask(said(1)) is None
    assert desk.ask(said(2)) is None
    assert desk.kin_number == 1


def test_a_fork_is_compared_with_forks_and_other_calls_with_their_like() -> None:
    desk = Desk()
    desk.ask(said(1), forked=True)
    desk.ask(said(2))

    assert desk.ask(said(3), forked=True) is None
    assert desk.kin_number == 0


def test_it_knows_beforehand_what_a_fork_will_be_compared_with() -> None:
    desk = Desk()
    for body, agent in ((said(1), "clerk"), (said(1, talk=OTHER), "clerk"), (said(3), "guard")):
        desk.ask(body, agent=agent, forked=True)

    def near_to(agent: str, talk: Talk, **more: Any) -> Seen | None:
        body = said(2, talk=talk)
        return desk.lookout.nearest(replace(desk.seen(body, agent=agent, forked=True), **more))

    near = [
        near_to(agent, talk)
        for agent, talk in (("clerk", TALK), ("clerk", OTHER), ("nobody", TALK))
    ]

    assert [None if seen is None else seen.number for seen in near] == [0, 1, 2]
    assert near_to("clerk", TALK, rule=rule_for("claude-haiku-5-5"))
    assert near_to("nobody", TALK, rule=rule_for("claude-haiku-5-5")) is None
    assert near_to("clerk", TALK, place="elsewhere") is None


def test_it_knows_whether_a_call_goes_on_from_all_of_another() -> None:
    desk = Desk()
    desk.ask(said(1))
    desk.ask(said(2))
    first = desk.kin
    desk.ask(said(2, talk=OTHER))

    assert desk.lookout.extends("clerk", 1, first)
    assert not desk.lookout.extends("clerk", 2, first)
    assert not desk.lookout.extends("clerk", 1, None)
    assert not desk.lookout.extends("clerk", 9, first)


def test_what_an_earlier_request_has_is_kept_once() -> None:
    wire = dialect(CHAT)
    first = keep(wire, said(1), {}, [])
    later = keep(wire, copy.deepcopy(said(3)), {}, [first])
    fork = keep(wire, copy.deepcopy(said(2)), {}, [later, first])

    assert all(a is b for a, b in zip(first.rows, later.rows, strict=False))
    assert all(a is b for a, b in zip(later.rows, fork.rows, strict=False))
    assert all(a is b for a, b in zip(first.cuts, later.cuts, strict=False))
    assert later.blocks == wire.hashed(full(said(3)))
    assert fork.blocks == wire.hashed(full(said(2)))
    assert isinstance(later, Kept)
    assert {**later, "extra_headers": 0} == {**full(said(3)), "extra_headers": 0}


def test_nothing_is_taken_from_what_another_conversation_said() -> None:
    wire = dialect(CHAT)
    branch = Talk(TALK.system, TALK.trunk, (("Where is order 18?", "Gone."), *STEPS[1:]))
    other = Talk(f"{TALK.system} Hm.", TALK.trunk, STEPS)
    likes = [keep(wire, said(3, talk=talk), {}, []) for talk in (OTHER, branch, other)]

    made = keep(wire, said(3), {}, likes)

    assert made["messages"] == full(said(3))["messages"]
    assert made.blocks == wire.hashed(full(said(3)))


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)), st.integers(0, 9))
def test_common_counts_what_two_begin_with(one, other, shared) -> None:
    other = [*one[:shared], *other]
    least = min(len(one), len(other))

    n = common(one, other)

    assert one[:n] == other[:n]
    assert n == least or one[n] != other[n]


def shelved(shelf: Shelf, agent: str) -> list[int]:
    return [seen.number for seen in shelf.of(agent)]


def put(shelf: Shelf, *calls: tuple[str, int]) -> None:
    """Put calls of agents, so many characters each."""
    desk = Desk()
    for agent, size in calls:
        shelf.put(replace(desk.seen(said(0), agent=agent), size=size))


def test_a_shelf_keeps_the_latest_32_of_each_agent() -> None:
    shelf = Shelf()

    put(shelf, *[("clerk", 1)] * 32)
    assert shelved(shelf, "clerk") == [*range(32)]
    put(shelf, *[("guard", 1)] * 36)
    assert shelved(shelf, "guard") == [*range(4, 36)]
    assert shelved(shelf, "clerk") == [*range(32)]


def test_a_shelf_drops_what_a_later_call_holds_all_of_first() -> None:
    shelf, desk = Shelf(), Desk()
    calls = [
        ((b"a",), 0),
        *(((b"b", bytes([n])), n + 1) for n in range(30)),
        ((b"b", b"\x09", b"c"), 31),
    ]
    for keys, number in calls:
        shelf.put(replace(desk.seen(said(0)), keys=keys, number=number))
    shelf.put(replace(desk.seen(said(0)), keys=(b"d",), number=32))
    assert [n for n in range(33) if n not in shelved(shelf, "clerk")] == [10]


def test_a_shelf_keeps_256_agents_and_drops_the_one_that_was_silent_longest() -> None:
    shelf = Shelf()
    names = [f"agent {n}" for n in range(256)]

    put(shelf, *[(name, 1) for name in names], (names[0], 1))
    assert len(shelf.latest()) == 256
    put(shelf, ("one more", 1))

    assert len(shelf.latest()) == 256
    assert shelf.latest()[0].agent == "one more"
    assert shelved(shelf, names[1]) == []
    assert shelved(shelf, names[0]) == [0, 256]


def test_a_shelf_without_room_drops_what_is_old_before_what_is_latest() -> None:
    shelf = Shelf(room=100)

    put(shelf, ("clerk", 40), ("clerk", 40), ("guard", 20))
    assert (shelved(shelf, "clerk"), shelved(shelf, "guard")) == ([0, 1], [2])
    put(shelf, ("maid", 10))
    assert shelved(shelf, "clerk") == [1]
    put(shelf, ("cook", 70))
    assert shelved(shelf, "clerk") == []
    assert [seen.agent for seen in shelf.latest()] == ["cook", "maid", "guard"]


def test_a_shelf_keeps_the_latest_call_however_long_it_is() -> None:
    shelf = Shelf(room=100)

    put(shelf, ("clerk", 50), ("guard", 50), ("clerk", 500))
    assert (shelved(shelf, "clerk"), shelved(shelf, "guard")) == ([2], [])
    put(shelf, ("guard", 100))
    assert (shelved(shelf, "clerk"), shelved(shelf, "guard")) == ([], [0])


def test_a_lookout_counts_the_characters_of_what_it_keeps() -> None:
    desk = Desk()
    for n in range(140):
        desk.ask(said(3), agent=f"clerk {n % 2}")

    kept = [desk.lookout._shelf.of(f"clerk {n}") for n in range(2)]

    assert list(map(len, kept)) == [32, 32]
    assert desk.lookout._shelf._size == sum(seen.size for each in kept for seen in each)
    assert kept[0][0].size == sum(len(b.json) for b in dialect(CHAT).hashed(full(said(3))))


@pytest.mark.parametrize("cached", [0, 5_000])
def test_marks_that_do_not_meet_are_told_once_and_not_where_all_was_read(cached):
    desk, wire = Desk(), "openai.responses"
    desk.ask(said(0, wire), wire, cached=cached)
    found = desk.ask(said(0, wire, OTHER), wire, cached=cached)
    again = desk.ask(said(0, wire, Talk(TALK.system, "Third.", STEPS)), wire, cached=cached)
    assert kinds(found, again) == [None if cached else "mark_missing", None]


def test_an_edit_is_told_against_its_own_conversation_where_two_say_the_same_in_part():
    desk = Desk()
    for body in (said(1), said(1, talk=OTHER), said(2), said(2, talk=OTHER)):
        desk.ask(body)
    found = desk.ask(said(3, talk=Talk(TALK.system, f"{TALK.trunk} All of them.", STEPS)))
    assert desk.kin_number == 2
    assert found is not None
    assert (found.kind, found.path) == ("message_edited", "messages[1].content")


def test_two_runs_of_one_prompt_at_once_go_on_under_their_own_ids():
    def asked(*ids: str) -> Json:
        head, user, *_ = said(1)["messages"]
        made: list[Json] = []
        for name in ids:
            call = {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
            made += [{"role": "assistant", "content": None, "tool_calls": [call]}]
            made += [{"role": "tool", "tool_call_id": name, "content": "found"}]
        return {"model": "gpt-4.1-mini", "messages": [head, user, *made]}

    twins, alone = Desk(), Desk()
    bodies = [asked(), asked(), asked("a"), asked("b"), asked("a", "c"), asked("b", "d")]
    assert kinds(*map(twins.ask, bodies)) == [None] * len(bodies)
    bodies = [asked(), asked("a"), asked("b", "c")]
    assert kinds(*map(alone.ask, bodies)) == [None, None, "tool_call_id"]
