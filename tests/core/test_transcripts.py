"""A group chat as one prefix: the same to every reader, each agent's own part behind it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.dialects import dialect
from agentcache.forks import Fork
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session
from agentcache.transcripts import Line, Transcript, merged, said, unnamed

WIRES = [
    ("openai.chat", "gpt-6-luna"),
    ("openai.chat", "gpt-4.1-mini"),
    ("openai.chat.text", "gpt-4.1-mini"),
    ("anthropic.messages", "claude-haiku-5-5"),
]
every_wire = pytest.mark.parametrize(("wire", "model"), WIRES)
SETTINGS = settings(max_examples=25, deadline=None)
TASK = "The task, which all of them read. " + "facts about the market " * 400
NAMES = ("planner", "writer", "critic")
ROLE = "Mind the rules of the house, all of them, at every turn. "
words = st.text('abc äß漢\n"\\{}[]:', min_size=1, max_size=30)
chats = st.lists(st.tuples(st.sampled_from(NAMES), words), min_size=1, max_size=8)


def session_of(wire: str, model: str, tools: Sequence[dict[str, Any]] = ()) -> Session:
    domain = CacheDomain("test", model)
    return Session(freeze(wire, rule_for(model), domain, system="Shared.", tools=tools))


def asks(
    fork: Fork, chat: list[Any], *, role: str = ROLE, own: Any = (), always: bool = True
) -> Any:
    """The request of an agent that was told this chat, as a fork; `own` follows it."""
    wire = fork.session.parent.dialect
    public = [said(wire, name, text) for name, text in chat]
    messages = (*public, *own)
    flags = (*(True for _ in public), *(False for _ in own))
    transcript = Transcript(messages, flags, always=always)
    system = f"You are the {fork.name}. {role}"
    plain: dict[str, Any] = {"messages": [{"role": "user", "content": "as the framework has it"}]}
    if wire.name == "anthropic.messages":
        plain["system"] = system
    else:
        plain["messages"].insert(0, {"role": "system", "content": system})
    return fork.rewrite(plain, transcript=transcript)


def blocks(fork: Fork, body: Any) -> list[bytes]:
    wire = fork.session.parent.dialect
    return [b.identity for b in wire.hashed(body) if b.section != "params"]


def in_common(one: list[bytes], other: list[bytes]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


@every_wire
@SETTINGS
@given(chat=chats)
def test_every_request_begins_with_what_the_one_before_shared(wire, model, chat):
    session = session_of(wire, model)
    forks = {name: session.fork(name) for name in NAMES}
    trunk = len(session.standing.trunk)
    told: list[Any] = [("user", TASK)]
    before: list[bytes] = []
    shared = 0
    for name, text in chat:
        made = asks(forks[name], told)
        assert made.forked, made.reason
        now = blocks(forks[name], made.request)
        assert in_common(before, now) >= shared
        before, shared = now, trunk + len(told)
        told.append((name, text))


@every_wire
@SETTINGS
@given(chat=chats, role=words.filter(str.strip))
def test_nothing_of_a_chat_is_lost_whoever_reads_it(wire, model, chat, role):
    fork = session_of(wire, model).fork("planner")
    own = [{"role": "assistant", "content": "my own note"}, {"role": "user", "content": "go on"}]
    made = asks(fork, [("user", TASK), *chat], role=role, own=own)
    text = json.dumps(made.request, ensure_ascii=False)
    for piece in (role, "my own note", "go on", *(f"[{n}]: {t}" for n, t in chat)):
        assert json.dumps(piece, ensure_ascii=False)[1:-1] in text


@every_wire
def test_what_is_an_agents_own_stands_behind_the_chat(wire, model):
    fork = session_of(wire, model).fork("planner")
    own = [{"role": "assistant", "content": "called something"}]
    made = asks(fork, [("user", TASK), ("writer", "a draft")], own=own)
    text = json.dumps(made.request["messages"])
    order = [text.index(piece) for piece in ("a draft", "You are the planner", "called something")]
    assert order == sorted(order)


def test_older_calls_stand_in_front_of_the_agents_own_text():
    session = session_of("openai.chat", "gpt-6-luna")
    wire = session.parent.dialect
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    result = {"role": "tool", "tool_call_id": "1", "content": "rain"}
    messages = (said(wire, "user", TASK), call, result, said(wire, "planner", "It rains."))
    transcript = Transcript(messages, (True, False, False, True), always=True)
    system = {"role": "system", "content": "You are the planner."}
    made = session.fork("planner").rewrite({"messages": [system]}, transcript=transcript)
    roles = [m["role"] for m in made.request["messages"]]
    assert roles == ["system", "user", "user", "assistant", "tool", "user"]
    assert "You are the planner." in json.dumps(made.request["messages"][-1])


@SETTINGS
@given(public=st.lists(st.booleans(), max_size=12), data=st.data())
def test_around_moves_each_message_once_and_keeps_both_orders(public, data):
    messages = tuple({"role": "user", "content": str(n)} for n in range(len(public)))
    chat = Transcript(messages, tuple(public))
    at = data.draw(st.integers(0, sum(public)))
    laid = chat.around(at)
    assert sorted(map(str, laid)) == sorted(map(str, messages))
    assert laid[:at] == chat.shared()[:at]
    assert [m for m in laid if m in chat.shared()] == list(chat.shared())
    assert [m for m in laid if m in chat.own()] == list(chat.own())
    assert all(m in chat.own() for m in laid[at : at + chat.behind(at)])


@SETTINGS
@given(chat=chats, data=st.data())
def test_more_said_only_appends_where_an_agent_stays(chat, data):
    """A kept place sees its own last request as the beginning of the next one."""
    wire = dialect("openai.chat")
    public = [data.draw(st.booleans()) for _ in chat]
    messages = [said(wire, name, text) for name, text in chat]
    cut = data.draw(st.integers(0, len(chat)))
    at = sum(public[:cut])
    early = Transcript(tuple(messages[:cut]), tuple(public[:cut])).around(at)
    late = Transcript(tuple(messages), tuple(public)).around(at)
    tail = cut - Transcript(tuple(messages), tuple(public)).behind(at) - at
    assert late[: cut - max(tail, 0)] == early[: cut - max(tail, 0)]


def line(key: str, name: str | None = "other") -> Line:
    return Line(key, name, key)


def test_a_chat_is_the_thread_as_far_as_the_agent_was_told_it():
    thread = [line("task"), line("mine", "me"), line("theirs"), line("not yet")]
    context = [line("task"), line("call", None), line("theirs")]
    found = [(each.key, each.name) for each in merged(thread, context, "me")]
    assert found == [("task", "other"), ("call", None), ("mine", "me"), ("theirs", "other")]


def test_what_a_filter_hides_stays_hidden_unless_the_whole_chat_is_asked_for():
    thread = [line("task"), line("secret"), line("told")]
    context = [line("task"), line("told")]
    assert [each.key for each in merged(thread, context, "me")] == ["task", "told"]
    whole = merged(thread, context, "me", whole=True)
    assert [each.key for each in whole] == ["task", "secret", "told"]


def test_what_is_in_no_thread_was_said_to_this_agent_alone():
    found = merged([line("task")], [line("example"), line("task")], "me")
    assert [(each.key, each.name) for each in found] == [("example", None), ("task", "other")]


def test_a_message_said_twice_is_two_messages():
    thread = [line("yes"), line("yes"), line("no")]
    found = merged(thread, [line("yes"), line("yes")], "me")
    assert [each.key for each in found] == ["yes", "yes"]


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ("[planner]: the plan", "the plan"),
        ("  [planner]:the plan", "the plan"),
        ("[writer]: not mine", "[writer]: not mine"),
        ("see [planner]: above", "see [planner]: above"),
    ],
)
def test_a_name_copied_from_the_chat_is_taken_off(answer, left):
    assert unnamed(answer, "planner") == left


def rounds(session: Session, role: str, message: str, turns: int, **more: Any) -> list[Any]:
    forks = {name: session.fork(name) for name in NAMES}
    told: list[Any] = [("user", TASK)]
    made = []
    for n in range(turns):
        name = NAMES[n % 3]
        made.append(asks(forks[name], told, role=role, always=False, **more))
        told.append((name, f"{n} {message}"))
    return made


def marked_messages(rewrite: Any) -> int:
    """How many messages stand in front of an agent's own text."""
    texts = [json.dumps(m) for m in rewrite.request["messages"]]
    return next(n for n, text in enumerate(texts) if "You are the" in text)


