"""Which agents speak through one client, told by their system texts and their conversations."""

import random
import threading

import pytest

from agentcache.breaks import voices
from agentcache.breaks.patterns import moves_alone, steady_words
from agentcache.breaks.voices import Voices, same_voice

RULES = "\n".join(f"Rule {n}: answer in short sentences and cite your sources." for n in range(40))
ASKED = [{"role": "user", "content": "Build a shop."}]


def named(told: str) -> str:
    return f"<{told}>"


def speaker(*names: str) -> list[int]:
    """The agents by the number in which each was first heard."""
    order = list(dict.fromkeys(names))
    return [order.index(name) for name in names]


def one_talk(*texts: str) -> list[int]:
    """Who holds one conversation that grows, by these system texts in turn."""
    known = Voices(named)
    said, names = list(ASKED), list[str]()
    for n, text in enumerate(texts):
        names.append(known.name(text, said))
        said = [*said, {"role": "assistant", "content": f"Answer {n}."}]
        said = [*said, {"role": "user", "content": f"Go on, {n}."}]
    return speaker(*names)


def apart(*texts: str) -> list[int]:
    """Who speaks by these system texts, each in a conversation of its own."""
    known = Voices(named)
    return speaker(
        *(known.name(text, [{"role": "user", "content": f"{n}"}]) for n, text in enumerate(texts))
    )


SAME = {
    "time in front": ("It is 10:31:07. You are a clerk.", "It is 10:31:09. You are a clerk."),
    "time behind": (f"{RULES}\nNow: 2026-01-01T10:00Z", f"{RULES}\nNow: 2026-01-02T11:30Z"),
    "day and month": (
        "Today is Monday, May 5, 2026. Help.",
        "Today is Tuesday, June 16, 2026. Help.",
    ),
    "id": ("You are a clerk. Run 3f2b8c1e9a7d.", "You are a clerk. Run 77aa00bb11cc."),
    "time and id": ("At 10:00, run 3f2b8c1e9a7d. Help.", "At 10:05, run 77aa00bb11cc. Help."),
    "both ends of a long line": (
        f"It is 10:00. {'Be brief. ' * 400} Run 3f2b8c1e9a7d.",
        f"It is 10:07. {'Be brief. ' * 400} Run 77aa00bb11cc.",
    ),
    "spaces": ("You are  a clerk.", "You are a clerk.\n"),
    "keys": ('Use {"a": 1, "b": [2]} here.', 'Use {"b": [2], "a": 1} here.'),
    "list": ("You have: a, b, c. Be brief.", "You have: c, a, b. Be brief."),
    "bullets": ("Tools:\n- read\n- write\n- ask", "Tools:\n- write\n- ask\n- read"),
    "numbered": ("Tools:\n1. read\n2. write", "Tools:\n1. write\n2. read"),
    "sections": ("Be brief.\n# One\na\nb\n# Two\nc", "Be brief.\n# Two\nc\n# One\nb\na"),
}


@pytest.mark.parametrize("case", SAME)
def test_what_changes_by_itself_leaves_one_voice(case) -> None:
    one, other = SAME[case]

    assert same_voice(one, other)
    assert same_voice(other, one)
    assert apart(one, other) == [0, 0]


