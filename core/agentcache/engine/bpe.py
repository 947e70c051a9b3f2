"""Byte-pair encoding: the alphabet, the learning of merges, and the merges we ship.

`merges.txt.gz` was learned once, from English prose, JSON and Python, with

    python -m agentcache.engine.bpe 1500 merges.txt.gz TEXT_FILE...

Any text of that kind will do: the merges only decide how many tokens a text has.
"""

import gzip
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

__all__ = ["Pair", "byte_alphabet", "learn_merges", "load_merges"]

Pair = tuple[str, str]

# The "gpt-2" pre-tokenizer that the model file names, in what `re` can say.
_WORD = re.compile(
    r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+",
)


@cache
def byte_alphabet() -> tuple[str, ...]:
    """Return GPT-2's printable stand-in for each of the 256 bytes, in byte order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    table |= {byte: chr(256 + rank) for rank, byte in enumerate(others)}
    return tuple(table[byte] for byte in range(256))


@cache
def load_merges() -> tuple[Pair, ...]:
    """Return the merges shipped with this package, first merge first."""
    packed = (files("agentcache.engine") / "merges.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().splitlines()
    pairs = (line.split(" ") for line in lines)
    return tuple((left, right) for left, right in pairs)


def learn_merges(texts: Iterable[str], count: int) -> list[Pair]:
    """Return the `count` most frequent merges of the texts, ties in alphabetical order.

    Takes about a minute for 500 kB of text and 1,500 merges.
    """
    alphabet = byte_alphabet()
    spelled: Counter[tuple[str, ...]] = Counter(
        tuple(alphabet[byte] for byte in word.encode()) for text in texts for word in _words(text)
    )
    merges: list[Pair] = []
    while len(merges) < count:
        pairs = Counter[Pair]()
        for word, times in spelled.items():
            for pair in pairwise(word):
                pairs[pair] += times
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = _merged(spelled, best)
    return merges


def _words(text: str) -> list[str]:
    return [match.group() for match in _WORD.finditer(text)]


def _merged(spelled: Counter[tuple[str, ...]], pair: Pair) -> Counter[tuple[str, ...]]:
    merged = Counter[tuple[str, ...]]()
    for word, times in spelled.items():
        merged[tuple(_join(word, pair)) if pair[0] in word else word] += times
    return merged


def _join(word: tuple[str, ...], pair: Pair) -> Iterator[str]:
    at = 0
    while at < len(word):
        joins = word[at : at + 2] == pair
        yield pair[0] + pair[1] if joins else word[at]
        at += 2 if joins else 1


def _main(count: str, target: str, *sources: str) -> None:
    texts = (Path(source).read_text(encoding="utf-8") for source in sources)
    lines = "\n".join(f"{left} {right}" for left, right in learn_merges(texts, int(count)))
    Path(target).write_bytes(gzip.compress(lines.encode(), 9, mtime=0))


if __name__ == "__main__":
    _main(*sys.argv[1:])
