"""Chat Completions: marks, where only marks are read (GPT-5.6 and later), and lifetimes."""

from .chat import MARK, desk, fork, tail, trunk
from .editing import put, within
from .pair import Expect, Pair
from .prose_code import PERSONA_ANALYST, PERSONA_RESEARCHER
from .prose_desk import LEAFLETS
from .toolbox import Json

TASK = "List what the open questions would cost to answer."
ONCE = {"prompt_cache_options": {"mode": "explicit"}}
RESEARCHER = tail("researcher", PERSONA_RESEARCHER, TASK)
ANALYST = tail("analyst", PERSONA_ANALYST, TASK)
BOUNDARY = "messages[1].content[1]"


def marked(request: Json, *at: int) -> Json:
    """The request with all of the user's texts as parts, those of these messages marked."""
    said = []
    for n, message in enumerate(request["messages"]):
        if message["role"] != "user":
            said.append(message)
            continue
        mark = {"prompt_cache_breakpoint": MARK} if n in at else {}
        part = {"type": "text", "text": message["content"], **mark}
        said.append({"role": "user", "content": [part]})
    return put(request, "messages", value=said)


def _laden(who: Json) -> Json:
    """A tail that carries three documents, each of its four parts marked."""
    documents = [{"type": "text", "text": leaflet} for leaflet in LEAFLETS]
    parts = [who["content"][0], *documents]
    return {"role": "user", "content": [{**p, "prompt_cache_breakpoint": MARK} for p in parts]}


def _own_mark(who: Json) -> Json:
    """A tail with a mark on its last part."""
    *first, last = who["content"]
    return {"role": "user", "content": [*first, {**last, "prompt_cache_breakpoint": MARK}]}


def _appended(request: Json) -> Json:
    """The request with ninety messages of a channel behind it."""
    log = [
        {"role": "user", "content": f"[{('Ines', 'Tomas', 'Ruth')[n % 3]}] Parcel {n + 300}: seen."}
        for n in range(90)
    ]
    return put(request, "messages", value=[*request["messages"], *log])


def _grown(request: Json) -> Json:
    """The trunk's message with one more part, which now carries the mark."""
    first, second = (dict(part) for part in request["messages"][1]["content"])
    second.pop("prompt_cache_breakpoint", None)
    third = {"type": "text", "text": LEAFLETS[0], "prompt_cache_breakpoint": MARK}
    return put(request, "messages", 1, "content", value=[first, second, third])


PAIRS = (
    Pair(
        "chat: the second fork lost the mark at the end of the trunk",
        "openai.chat",
        fork([*trunk(marked=True), RESEARCHER], **ONCE),
        fork([*trunk(marked=False), ANALYST], **ONCE),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "chat: forks whose trunk nobody marked, where only marks are read",
        "openai.chat",
        fork([*trunk(marked=False), RESEARCHER], model="gpt-5.6-luna"),
        fork([*trunk(marked=False), ANALYST], model="gpt-5.6-luna"),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "chat: the mark stands on each fork's tail and not on the trunk",
        "openai.chat",
        fork([*trunk(marked=False), _own_mark(RESEARCHER)], **ONCE),
        fork([*trunk(marked=False), _own_mark(ANALYST)], **ONCE),
        Expect("mark_missing", "marks", BOUNDARY, relation="sibling"),
    ),
    Pair(
        "chat: the trunk grew within its message and the mark moved along",
        "openai.chat",
        fork([*trunk(marked=True), RESEARCHER], **ONCE),
        _grown(fork([*trunk(marked=True), RESEARCHER], **ONCE)),
        Expect("mark_missing", "marks", BOUNDARY),
    ),
    Pair(
        "chat: the only mark moved back to the first user message",
        "openai.chat",
        marked(desk(9, model="gpt-6-luna", **ONCE), 10),
        marked(desk(12, model="gpt-6-luna", **ONCE), 1),
        Expect("mark_moved_back", "marks", relation="follows"),
    ),
    Pair(
        "chat: the mark moved back by one turn",
        "openai.chat",
        marked(desk(9, model="gpt-5.6-luna", **ONCE), 10),
        marked(desk(12, model="gpt-5.6-luna", **ONCE), 5),
        Expect("mark_moved_back", "marks", relation="follows"),
    ),
    Pair(
        "chat: ninety messages were appended at once, without a mark",
        "openai.chat",
        desk(5, model="gpt-6-luna"),
        _appended(desk(5, model="gpt-6-luna")),
        Expect("lookback_exceeded", "marks", relation="follows"),
    ),
    Pair(
        "chat: five marks, and the trunk's is not among the latest",
        "openai.chat",
        fork([*trunk(marked=True), _laden(RESEARCHER)]),
        fork([*trunk(marked=True), _laden(ANALYST)]),
        Expect("too_many_marks", "marks", relation="sibling"),
    ),
    Pair(
        "chat: another lifetime at Moonshot, which keeps a cache for each",
        "openai.chat",
        within(desk(5, model="kimi-k3"), prompt_cache_options={"ttl": "5m"}),
        within(desk(9, model="kimi-k3"), prompt_cache_options={"ttl": "1h"}),
        Expect("ttl_tier", "marks", relation="follows"),
    ),
)
