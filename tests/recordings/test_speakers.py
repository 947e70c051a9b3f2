"""Who speaks: agents told apart by recorded names, and else by their system texts."""

from agentcache.recordings.speakers import heard, speakers
from agentcache.recordings.values import Recorded

RULES = "You never guess, and you cite each source by its name and its page. " * 6


def call(system: str, *said: str, tools: tuple[str, ...] = (), **more) -> Recorded:
    messages = [{"role": "system", "content": system}] if system else []
    roles = ("user", "assistant")
    messages += [{"role": roles[n % 2], "content": text} for n, text in enumerate(said or ("Hi.",))]
    named = [{"type": "function", "function": {"name": name}} for name in tools]
    return Recorded({"model": "m", "messages": messages, "tools": named}, **more)


def names(*calls: Recorded) -> list[int]:
    """The agents by the number in which each was first heard."""
    found = speakers([heard(one) for one in calls])
    order = list(dict.fromkeys(found))
    return [order.index(name) for name in found]


def test_a_text_that_changes_only_in_times_ids_and_order_is_one_agents() -> None:
    changes = [
        ("It is 10:00.", "It is 11:30."),
        ("Run 3f2b8c1e9a7d.", "Run 77aa00bb11cc."),
        ("You have: a, b, c.", "You have: c, a, b."),
        ("You are  a clerk.", "You are a clerk."),
    ]
    for one, other in changes:
        assert names(call(f"{one} {RULES}", "a"), call(f"{other} {RULES}", "b")) == [0, 0]


def test_agents_made_from_one_template_are_apart() -> None:
    writer, editor = (f"You are the {who}. {RULES}" for who in ("writer", "editor"))

    assert names(call(writer), call(editor)) == [0, 1]
    assert names(call(writer), call(editor), call(writer)) == [0, 1, 0]


def test_a_counter_in_mid_conversation_is_the_same_agents() -> None:
    one, two = (f"You are a worker. {RULES} Step {n} of 10." for n in (1, 2))

    assert names(call(one, "a"), call(two, "a", "b", "c")) == [0, 0]
    assert names(call(one, "a"), call(two, "z")) == [0, 1]  # or two workers of ten


def test_an_edit_is_the_same_agents_only_if_the_old_text_never_comes_back() -> None:
    one, two = (f"You are a worker of ours. {RULES} {n}" for n in ("Be brief.", "Be thorough."))

    assert names(call(one, "a"), call(two, "a", "b", "c")) == [0, 0]
    assert names(call(one, "a"), call(two, "a", "b", "c"), call(one, "d")) == [0, 1, 0]


def test_other_tools_are_another_agents_unless_the_conversation_goes_on() -> None:
    text = f"You are a worker. {RULES}"

    assert names(call(text, "a", tools=("x",)), call(text, "b", tools=("y",))) == [0, 1]
    assert names(call(text, "a", tools=("x",)), call(text, "a", "b", tools=("x", "y"))) == [0, 0]


def test_a_name_on_the_call_itself_is_believed() -> None:
    one = call(f"You are the writer. {RULES}", agent="pen")
    other = call("Sum up what was said.", agent="pen")

    assert speakers([heard(one), heard(other)]) == ["pen", "pen"]


def test_agents_under_one_name_and_one_run_are_told_apart_by_their_texts() -> None:
    calls = [
        call(f"You are the {who}. {RULES}", who, agent="crew", under="span-1")
        for who in ("writer", "editor", "writer")
    ]

    assert speakers([heard(one) for one in calls]) == ["crew", "crew (2)", "crew"]


def test_an_agent_may_change_its_text_from_one_run_to_the_next() -> None:
    calls = [
        call(f"You are the writer. {mood} {RULES}", "a", agent="writer", under=f"span-{n}")
        for n, mood in enumerate(("Be gay.", "Be stern and short."))
    ]

    assert speakers([heard(one) for one in calls]) == ["writer", "writer"]


def test_calls_of_two_names_are_never_one_agents() -> None:
    calls = [call("Same text.", agent=name, under=name) for name in ("a", "b")]

    assert speakers([heard(one) for one in calls]) == ["a", "b"]


def test_an_agent_without_a_name_is_called_by_the_beginning_of_its_text() -> None:
    long = "You are the keeper of a lighthouse. " + RULES
    calls = [call("Brief."), call(long), call(long + "Other.", tools=("x",)), call("")]

    assert speakers([heard(one) for one in calls]) == [
        "Brief.",
        "You are the keeper of a...",
        "You are the keeper of a... (2)",
        "agent",
    ]


def test_a_request_that_cannot_be_read_is_heard_as_nothing(mocker) -> None:
    assert heard(Recorded({"model": "m"})) is None
    mocker.patch("agentcache.recordings.speakers.dialect_of", side_effect=RuntimeError)
    assert heard(call("You are a clerk.")) is None
