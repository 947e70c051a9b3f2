"""What happened to a conversation: healthy growth and forks, or a message that moved."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

from agentcache.blocks import Block, dumps
from agentcache.breaks.found import Found, of_leaf, short
from agentcache.breaks.leaves import first_leaf
from agentcache.breaks.messages import Message, is_image, is_result, parts_of, text_of
from agentcache.breaks.summaries import in_summaries
from agentcache.breaks.texts import alike, change_of, first_difference, last_difference
from agentcache.breaks.values import Kind
from agentcache.dialects import Dialect
from agentcache.dialects.base import Sent, is_json, is_list, role_of

__all__ = ["Message", "agent_of", "in_messages", "is_another", "messages_of"]

_GONE: Final = re.compile(
    r"compact|summar|elided|omitted|truncated|cleared|removed|pruned|trimmed|placeholder|"
    r"\[\s*(?:old|earlier|previous)|content id|<result",
    re.IGNORECASE,
)
_NEAR: Final = 0.6
_SAME: Final = 0.6
_STEPS: Final = 64
_LESS: Final = "message_dropped"
_IMAGE_AT: Final = re.compile(r"content\[(\d+)\]")
_AGENT: Final = re.compile(r'<agent name="([^"]*)">')
_END: Final = "</agent>"
_MOVES_ALONE: Final = ("timestamp", "random_id")
_HEAD: Final = 400


def messages_of(wire: Dialect, request: Any, blocks: Sequence[Block]) -> Sequence[Message]:
    """The messages of a request, in order; `blocks` are all of the request's."""
    if isinstance(request, Sent) and request.wire is wire and request.said:
        return request.said
    held: Any = request.get(wire.messages_key)
    rows: list[Any] = [{"role": "user", "content": held}] if isinstance(held, str) else []
    rows = list(cast("Sequence[Any]", held)) if isinstance(held, list | tuple) else rows
    keys: dict[str, bytes] = {}
    for block in blocks:
        if block.section == "messages":
            name = block.path.partition(".")[0]
            keys[name] = keys.get(name, b"") + block.identity
    whole = keys.get(wire.messages_key, b"")
    return [
        Message(n, row, keys.get(f"{wire.messages_key}[{n}]", whole), wire.mark_key)
        for n, row in enumerate(rows)
    ]


def in_messages(wire: Dialect, before: Sequence[Message], after: Sequence[Message]) -> Found | None:
    """Where a conversation broke; None for growth, a fork, or another branch."""
    at = _common([m.key for m in before], [m.key for m in after])
    summary = in_summaries(wire, before[at:], after[at:])
    if summary is not None:
        return summary
    if at >= min(len(before), len(after)):
        return None
    one, other = before[at:], after[at:]
    key = wire.messages_key
    if len(one) == 1 and not one[0].is_system and other[-1].bare == one[0].bare:
        return None  # what was asked last is asked again, behind what was said since
    found = _shuffled(key, one, other) or _ids_anew(key, one, other)
    if found is None and (one[0].is_system or other[0].is_system):
        return _in_system(key, before, after, at)
    return (
        found
        or _moved(key, before, after, at)
        or _thinned(key, one, other)
        or _edited(key, one, other)
    )


def _common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def _in_system(
    key: str, before: Sequence[Message], after: Sequence[Message], at: int
) -> Found | None:
    """A system message that changed, came or went."""
    one, other = before[at], after[at]
    lead = all(m.is_system for m in before[:at])
    if one.is_system and other.is_system:
        return _first(key, one, other, "text_edit", section="system" if lead else "messages")
    moved = _moved(key, before, after, at)
    if moved is not None:
        return moved
    kind: Kind = "message_inserted" if other.is_system else "message_dropped"
    return Found(kind, "messages", f"{key}[{at}]", None, short(one.body), short(other.body))


def is_another(one: str, other: str) -> bool:
    """Whether a system text is not an edit of the other one, but another agent's."""
    return alike(one, other) < _SAME


def _shuffled(key: str, one: Sequence[Message], other: Sequence[Message]) -> Found | None:
    """The same messages in another order, before the conversation goes on."""
    open_: Counter[bytes] = Counter()
    for a, b in zip(one, other, strict=False):
        open_[a.key] += 1
        open_[b.key] -= 1
        for each in (a.key, b.key):
            if not open_[each]:
                del open_[each]
        if not open_:
            sides = (short(one[0].body), short(other[0].body))
            return Found("order", "messages", f"{key}[{other[0].number}]", None, *sides)
    return None


