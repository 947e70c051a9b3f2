"""How the commands say what broke: for a person, wrapped in a terminal and whole in a pipe."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from agentcache.breaks import CacheBreak
from agentcache.breaks.values import in_dollars

__all__ = ["as_json", "say", "summary"]


def say(console: Console, text: str, style: str = "") -> None:
    """Print a paragraph; a pipe gets it as one line."""
    console.print(Text(text, style), soft_wrap=not console.is_terminal)


def as_json(found: CacheBreak) -> dict[str, Any]:
    """A break with its cure and its paragraph."""
    return {**found.model_dump(mode="json"), "cure": found.cure, "text": str(found)}


def summary(found: Sequence[CacheBreak], calls: int, agents: int) -> str:
    """One line on all of them."""
    among = f"in {_count(calls, 'call')} of {_count(agents, 'agent')}"
    if not found:
        return f"No break {among}."
    kinds = Counter(one.kind for one in found)
    listed = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common())
    tokens = sum(one.tokens_lost or 0 for one in found)
    money = sum(one.money_lost or 0.0 for one in found)
    lost = f" About {tokens:,} tokens were not read" if tokens else ""
    lost += f" ({in_dollars(money)})" if money else ""
    return f"{_count(len(found), 'break')} {among}: {listed}.{lost}{'.' if lost else ''}"


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"
