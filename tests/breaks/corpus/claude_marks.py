"""Anthropic Messages: marks and their lifetimes."""

from .claude import HOUR, MARK, desk, fork, messages, rolled, tail, text, told, trunk
from .editing import Json, put, within
from .pair import Expect, Pair
from .prose_code import PERSONA_ANALYST, PERSONA_RESEARCHER
from .prose_desk import LEAFLETS, SUPPORT
from .talks import CODE_TALK

TASK = "List what the open questions would cost to answer."
RESEARCHER = tail("researcher", PERSONA_RESEARCHER, TASK)
ANALYST = tail("analyst", PERSONA_ANALYST, TASK)
BARE = trunk(marked=False)
BOUNDARY = "system[2]"


def spoken(steps: int) -> list[Json]:
    """A loop of so many steps in which the agent says what it does and the user comments."""
    said = messages(CODE_TALK[: steps + 1])
    for n, message in enumerate(said[1:], 1):
        note = text(f"Step {(n + 1) // 2}: {'now the next look.' if n % 2 else 'go on.'}")
        blocks = message["content"]
        message["content"] = [note, *blocks] if n % 2 else [*blocks, note]
    return said


def _loop(steps: int, *at: int) -> Json:
    """A fork in such a loop, with marks on these messages."""
    return fork(rolled(spoken(steps), *at), system=told(SUPPORT))


def _laden(*marked: int) -> Json:
    """The service agent with documents in the first message, some of them marked."""
    blocks = [text(leaflet) for leaflet in LEAFLETS]
    for n in marked:
        blocks[n]["cache_control"] = MARK
    return put(desk(9), "messages", 0, "content", value=blocks)


PAIRS = (
    Pair(
        "anthropic: the second fork lost the mark at the end of the trunk",
        "anthropic.messages",
        fork([RESEARCHER]),
        fork([ANALYST], system=BARE),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "anthropic: an automatic mark falls on each fork's own last block",
        "anthropic.messages",
        fork([RESEARCHER], system=BARE, cache_control=MARK),
        fork([ANALYST], system=BARE, cache_control=MARK),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "anthropic: each fork marks its own tail and not the trunk",
        "anthropic.messages",
        fork(rolled([RESEARCHER]), system=BARE),
        fork(rolled([ANALYST]), system=BARE),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "anthropic: all marks were lost in a conversion",
        "anthropic.messages",
        desk(5),
        put(
            put(desk(9), "system", value=told(SUPPORT, mark=None)),
            *("messages", 8, "content"),
            value=[text(desk(9)["messages"][8]["content"][0]["text"])],
        ),
        Expect("mark_missing", "marks", relation="follows"),
    ),
    Pair(
        "anthropic: the mark on the messages moved back to the first one",
        "anthropic.messages",
        desk(5),
        desk(9, 0),
        Expect("mark_moved_back", "marks", relation="follows"),
    ),
    Pair(
        "anthropic: the mark on the messages moved back by a turn",
        "anthropic.messages",
        desk(9, 8),
        desk(12, 4),
        Expect("mark_moved_back", "marks", relation="follows"),
    ),
    Pair(
        "anthropic: the mark moved back from the trunk's last block to its first",
        "anthropic.messages",
        fork([RESEARCHER]),
        fork([ANALYST], system=[text(BARE[0]["text"], cache_control=MARK), *BARE[1:]]),
        Expect("mark_moved_back", "marks", relation="sibling"),
    ),
    Pair(
        "anthropic: forty-eight blocks were appended and only the last is marked",
        "anthropic.messages",
        _loop(2, 4),
        _loop(14, 28),
        Expect("lookback_exceeded", "marks", relation="follows"),
    ),
    Pair(
        "anthropic: thirty blocks stand in the next message",
        "anthropic.messages",
        desk(5),
        put(
            desk(9),
            *("messages", 8, "content"),
            value=[
                *(text(f"Question {n}: does part {3000 + n} fit?") for n in range(30)),
                text("Please answer all of them.", cache_control=MARK),
            ],
        ),
        Expect("lookback_exceeded", "marks", relation="follows"),
    ),
    Pair(
        "anthropic: a fifth mark, which the API refuses",
        "anthropic.messages",
        _laden(0, 1),
        _laden(0, 1, 2),
        Expect("too_many_marks", "marks"),
    ),
    Pair(
        "anthropic: four marks and an automatic one",
        "anthropic.messages",
        _laden(0, 1),
        within(_laden(0, 1), cache_control=MARK),
        Expect("too_many_marks", "marks"),
    ),
    Pair(
        "anthropic: the mark on the system prompt asks for an hour instead of five minutes",
        "anthropic.messages",
        desk(5),
        desk(9, system=told(SUPPORT, mark=HOUR)),
        Expect("ttl_tier", "marks", "system[0]", relation="follows"),
    ),
    Pair(
        "anthropic: forks whose trunk is marked for an hour and for five minutes",
        "anthropic.messages",
        fork([RESEARCHER], system=trunk(mark=HOUR)),
        fork([ANALYST], system=trunk()),
        Expect("ttl_tier", "marks", BOUNDARY, relation="sibling"),
    ),
)