def _thinned(key: str, one: Sequence[Message], other: Sequence[Message]) -> Found | None:
    """Several messages that went, or came, here and there in a conversation that goes on."""
    for kind, full, thin in (("message_dropped", one, other), ("message_inserted", other, one)):
        left = iter(m.bare for m in full)
        kept = 0
        for message in thin:
            if message.bare not in left:  # reads on until it is found
                break
            kept += message.role != "user"
        whole = kept and next(left, None) is None
        if whole or kept == sum(m.role != "user" for m in thin) > 0:
            path = f"{key}[{one[0].number}]"
            sides = (short(one[0].body), short(other[0].body))
            found: Kind = "message_dropped" if kind == "message_dropped" else "message_inserted"
            return Found(found, "messages", path, None, *sides)
    return None


def _ids_anew(key: str, one: Sequence[Message], other: Sequence[Message]) -> Found | None:
    """The same calls under other ids."""
    first, second = one[0], other[0]
    if first.bare != second.bare or first.key == second.key:
        return None
    leaf = first_leaf(first.body, second.body)
    path = f"{key}[{second.number}]"
    if leaf is None:
        return None
    return replace(of_leaf(leaf, "messages", path, "tool_call_id"), kind="tool_call_id")


def _moved(key: str, before: Sequence[Message], after: Sequence[Message], at: int) -> Found | None:
    """Messages that came, went, or were replaced by fewer, with the same ones after them."""
    one, other = [m.bare for m in before[at:]], [m.bare for m in after[at:]]
    tried = 0
    for gone, new in _steps(len(one), len(other)):
        if gone >= len(one) or new >= len(other) or one[gone] != other[new]:
            continue
        tried += 1
        if _goes_on(one, other, gone, new):
            return _step(key, before, after, at, (gone, new))
        if tried == _STEPS:
            break
    return None


def _steps(one: int, other: int) -> list[tuple[int, int]]:
    """How many messages may have gone and come, the fewest first."""
    simple = [(n, 0) for n in range(1, one + 1)] + [(0, n) for n in range(1, other + 1)]
    fewer = [(gone, new) for new in (1, 2, 3) for gone in range(new + 1, one + 1)]
    return sorted([*simple, *fewer], key=sum)


def _goes_on(one: list[bytes], other: list[bytes], gone: int, new: int) -> bool:
    """Whether both go on alike after that, as far as the shorter one reaches."""
    left, right = one[gone:], other[new:]
    length = min(len(left), len(right))
    return length > 0 and left[:length] == right[:length]


def _step(
    key: str, before: Sequence[Message], after: Sequence[Message], at: int, step: tuple[int, int]
) -> Found:
    gone, new = step
    old, now = before[at], after[at]
    path, sides = f"{key}[{at}]", (short(old.body), short(now.body))
    if new and not gone:
        return Found("message_inserted", "messages", path, None, "", sides[1])
    if gone and not new:
        first = not any(not m.is_system for m in before[:at])
        grew = len(after) - at > len(before) - at - gone
        slid: Kind = "window_slid" if grew and (first or _is_pinned(before, after, at)) else _LESS
        return Found(slid, "messages", path, None, sides[0], "")
    return Found("compaction", "messages", path, None, *sides)


def _is_pinned(before: Sequence[Message], after: Sequence[Message], at: int) -> bool:
    """Whether a window of one length slides behind the first thing that was said."""
    said = [m for m in before[:at] if not m.is_system]
    return len(said) == 1 and said[0].role == "user" and len(before) == len(after)


def _edited(key: str, one: Sequence[Message], other: Sequence[Message]) -> Found | None:
    """A message that is not what it was, though the conversation goes on as before."""
    first, second = one[0], other[0]
    goes_on = len(one) > 1 and _same_talk(one, other)
    if not goes_on and not _is_shared(one, other):
        return _in_own_text(key, first, second)
    shrunk = [
        (a, b)
        for a, b in zip(one, other, strict=False)
        if a.key != b.key and is_result(a) and _GONE.search(text_of(b.body)[:_HEAD])
    ]
    if len(shrunk) > 1:
        path = f"{key}[{second.number}]"
        return Found("compaction", "messages", path, None, short(first.body), short(second.body))
    found = _first(key, first, second, "message_edited", section="messages")
    apart = not goes_on and len(one) == len(other)
    return replace(found, relation="sibling") if found is not None and apart else found


def _in_own_text(key: str, one: Message, other: Message) -> Found | None:
    """What moves by itself in a fork's own text, which tells the agent who it is."""
    old, new = (next(iter(_texts(m.body)), "").partition(_END)[0] for m in (one, other))
    if one.role != other.role or not _AGENT.match(old) or _agent(one) != _agent(other):
        return None
    change = change_of(old, new)
    if change is None or change.kind not in _MOVES_ALONE:
        return None
    return _first(key, one, other, "message_edited", section="messages")


