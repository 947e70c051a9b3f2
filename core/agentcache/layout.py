"""Fork layout: the same request, re-laid behind a shared prefix. Pure; nothing is sent here.

[union of tools][shared system][shared context] ^mark [who you are, your task] [your own loop]
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from agentcache.dialects import Dialect, Json, Parts
from agentcache.dialects.base import is_json, is_list, role_of, strip_marks
from agentcache.marks import as_parts, far_back, mark_ends, mark_part, roll
from agentcache.rules import Rule

__all__ = [
    "SAID",
    "Tail",
    "Trunk",
    "apart",
    "cut_at",
    "found_in",
    "grown",
    "lay",
    "lift",
    "reference_to",
    "taking_turns",
    "trunk_texts",
]

SAID: Final = ("user", "system", "developer")
"""Roles in which a program itself speaks."""
_REFERENCE: Final = len("[shared_context 000000, given above]")
_ROLLING: Final = 2
"""Marks that `marks.roll` may need: the end of this turn, and of the one before."""
_HISTORY: Final = 1
"""Marks that the end of a shared history needs."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """What all forks share: `tools` as JSON, the `system` text, `context` texts in order.

    `texts` are the context as it stands on the wire, `cuts` the numbers of context texts at which
    shorter trunks end, shortest first.
    """

    tools: tuple[str, ...]
    system: str
    context: tuple[str, ...]
    texts: tuple[str, ...]
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tail:
    """What one fork adds: its `name`, its own `system` texts verbatim, and `lines` about tools.

    It stands `after` that many messages, which are shared with other forks; `older` is an earlier
    end of them, at which another fork may have written. `behind` more, of its own, stand before it
    too. `added` are messages that offer its own tools. What follows it in a chat (`chat`) was said
    after it was first sent, and may join it only where a longer message is read too.
    """

    name: str
    system: tuple[str, ...]
    lines: tuple[str, ...] = ()
    after: int = 0
    older: int = 0
    behind: int = 0
    added: tuple[Json, ...] = ()
    chat: bool = False

    def text(self) -> str:
        """The tail as the model reads it."""
        own = "\n\n".join(self.system)
        body = f'<agent name="{self.name}">\n{own}\n</agent>' if own else ""
        return "\n\n".join(piece for piece in (body, *self.lines) if piece)


def trunk_texts(context: Sequence[str]) -> tuple[str, ...]:
    """The context texts as they stand in the trunk, named so that a tail can refer to them."""
    return tuple(
        f'<shared_context id="{_name(text)}">\n{text}\n</shared_context>' for text in context
    )


@lru_cache(maxsize=128)
def _name(text: str) -> str:
    """A name by content: an answer that quotes a reference means the same text everywhere."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()


def lift(text: str, context: Sequence[str]) -> str:
    """Replace every verbatim copy of a shared context in `text` by a reference to the trunk.

    A context shorter than the reference stays where it is.
    """
    pieces = _pieces(text, (shared for shared in context if len(shared) > _REFERENCE))
    return "".join(reference_to(piece) if shared else piece for piece, shared in pieces)


def reference_to(text: str) -> str:
    """What stands in a tail in place of a shared text."""
    return f"[shared_context {_name(text)}, given above]"


