"""Responses: marks and their lifetimes."""

from .editing import Json, put
from .pair import Expect, Pair
from .prose_code import PERSONA_ANALYST, PERSONA_RESEARCHER
from .prose_desk import LEAFLETS
from .responses import MARK, desk, fork, tail, text, trunk, user

TASK = "List what the open questions would cost to answer."
ONCE = {"prompt_cache_options": {"mode": "explicit"}}
RESEARCHER = tail("researcher", PERSONA_RESEARCHER, TASK)
ANALYST = tail("analyst", PERSONA_ANALYST, TASK)
BOUNDARY = "input[1].content[1]"


def marked(request: Json, *at: int) -> Json:
    """The request with marks on the last part of these items."""
    for n in at:
        last = len(request["input"][n]["content"]) - 1
        request = put(request, "input", n, "content", last, "prompt_cache_breakpoint", value=MARK)
    return request


def _laden(who: Json) -> Json:
    """A tail that carries three documents, each of its four parts marked."""
    parts = [who["content"][0], *(text(leaflet) for leaflet in LEAFLETS)]
    return {"role": "user", "content": [{**p, "prompt_cache_breakpoint": MARK} for p in parts]}


def _appended(request: Json) -> Json:
    """The request with ninety items of a channel behind it."""
    log = [user(f"[{('Ines', 'Tomas', 'Ruth')[n % 3]}] Parcel {n + 300}: seen.") for n in range(90)]
    return put(request, "input", value=[*request["input"], *log])


PAIRS = (
    Pair(
        "responses: the second fork lost the mark at the end of the trunk",
        "openai.responses",
        fork([*trunk(marked=True), RESEARCHER], **ONCE),
        fork([*trunk(marked=False), ANALYST], **ONCE),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "responses: forks whose trunk nobody marked, where only marks are read",
        "openai.responses",
        fork([*trunk(marked=False), RESEARCHER]),
        fork([*trunk(marked=False), ANALYST]),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "responses: the mark stands on each fork's tail and not on the trunk",
        "openai.responses",
        marked(fork([*trunk(marked=False), RESEARCHER], **ONCE), 2),
        marked(fork([*trunk(marked=False), ANALYST], **ONCE), 2),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "responses: the only mark moved back to an earlier turn",
        "openai.responses",
        marked(desk(9, **ONCE), 12),
        marked(desk(12, **ONCE), 5),
        Expect("mark_moved_back", "marks", relation="follows"),
    ),
    Pair(
        "responses: ninety items were appended at once, without a mark",
        "openai.responses",
        desk(5),
        _appended(desk(5)),
        Expect("lookback_exceeded", "marks", relation="follows"),
    ),
    Pair(
        "responses: five marks, and the trunk's is not among the latest",
        "openai.responses",
        fork([*trunk(marked=True), _laden(RESEARCHER)]),
        fork([*trunk(marked=True), _laden(ANALYST)]),
        Expect("too_many_marks", "marks", relation="sibling"),
    ),
    Pair(
        "responses: the trunk's mark asks for twelve hours instead of thirty minutes",
        "openai.responses",
        fork([*trunk(marked=True, ttl="30m"), RESEARCHER], **ONCE),
        fork([*trunk(marked=True, ttl="12h"), ANALYST], **ONCE),
        Expect("ttl_tier", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "responses: the request's own option asks for twelve hours",
        "openai.responses",
        desk(5, prompt_cache_options={"ttl": "30m"}),
        desk(9, prompt_cache_options={"ttl": "12h"}),
        Expect("ttl_tier", "marks", "prompt_cache_options", relation="follows"),
    ),
)
