"""What compaction saves beside what agents do instead: input bills of two tool loops, emulated.

The loops are made from the package's own files; the provider is agentcache's loopback provider,
without its network. A bill counts tokens of full price: fresh ones, those read at the rule's read
price, and those written at its write price.
"""

from collections.abc import Iterator

from rows import Row

__all__ = ["compaction"]

_MODELS = ("gpt-4.1-mini", "gpt-6-luna", "claude-haiku-5-5")
_MOVES = {12: 0, 200: 4}
"""Turns of a loop, and how often its head may move."""
_HALF = 0.5
_OURS = ("compaction", "compaction, 10% recalled")


def compaction() -> list[Row]:
    """Bills of a 12-turn search and of a 200-turn coding agent, in thousands of tokens.

    Every strategy has a mark behind the task, where marks are taken. A move is a call whose
    messages do not begin with those of the call before; `longest` is the longest request.
    """
    return [row for turns in _MOVES for model in _MODELS for row in _loop(turns, model)]


def _loop(turns: int, model: str) -> Iterator[Row]:
    from agentcache.demo.loop import drive
    from agentcache.demo.strategies import SLIDING, STRATEGIES
    from agentcache.demo.traces import coding_trace, research_trace

    trace = research_trace(turns) if turns == 12 else coding_trace(turns)
    found = {name: drive(model, trace, make()) for name, make in STRATEGIES.items()}
    whole = found["nothing"].bill / 1000
    for name, one in found.items():
        moves = f"moves {one.moves}, announced {one.announced}"
        told = f"emulated; calls {one.calls}, {moves}, longest {one.longest:,}"
        below = _HALF if name in _OURS else None
        title = f"{turns} {model} {name}"
        yield Row(title, one.bill / 1000, "kt", "nothing", whole, below, "ratio", told)
    ours, least = found["compaction"], min(SLIDING, key=lambda name: found[name].bill)
    window = found[least].bill / 1000
    title = f"{turns} {model} cheapest window"
    yield Row(title, ours.bill / 1000, "kt", least, window, 1.0, "ratio", "emulated")
    most, other = _MOVES[turns] + 1, found["last 10 turns"].moves
    yield Row(
        f"{turns} {model} moves", ours.moves, "", "last 10 turns", other, most, note="emulated"
    )
