"""What differs between two fingerprints of a program, a line for each block."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from agentcache.locks.fingerprints import Piece, Shared

__all__ = ["changes"]


def changes(before: Sequence[Shared], after: Sequence[Shared]) -> tuple[str, ...]:
    """Say what differs; `before` is as it was locked."""
    lines: list[str] = []
    pairs, gone, new = _paired(before, after)
    for one, other in pairs:
        if one.model != other.model:
            lines.append(f"changed  model: {one.model} became {other.model}")
        lines += _differences(one, other)
    lines += [f"removed  all that was shared on {shared.model}" for shared in gone]
    lines += [f"added    {_sized(shared)} shared on {shared.model}" for shared in new]
    return tuple(lines)


def _paired(
    before: Sequence[Shared], after: Sequence[Shared]
) -> tuple[list[tuple[Shared, Shared]], list[Shared], list[Shared]]:
    """Entries of one model stand side by side, and so does what is left where it is one."""
    left, right, pairs = list(before), list(after), list[tuple[Shared, Shared]]()
    for one in before:
        other = next((o for o in right if (o.model, o.rule) == (one.model, one.rule)), None)
        if other is not None:
            pairs.append((one, other))
            left.remove(one)
            right.remove(other)
    if len(left) == len(right) == 1:
        return [*pairs, (left[0], right[0])], [], []
    return pairs, left, right


def _differences(one: Shared, other: Shared) -> list[str]:
    if one.chained or other.chained:
        return _in_chain(one, other)
    lines: list[str] = []
    for section in dict.fromkeys(piece.section for piece in (*one.pieces, *other.pieces)):
        was, now = ([p for p in s.pieces if p.section == section] for s in (one, other))
        lines += _named(was, now) if section in ("tools", "params") else _placed(was, now)
    return lines


def _named(was: Sequence[Piece], now: Sequence[Piece]) -> list[str]:
    """Tools and parameters go by their names."""
    one, other = ({piece.path: piece for piece in pieces} for pieces in (was, now))
    lines = [_changed(one[p], other[p]) for p in one if p in other and one[p] != other[p]]
    lines = [line for line in lines if line]
    lines += [f"removed  {_told(one[path])}" for path in one if path not in other]
    lines += [f"added    {_told(other[path])}" for path in other if path not in one]
    if not lines and list(one) != list(other):
        lines = [f"changed  the order: {', '.join(one)} became {', '.join(other)}"]
    return lines


def _placed(was: Sequence[Piece], now: Sequence[Piece]) -> list[str]:
    """Texts go by their place, as far as they did not move."""
    digests = [piece.digest for piece in was], [piece.digest for piece in now]
    lines: list[str] = []
    for what, a, b, c, d in SequenceMatcher(None, *digests, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        both = min(b - a, d - c)
        lines += [_changed(was[a + n], now[c + n]) for n in range(both)]
        lines += [f"removed  {_told(piece)}" for piece in was[a + both : b]]
        lines += [f"added    {_told(piece)}" for piece in now[c + both : d]]
    return lines


def _in_chain(one: Shared, other: Shared) -> list[str]:
    if one.chained != other.chained:
        return ["changed  one was made with requests and one without: they cannot be compared"]
    both = zip(one.pieces, other.pieces, strict=False)
    moved = next(((a, b) for a, b in both if a.digest != b.digest), None)
    if moved is not None:
        return [f"changed  {_sizes(*moved)}; all that follows moved with it"]
    rest = len(one.pieces) - len(other.pieces)
    longer = one if rest > 0 else other
    tail = longer.pieces[len(longer.pieces) - abs(rest) :]
    return [f"{'removed' if rest > 0 else 'added':<8} {_told(piece)}" for piece in tail]


def _changed(was: Piece, now: Piece) -> str:
    if was.digest == now.digest:
        return ""
    words = f", {was.text!r} became {now.text!r}" if was.text and now.text != was.text else ""
    return f"changed  {_sizes(was, now)}{words}"


def _sizes(was: Piece, now: Piece) -> str:
    path = was.path if was.path == now.path else f"{was.path}, now {now.path}"
    if was.section == "params":
        return path
    same = was.tokens == now.tokens
    return (
        f"{path}, {now.tokens:,} tokens"
        if same
        else (f"{path}, {was.tokens:,} tokens became {now.tokens:,}")
    )


def _told(piece: Piece) -> str:
    return piece.path if piece.section == "params" else f"{piece.path}, {piece.tokens:,} tokens"


def _sized(shared: Shared) -> str:
    return f"{len(shared.pieces)} blocks, about {shared.tokens:,} tokens"