OTHERS = {
    "roles in swapped places": (
        "You are the buyer. Negotiate a price with the seller.",
        "You are the seller. Negotiate a price with the buyer.",
    ),
    "languages": ("Translate from English to German.", "Translate from German to English."),
    "time before a role": (
        "Current time: 10:31:07. You are a planner. Break the task down.",
        "Current time: 10:31:09. You are a researcher. Search the web.",
    ),
    "date before a role": (
        "Today is 2026-01-01. You are the coder.",
        "Today is 2026-01-02. You are the tester.",
    ),
    "names under titles": ("# You\nAnna\n# They\nBob", "# You\nBob\n# They\nAnna"),
    "names in items": ("Chat.\nYou:\n- Anna\nThey:\n- Bob", "Chat.\nYou:\n- Bob\nThey:\n- Anna"),
    "who comes first": ("The seller\nThe buyer", "The buyer\nThe seller"),
    "a role behind much": (f"{RULES}\nYou are Anna, a coder.", f"{RULES}\nYou are Bob, a critic."),
    "a role in front": (f"You are Anna, a coder.\n{RULES}", f"You are Bob, a critic.\n{RULES}"),
    "a count": (f"You are expert 1 of 3.\n{RULES}", f"You are expert 2 of 3.\n{RULES}"),
    "a number of four": (f"Customer number: 4411\n{RULES}", f"Customer number: 4412\n{RULES}"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_two_roles_are_two_voices(case) -> None:
    one, other = OTHERS[case]

    assert not same_voice(one, other)
    assert apart(one, other, one, other) == [0, 1, 0, 1]


@pytest.mark.parametrize("case", ["a role behind much", "a role in front", "a count"])
def test_a_group_chat_on_one_template_has_as_many_voices_as_members(case) -> None:
    one, other = OTHERS[case]
    third = one.replace("Anna", "Carol").replace("expert 1", "expert 3")

    assert one_talk(one, other, third, one, other, third) == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    "notes", ["# Memory\n- A fact.\n\n", "# Memory\n- A fact.\n", "<plan>\nx\n</plan>\n"]
)
def test_notes_end_where_a_task_follows(notes) -> None:
    one, other = (f"{RULES}\n{notes}{task} the draft." for task in ("Write", "Criticise"))

    assert one_talk(one, other, one) == [0, 1, 0]


@pytest.mark.parametrize(
    "ends",
    [("Write the draft.", "Criticise the draft."), ("", "\nJudge it."), ("Role: pen", "Role: ear")],
)
def test_a_role_behind_common_rules_is_told_in_a_group_chat(ends) -> None:
    one, other = (f"{RULES}\n{end}" for end in ends)

    assert one_talk(one, other, one, other) == [0, 1, 0, 1]


EDITS = {
    "count in front": lambda n: f"Turn {n} of 10.\n{RULES}",
    "count behind": lambda n: f"{RULES}\nYou have {10 - n} steps left.",
    "plan in front": lambda n: f"The plan: {', '.join(['read', 'ask', 'tell'][:n])}.\n{RULES}",
    "plan rewritten": lambda n: f"Plan: {'xyz'[n - 1] * 9}.\n{RULES}",
    "memory in front": lambda n: "# Memory\n" + "- A fact.\n" * n + f"You are a clerk.\n{RULES}",
    "memory that was empty": lambda n: (
        "# Memory\n"
        + "\n".join(f"- Fact {m}." for m in range(1, n))
        + f"\nYou are a clerk.\n{RULES}"
    ),
    "memory behind": lambda n: f"{RULES}\n# Memory\n" + "\n".join("abc"[:n]),
    "memory between signs": lambda n: f"<memory>\n{'xyz'[n - 1]}\n</memory>\n{RULES}",
    "memory and count": lambda n: f"Step {n} of 9.\n{RULES}\nNotes:\n" + "- A fact.\n" * n,
}


@pytest.mark.parametrize("case", EDITS)
def test_notes_and_counts_that_change_in_mid_conversation_are_one_voice(case) -> None:
    assert one_talk(*map(EDITS[case], (1, 2, 3))) == [0, 0, 0]


def test_an_edit_is_taken_back_when_the_older_text_speaks_again() -> None:
    one, two, three = (f"Status: {word}.\n{RULES}" for word in ("pen", "ear", "eye"))

    found = one_talk(*(one, two, three) * 3)
    assert found[:3] == [0, 0, 0]
    assert len(set(found[-3:])) == 3
    assert found[-3:] == found[-6:-3]


def test_a_new_conversation_with_the_older_text_takes_nothing_back() -> None:
    known = Voices(named)
    texts = [EDITS["memory behind"](n) for n in (1, 2)]
    for asked in "ab":
        first = [{"role": "user", "content": asked}]
        later = [*first, {"role": "assistant", "content": "Yes."}]
        assert known.name(texts[0], first) == known.name(texts[1], later)


def test_a_name_is_told_by_the_head_and_by_the_whole_where_that_is_taken() -> None:
    known = Voices(named)
    one, other = (f"{RULES}\nYou are {who}." for who in ("Anna", "Bob"))

    assert known.name(one, ASKED) == f"<{one[:200]}>"
    assert known.name(other, ASKED) == f"<{other}>"
    assert known.name(one, ASKED) == f"<{one[:200]}>"


def documents(seed: int) -> str:
    drawn = random.Random(seed)
    lines = (" ".join(drawn.choices(RULES.split(), k=14)) for _ in range(20))
    return "You are a support agent. Use the documents below.\n" + "\n".join(lines)


@pytest.mark.parametrize("same_words", [False, True])
def test_a_new_text_is_compared_with_few_of_those_known(same_words, mocker) -> None:
    known = Voices(named)
    compared = mocker.spy(voices, "same_voice")
    edited = mocker.spy(voices, "_is_edit")
    for n in range(80):
        text = f"Customer number: {4000 + n}\n{RULES}" if same_words else f"{documents(n)}"
        known.name(text, ASKED)
        assert compared.call_count <= (8 if same_words else 0)
        compared.reset_mock()
    assert edited.call_count == 0


def test_no_more_of_a_line_is_read_than_what_lies_about_its_change(mocker) -> None:
    read = mocker.patch.object(voices, "moves_alone", side_effect=moves_alone)
    line = "Be brief. " * 2_000

    assert same_voice(f"At 9:00. {line}It is 10:00. {line}", f"At 9:01. {line}It is 10:07. {line}")
    assert not same_voice(f"{line}Be Anna. {line}\nNow", f"{line}Be Bob. {line}\nNow")
    assert all(len(text) < 500 for call in read.call_args_list for text in call.args)


def test_lines_behind_the_first_that_differs_are_not_read(mocker) -> None:
    read = mocker.patch.object(voices, "moves_alone", side_effect=moves_alone)

    assert not same_voice(documents(1), documents(2))
    assert read.call_count <= 1


def test_what_is_known_is_bounded() -> None:
    known = Voices(named)
    for n in range(1_200):
        known.name(f"You are clerk {n}.", [{"role": "user", "content": f"{n}"}])
    sizes = [len(v) for v in vars(known).values() if isinstance(v, dict)]
    assert max(sizes) <= 512


def test_one_voice_has_one_choice_of_steady_words() -> None:
    one, other = SAME["time and id"]

    assert steady_words(one) == steady_words(other)
    assert steady_words("You are the coder.") != steady_words("You are the critic.")


def test_threads_hear_the_same_names() -> None:
    known = Voices(named)
    heard: list[str] = []

    def ask(n: int) -> None:
        texts = (f"You are the clerk. It is 10:{n}{turn % 10}." for turn in range(50))
        heard.extend(known.name(text, ASKED) for text in texts)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(heard)) == 1