def _is_shared(one: Sequence[Message], other: Sequence[Message]) -> bool:
    """Whether two forks differ in what was meant to be shared, and not only in their own tails.

    What is shared is followed by more of the user's own: in parts behind a mark, or in a message.
    """
    first, second = one[0], other[0]
    if first.role != second.role or is_result(first):
        return False
    parts, others = _texts(first.body), _texts(second.body)
    pairs = enumerate(zip(parts, others, strict=False))
    at = next((n for n, (a, b) in pairs if a != b), min(len(parts), len(others)))
    if any(_AGENT.search(text[:_HEAD]) for each in (parts, others) for text in each[at : at + 1]):
        return False
    sent = parts_of(first.sent)
    inside = any(is_json(p) and first.mark_key in p for p in sent[at:-1] if first.mark_key)
    tails = [len(each) > 1 and _is_said_by_user(each[1]) for each in (one, other)]
    if not inside and not all(tails):
        return False
    return at == min(len(parts), len(others)) or _is_edit(parts, others, at)


def _is_said_by_user(message: Message) -> bool:
    return message.role == "user" and not is_result(message)


def _is_edit(parts: list[str], others: list[str], at: int) -> bool:
    """Whether the part that differs is the same one, edited or moved."""
    if parts[at] in others or others[at] in parts:
        return True
    change = change_of(parts[at], others[at])
    edited = change is not None and change.kind != "text_edit"
    return edited or alike(parts[at], others[at]) >= _SAME


def _texts(body: Any) -> list[str]:
    """The parts of a message, each as its text, or as JSON where it has none."""
    parts = parts_of(body)
    texts = [p.get("text") if is_json(p) else None for p in parts]
    found = [t if isinstance(t, str) else dumps(p) for t, p in zip(texts, parts, strict=True)]
    return found or [text_of(body)]


def _same_talk(one: Sequence[Message], other: Sequence[Message]) -> bool:
    """Whether this is the same conversation after its first message here: not another branch.

    What the model said, or a tool, tells; the same words of a user's may stand in any fork.
    """
    if _agent(one[0]) != _agent(other[0]):
        return False
    pairs = list(zip(one[1:], other[1:], strict=False))
    same = [a for a, b in pairs if a.bare == b.bare]
    if any(a.role != "user" or is_result(a) for a in same):
        return True
    first = (one[0], other[0])
    every = [first, *pairs]
    return bool(pairs) and all(a.role == b.role and _near(a, b) for a, b in every)


def _agent(message: Message) -> str:
    """Whose tail a message opens, where a fork names its agent."""
    found = _AGENT.search(text_of(message.body)[:_HEAD])
    return found.group(1) if found else ""


def agent_of(wire: Dialect, request: Any) -> str:
    """Whose fork a request is, where it says so."""
    held: Any = request.get(wire.messages_key)
    for row in reversed(held if is_list(held) else []):
        found = _AGENT.findall(text_of(row)) if role_of(row) == "user" else []
        if found:
            return str(found[-1])
    return ""


def _near(one: Message, other: Message) -> bool:
    """Whether one message may be the other after an edit."""
    a, b = text_of(one.body), text_of(other.body)
    start = first_difference(a, b)
    end = last_difference(a[start:], b[start:])
    return (start + end) / max(len(a), len(b), 1) >= _NEAR or a == b


def _first(
    key: str, one: Message, other: Message, otherwise: Kind, *, section: Any
) -> Found | None:
    """What changed first inside a message."""
    path = f"{key}[{other.number}]"
    parts = _in_parts(parts_of(one.body), parts_of(other.body))
    if parts is not None:
        return Found(parts[0], section, f"{path}.content[{parts[1]}]")
    leaf = first_leaf(one.body, other.body)
    if leaf is None:
        return None
    image = _IMAGE_AT.match(leaf.path)
    if image is not None and is_image(parts_of(other.body)[int(image.group(1))]):
        at = leaf.path if leaf.path == f"{image.group(0)}.detail" else image.group(0)
        return Found("image_changed", section, f"{path}.{at}")
    if is_result(one) and is_result(other):
        otherwise = "tool_result_replaced"
    return of_leaf(leaf, section, path, otherwise, text_as=otherwise)


def _in_parts(one: list[Any], other: list[Any]) -> tuple[Kind, int] | None:
    """Parts of a message that came, went or changed places: (what happened, the first of them)."""
    if not one or not other or len(one) == len(other) == 1 or one == other:
        return None
    a, b = [dumps(part) for part in one], [dumps(part) for part in other]
    at = next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    if sorted(a) == sorted(b):
        return "order", at
    if len(b) < len(a) and _is_within(b, a):
        return "message_dropped", at
    if len(a) < len(b) and _is_within(a, b):
        return ("image_added" if is_image(other[at]) else "message_inserted"), at
    if at < len(b) and is_image(other[at]) and len(a) < len(b):
        return "image_added", at
    return None


def _is_within(few: list[str], many: list[str]) -> bool:
    left = iter(many)
    return all(each in left for each in few)
