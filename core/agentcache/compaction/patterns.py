"""A model's regular expression: searched for only where it cannot keep the host busy."""

import importlib
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, prod
from typing import Any, Final

__all__ = ["Search", "UnsearchableError", "searchable"]

_LONGEST: Final = 200
_REACHES: Final = (2_000, 800, 150)
_STEPS: Final = 600_000_000
_FEW: Final = 9
_TIME_S: Final = 2.0
_parser: Final[Any] = importlib.import_module(
    "re._parser" if sys.version_info >= (3, 11) else "sre_parse"
)


class UnsearchableError(ValueError):
    """Why a pattern is not searched for, and the cure."""


@dataclass(frozen=True, slots=True)
class Search:
    """A pattern, and how many characters of a line may be searched for it."""

    pattern: re.Pattern[str]
    reach: int

    def among(self, rows: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
        """The numbered lines that match; raises UnsearchableError after some seconds."""
        until_s = time.monotonic() + _TIME_S
        found: list[tuple[int, str]] = []
        for row in rows:
            if time.monotonic() > until_s:
                raise UnsearchableError("takes too long: give lines= too, or a simpler one")
            if self.pattern.search(row[1][: self.reach]):
                found.append(row)
        return found


def searchable(pattern: str) -> Search:
    """The pattern, made ready.

    Raises:
        UnsearchableError: it is none, or one that might be searched for without end.

    """
    if len(pattern) > _LONGEST:
        raise UnsearchableError(f"is longer than {_LONGEST} characters: give a part of it")
    try:
        tree = _parser.parse(pattern)
        reach = next((n for n in _REACHES if n * _steps(tree, n) <= _STEPS), 0)
        made = re.compile(pattern) if reach else None
    except (re.error, RecursionError, OverflowError, ValueError, Warning) as error:
        raise UnsearchableError(f"is no regular expression: {error}") from error
    if made is None:
        raise UnsearchableError(
            "may take too long: drop repeats inside repeats, references to groups, and all but "
            "three of its * and +"
        )
    return Search(made, reach)


def _steps(tree: Any, length: int) -> float:
    """In how many ways a part can be tried at one place of a line this long, at the most."""
    total = prod((_ways(str(name), told, length) for name, told in tree), start=1.0)
    return total if total <= _STEPS else inf


def _ways(name: str, told: Any, length: int) -> float:
    if name.endswith("_REPEAT"):
        least, most, part = told
        return _repeated(int(least), int(most), part, length)
    if name == "BRANCH":
        return 1 + sum(_steps(each, length) for each in told[1])
    if name in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
        return _steps(told[-1], length)
    if name == "ATOMIC_GROUP":
        return _steps(told, length)
    return inf if name.startswith("GROUPREF") else 1


def _repeated(least: int, most: int, part: Any, length: int) -> float:
    """A part that can be matched in several ways, or as nothing, may be repeated a few times."""
    ways = _steps(part, length)
    if most > _FEW and (ways > 1 or not part.getwidth()[0]):
        return inf
    choices = max(1, min(most, length) - least + 1)
    return choices * (ways**most if ways > 1 else 1)