def found_in(texts: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of the wanted texts that `lift` would take out of these texts."""
    known = list(wanted)
    taken = {piece for text in texts for piece, shared in _pieces(text, known) if shared}
    return [w for w in known if w in taken]


def cut_at(text: str, wanted: Iterable[str]) -> list[str]:
    """What is left of a text, in order, once these are taken out of it."""
    return [piece for piece, shared in _pieces(text, wanted) if not shared]


def _pieces(text: str, wanted: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Cut a text at the wanted ones, in one pass: (piece, whether it is one of them).

    The leftmost comes first, and of two that begin together the longer one.
    """
    here: dict[str, int] = {one: at for one in wanted if (at := text.find(one)) >= 0}
    start = 0
    while here:
        found = min(here, key=lambda one: (here[one], -len(one)))
        at = here[found]
        if at > start:
            yield text[start:at], False
        yield found, True
        start = at + len(found)
        here = {one: text.find(one, start) if was < start else was for one, was in here.items()}
        here = {one: at for one, at in here.items() if at >= 0}
    if start < len(text):
        yield text[start:], False


def lay(
    dialect: Dialect,
    rule: Rule,
    trunk: Trunk,
    parts: Parts,
    tail: Tail,
    *,
    mark: Json,
    loops: bool,
) -> Json:
    """Write a fork's request. `parts` is the original request; `mark` is empty for no marks."""
    after, older = tail.after, tail.older
    own = [_lifted(m, trunk.context) for m in parts.messages]
    if mark:
        own = [_clean(dialect, m) for m in own]
    text = tail.text()
    opening: list[Json] = [{"type": dialect.text_type, "text": text}] if text else []
    system, lead, spent = _trunk_parts(dialect, rule, trunk, mark, kept=_HISTORY if after else 0)
    said, known, own = own[:after], own[after:][: tail.behind], own[after + tail.behind :]
    if mark and after:
        alone = bool(rule.single_shot) and not loops  # then only its own marks are looked up
        ends = (after, older) if older and (alone or far_back(rule, said[older:])) else (after,)
        room = rule.marks_max - spent - (1 if loops and not rule.automatic else 0)
        said, used = mark_ends(dialect, said, ends[: max(1, room)], mark)
        spent += used
    if rule.new_message:
        shared = [*grown(dialect, lead, trunk.cuts), *said]
    elif after or known:
        shared = dialect.opened(lead, said)
    else:
        shared, opening = [], [*lead, *opening]
    messages = [*shared, *known, *_following(dialect, rule, tail, opening, own)]
    if dialect.alternates:
        messages = taking_turns(dialect, messages)
    if mark and loops:
        messages = roll(dialect, rule, messages, mark, spent=spent)
    tools = [json.loads(tool) for tool in trunk.tools]  # fresh: who sends it may change it
    return dialect.join(parts.rest, tools, system, messages)


def _following(
    dialect: Dialect, rule: Rule, tail: Tail, opening: Sequence[Json], own: Sequence[Json]
) -> list[Json]:
    """A fork's own text and tools, and what it goes on with."""
    alone = rule.new_message and tail.chat
    following = [*dialect.opened(opening, ()), *own] if alone else dialect.opened(opening, own)
    if not tail.added:
        return following
    # Where roles take turns, a system turn may only stand before the model's.
    first = role_of(following[0]) if following else ""
    at = 1 if dialect.alternates and first == "user" else 0
    return [*following[:at], *tail.added, *following[at:]]


def apart(dialect: Dialect, message: Json) -> list[Json]:
    """What a framework joined in one message of the user's, where roles must take turns."""
    content: Any = message.get("content")
    if not dialect.alternates or not _joins(message) or not is_list(content) or not content:
        return [message]
    return [{**message, "content": [part]} for part in content]


def taking_turns(dialect: Dialect, messages: Sequence[Json]) -> list[Json]:
    """Join what the user says in one go."""
    out: list[Json] = []
    for message in messages:
        if out and _joins(out[-1]) and _joins(message):
            both = (as_parts(dialect, out[-1]), as_parts(dialect, message))
            out[-1] = {**out[-1], "content": [part for each in both for part in each["content"]]}
        else:
            out.append(message)
    return out


def _joins(message: object) -> bool:
    return is_json(message) and set(message) == {"role", "content"} and message["role"] == "user"


def grown(dialect: Dialect, lead: Sequence[Json], cuts: Sequence[int]) -> list[Json]:
    """The shared context as messages, one for each time the trunk grew.

    A message that is extended loses its boundary (OpenAI guide, 2026-09): the shorter trunk would
    not be found.
    """
    ends = [0, *(cut for cut in cuts if cut), len(lead)]
    pieces = [lead[a:b] for a, b in pairwise(ends)]
    return [message for piece in pieces for message in dialect.opened(piece, ())]


def _trunk_parts(
    dialect: Dialect, rule: Rule, trunk: Trunk, mark: Json, kept: int
) -> tuple[list[Json], list[Json], int]:
    """The shared text as (system parts, parts that open the first user message, marks spent).

    The last part is marked, and so are those where shorter trunks end: where only marks are read,
    a fork of the longer trunk would not find the shorter one otherwise. The longest come first, as
    far as the provider's limit goes; a looping worker keeps two marks for its own turns.
    """
    texts = [trunk.system] if trunk.system else []
    head = len(texts)
    texts += trunk.texts
    parts: list[Json] = [{"type": dialect.text_type, "text": text} for text in texts]
    ends = dict.fromkeys((len(parts), *(head + cut for cut in reversed(trunk.cuts))))
    limit = max(1, rule.marks_max - kept - (0 if rule.automatic else _ROLLING))
    marked = [end for end in ends if mark and end > 0][:limit]
    for end in marked:
        parts[end - 1] = mark_part(dialect, parts[end - 1], mark)
    if dialect.context_in == "system":
        return parts, [], len(marked)
    return parts[:head], parts[head:], len(marked)


def _lifted(message: Json, context: Sequence[str]) -> Json:
    """Only what the program itself said is lifted; model answers and tool results stay as sent."""
    if not context or message.get("role") not in SAID:
        return message
    content: Any = message.get("content")
    if isinstance(content, str):
        return {**message, "content": lift(content, context)}
    if not is_list(content):
        return message
    return {**message, "content": [_lifted_part(p, context) for p in content]}


def _lifted_part(part: Any, context: Sequence[str]) -> Any:
    text: Any = part.get("text") if is_json(part) else None
    return {**part, "text": lift(text, context)} if isinstance(text, str) else part


def _clean(dialect: Dialect, message: Json) -> Json:
    """Drop marks the framework put into what is now a tail: they would pay for one-off writes."""
    content: Any = message.get("content")
    if not is_list(content) or not any(_may_hold(dialect, part) for part in content):
        return message
    bare = [strip_marks(p, dialect.mark_key)[0] for p in content]
    return {**message, "content": [_clean(dialect, p) if is_json(p) else p for p in bare]}


def _may_hold(dialect: Dialect, part: Any) -> bool:
    return is_json(part) and (dialect.mark_key in part or is_list(part.get("content")))
