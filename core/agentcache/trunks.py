"""Trunks: what the conversations of one session stand on, as a tree that only grows.

The root is the frozen parent. A text that several conversations carry verbatim becomes a branch,
and a conversation stands on the branch whose texts it carries itself: nobody is shown a text that
was not in its own request, and everybody on a branch starts with the same bytes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agentcache.hoist import MIN_TOKENS, pays, shared_texts
from agentcache.layout import cut_at, found_in
from agentcache.rules import Rule

__all__ = ["Path", "Trunks"]

_ROOM: Final = 128
_CHARACTERS: Final = 8_000_000
_SPEAKERS: Final = 8

Path = tuple[str, ...]
"""Texts from the root to a branch, in the order they stand on the wire."""


@dataclass(eq=False, slots=True)
class _Branch:
    """A place in the tree; `score` is the tokens that its last text saves those who carry it."""

    path: Path
    score: int = 0
    children: "dict[str, _Branch]" = field(default_factory=dict[str, "_Branch"])

    def grown(self, text: str, score: int) -> "_Branch":
        """The child for one more text, made if there is none."""
        child = self.children.setdefault(text, _Branch((*self.path, text)))
        child.score = max(child.score, score)
        return child


@dataclass(slots=True)
class _Expected:
    """A text that some conversations will carry: what each carries besides, and who has begun."""

    readers: tuple[frozenset[str], ...]
    begun: set[int] = field(default_factory=set[int])

    def left(self, branch: _Branch, talk: int) -> int:
        """How many would come to stand here and have not begun, but for this one.

        Who carries the text of a child goes on to that child.
        """
        here = [reader for reader in self.readers if reader.issuperset(branch.path)]
        stay = sum(branch.children.keys().isdisjoint(reader) for reader in here)
        return stay - len(self.begun - {talk})


class Trunks:
    """Branches of one session's parent, for texts worth sharing under its rule."""

    def __init__(
        self, rule: Rule, weigh: Callable[[str], int], dues: Callable[[], int] = int
    ) -> None:
        """Start with a root and nothing else.

        `dues` tells what each conversation pays to stand on a branch of the root, in tokens:
        nothing, unless it would be left alone otherwise.
        """
        self._rule = rule
        self._weigh = weigh
        self._dues = dues
        self._root = _Branch(())
        self._expected: dict[str, _Expected] = {}
        self._texts: dict[str, None] = {}
        self._heard: dict[str, tuple[str, ...]] = {}
        self._lock = threading.RLock()

    def learn(self, talks: Iterable[Sequence[str]], known: Sequence[str] = ()) -> dict[str, int]:
        """Grow branches for what these conversations, each a list of its texts, carry in common.

        `known` are texts that all of them read in any case, so that they need no branch. Returns
        how many conversations carry each text that is shared from now on and was not before.
        """
        every = [tuple(talk) for talk in talks]
        with self._lock:
            had = (*known, *self._texts)
            news = shared_texts(
                [[piece for t in talk for piece in cut_at(t, had)] for talk in every]
            )
            self._texts.update(dict.fromkeys(news))
            grown: dict[str, int] = {}
            self._grow(self._root, [set(found_in(t, self._texts)) for t in every], grown)
            self._forget()
            return grown

    def expect(
        self, text: str, readers: Sequence[Sequence[str]], known: Sequence[str] = ()
    ) -> bool:
        """Say that conversations to come will carry this text verbatim.

        `readers` are what each of them says besides, as far as is known. What the text quotes of
        texts shared already, or `known` to all, is not shared once more. Returns whether any of
        it is awaited now.
        """
        with self._lock:
            pieces = [] if text in self._texts else cut_at(text, (*known, *self._texts))
            pieces = [piece for piece in pieces if self._pays(piece, len(readers))]
            carried = tuple(frozenset(found_in(s, self._texts)) for s in readers if pieces)
            for piece in pieces:
                self._texts[piece] = None
                self._expected[piece] = _Expected(carried)
                carried = tuple(reader | {piece} for reader in carried)
            self._forget()
            return bool(pieces)

    def hear(self, speaker: str, texts: Sequence[str], known: Sequence[str] = ()) -> None:
        """Learn from a conversation as it begins: what different speakers carry is shared next.

        What one speaker repeats is its own; it gains nothing from standing in front.
        """
        with self._lock:
            had = (*known, *self._texts)
            news = any(len(p) >= MIN_TOKENS for text in texts for p in cut_at(text, had))
            self._heard.pop(speaker, None)
            while len(self._heard) >= _SPEAKERS:
                del self._heard[next(iter(self._heard))]
            self._heard[speaker] = tuple(texts)
            if news and len(self._heard) > 1:
                self.learn(self._heard.values(), known)

    def path(self, texts: Sequence[str], talk: int) -> Path:
        """The branch that a conversation stands on; `talk` tells it from others.

        It grows by what is expected of others too.
        """
        with self._lock:
            found = dict.fromkeys(found_in(texts, self._texts))
            branch = self._root
            while found:
                text = self._next(branch, found, talk)
                if text is None:
                    break
                del found[text]
                branch = branch.grown(text, self._score(text))
            for text in branch.path:
                if text in self._expected:
                    self._expected[text].begun.add(talk)
            return branch.path

    def _next(self, branch: _Branch, found: Iterable[str], talk: int) -> str | None:
        here = [text for text in found if text in branch.children]
        if here:
            return max(here, key=lambda text: branch.children[text].score)
        return next((text for text in found if self._awaited(text, branch, talk)), None)

    def _score(self, text: str) -> int:
        expected = self._expected.get(text)
        return self._weigh(text) * (len(expected.readers) if expected else 0)

    def _awaited(self, text: str, branch: _Branch, talk: int) -> bool:
        expected = self._expected.get(text)
        return expected is not None and self._pays_on(branch, text, expected.left(branch, talk))

    def _pays_on(self, branch: _Branch, text: str, uses: int) -> bool:
        return self._pays(text, uses, 0 if branch.path else self._dues())

    def _pays(self, text: str, uses: int, dues: int = 0) -> bool:
        return len(text) >= MIN_TOKENS and pays(self._rule, self._weigh(text), uses, dues)

    def _grow(self, branch: _Branch, carried: list[set[str]], grown: dict[str, int]) -> None:
        """Split a group of conversations by the text that is worth most to them, then on."""
        rest = carried
        while True:
            counts = Counter(t for found in rest for t in found)
            worthy = [
                text
                for text in self._texts  # in the order found: no set decides
                if (text in branch.children and counts[text])
                or (counts[text] > 1 and self._pays_on(branch, text, counts[text]))
            ]
            if not worthy:
                return
            text = max(worthy, key=lambda one: self._weigh(one) * counts[one])
            if text not in branch.children:
                grown[text] = grown.get(text, 0) + counts[text]
            taken = [found - {text} for found in rest if text in found]
            rest = [found for found in rest if text not in found]
            child = branch.grown(text, self._weigh(text) * counts[text])
            self._grow(child, taken, grown)

    def _forget(self) -> None:
        """Drop the oldest texts, and their branches, so that a long life does not fill memory."""
        size = sum(map(len, self._texts))
        while len(self._texts) > _ROOM or (size > _CHARACTERS and len(self._texts) > 1):
            oldest = next(iter(self._texts))
            del self._texts[oldest]
            size -= len(oldest)
            self._expected.pop(oldest, None)
            _prune(self._root, oldest)


def _prune(branch: _Branch, text: str) -> None:
    branch.children.pop(text, None)
    for child in branch.children.values():
        _prune(child, text)