def test_a_short_own_text_follows_the_chat():
    made = rounds(session_of("openai.chat", "gpt-6-luna"), ROLE, "said much " * 60, 9)
    assert [marked_messages(r) for r in made] == list(range(2, 11))


def test_a_long_own_text_stays_where_it_is_while_little_is_said():
    made = rounds(session_of("openai.chat", "gpt-4.1-mini"), ROLE * 100, "yes", 9)
    assert [marked_messages(r) for r in made] == [2, 3, 4] * 3


def test_a_long_own_text_is_written_once_before_it_can_stay():
    """Where only marks are read: the second request writes its end, the third stands on it."""
    made = rounds(session_of("openai.chat", "gpt-6-luna"), ROLE * 100, "yes", 9)
    assert [marked_messages(r) for r in made] == [2, 3, 4, 5, 6, 7, 5, 6, 7]


def test_a_prompt_that_is_asked_once_is_not_waited_for():
    session = session_of("openai.chat", "gpt-6-luna")
    asked = [{"role": "user", "content": "Who speaks next? " + ROLE * 100}]
    made = rounds(session, ROLE * 100, "yes", 9, own=asked)
    assert [marked_messages(r) for r in made] == list(range(2, 11))


def test_a_chat_below_the_minimum_goes_out_as_it_is_unless_a_layout_was_asked_for():
    one, two = (session_of("openai.chat", "gpt-6-luna").fork("planner") for _ in range(2))
    short = [("user", "hi")]
    assert asks(one, short, always=False).reason.startswith("below_minimum")
    assert asks(two, short, always=True).forked


def test_an_agent_that_began_plain_stays_plain_while_its_own_prefix_is_cheaper():
    session = session_of("openai.chat", "gpt-6-luna")
    fork = session.fork("planner")
    told = [("user", "a few facts " * 150)]
    heavy = ROLE * 100
    reasons = []
    for n in range(4):
        reasons.append(asks(fork, told, role=heavy, always=False).reason.partition(":")[0])
        told.append(("planner", f"{n} " + "one more fact " * 120))
    assert reasons[0] == "below_minimum"
    assert set(reasons[1:]) <= {"below_minimum", "begun_plain"}
