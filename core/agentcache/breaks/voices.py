"""Who speaks: agents told by their system texts, and by the conversations that they go on with."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, starmap
from typing import Any, Final

from agentcache.blocks import frozen
from agentcache.breaks.patterns import masked, moves_alone, steady_words
from agentcache.breaks.texts import alike, rearranged
from agentcache.dialects import Json
from agentcache.dialects.base import is_json, is_list, role_of

__all__ = ["Voices", "same_voice"]

_MARKS: Final = ("cache_control", "prompt_cache_breakpoint")
_TEXTS: Final = 64
_TALKS: Final = 512
_NAMES: Final = 512
_NEAR: Final = 8
"""Texts of the same words, the latest first, with which a new one is compared."""
_HEAD: Final = 200
_GROWN: Final = 200
_AROUND: Final = 12
"""Words."""
_LONG: Final = 400
_Sentences = Sequence[tuple[str, bool]]
_EDITED: Final = 0.1
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_TITLE: Final = re.compile(r"\s*(?:#+|<|\*\*|\[)\s*([^</>*\[\]:]{1,40})(?:[>\]:]|\*\*)*\s*$")
_ITEM: Final = re.compile(r"\s+\S|[-*+•]|\d+[.)]")
_LABEL: Final = re.compile(r"[\s*_-]*([^\W\d][\w' *-]{0,40}):")
_NOTED: Final = re.compile(
    r"(?i)\b(?:memor(?:y|ies)|notes?|plans?|to-?do|scratch ?pad|state|status|progress|summary|"
    r"history|facts?|context|known|knowledge|learn(?:ed|t)|observations?|findings?|log|retrieved|"
    r"documents?|sources?|results?|remembered|preferences?|profile|time|date|today|budget|steps?|"
    r"done|completed|remaining|current|latest|recent|so far|files?|environment)\b"
)
_ROLE: Final = re.compile(
    r"(?i)\b(?:roles?|names?|persona|agents?|speakers?|character|assistant)\b"
)
_YOU_ARE: Final = re.compile(
    r"(?i)\b(?:you are|you're|i am|i'm|(?:you )?(?:act|speak|answer|reply) (?:as|for|like)|"
    r"your (?:role|name|task|job)|du bist|sie sind|tu es|vous êtes|eres|usted es|você é|tu sei)\b"
    r"|你是|您是|あなたは|당신은"
)


def same_voice(one: str, other: str) -> bool:
    """Whether one agent said both: what differs changes by itself, with the clock or the run."""
    if one == other:
        return True
    longer = max(len(one), len(other))
    if abs(len(one) - len(other)) > _GROWN + longer // 8:
        return False
    old, new = one.splitlines(), other.splitlines()
    if len(old) == len(new) and all(map(_is_volatile, old, new)):
        return True
    return rearranged(one, other)


def _is_volatile(one: str, other: str) -> bool:
    """Whether two lines differ in times and ids alone; what lies about the changes is looked at."""
    return one == other or all(starmap(_moved, _changes(one.split(), other.split())))


def _moved(old: str, new: str) -> bool:
    long = len(old) > _LONG
    return (not long or steady_words(old) == steady_words(new)) and moves_alone(old, new)


def _changes(old: list[str], new: list[str]) -> Iterator[tuple[str, str]]:
    """Where two lines differ, with the words around; as one change if their lengths differ."""
    if len(old) != len(new):
        yield " ".join(old), " ".join(new)
        return
    start = end = 0
    for n, (a, b) in enumerate(zip(old, new, strict=True)):
        if a != b:
            if end and n - _AROUND > end:
                yield " ".join(old[start:end]), " ".join(new[start:end])
                end = 0
            start, end = start if end else max(0, n - _AROUND), n + _AROUND
    if end:
        yield " ".join(old[start:end]), " ".join(new[start:end])


@dataclass(slots=True, eq=False)
class _Told:
    """A system text, whose it is, and its steady words; `edited` if that is taken from a talk."""

    text: str
    words: int
    name: str
    edited: bool = False


class Voices:
    """Names the agents that speak through one client: by system text, and by what they go on from.

    One that changes its system text in the middle of a conversation stays the same agent, if the
    change is in notes that it keeps there, or in a count; else it may be the next one to speak in a
    group chat. Safe to use from several threads.
    """

    def __init__(self, name_of: Callable[[str], str]) -> None:
        """Know nobody. `name_of` names a new one by the head of its system text.

        By the whole text, where another one begins so too.
        """
        self._name_of = name_of
        self._lock = threading.Lock()
        self._texts: dict[str, _Told] = {}
        self._talks: dict[int, _Told] = {}
        self._owners: dict[str, int] = {}

    def name(self, system: str, said: Sequence[Json]) -> str:
        """The agent that speaks so; `said` are the messages behind its system text, as sent."""
        ends = _ends(said)
        words = 0 if system in self._texts else hash(steady_words(system))
        spoken = any(role_of(message) != "user" for message in said)
        with self._lock:
            spoke = [self._talks[end] for end in ends if spoken and end in self._talks]
            told = self._texts.get(system)
            if told is None:
                told = self._new(system, words, spoke[-1] if spoke else None)
            elif told in spoke:
                self._take_back(spoke[spoke.index(told) :], told)
            _keep(self._texts, system, told, _TEXTS)
            if ends:
                _keep(self._talks, ends[-1], told, _TALKS)
            return told.name

    def _new(self, system: str, words: int, before: _Told | None) -> _Told:
        """Name a text that is not known."""
        near = (told for told in reversed(self._texts.values()) if told.words == words)
        for told in islice(near, _NEAR):
            if same_voice(told.text, system):
                return _Told(system, words, told.name)
        if before is not None and _is_edit(before.text, system):
            return _Told(system, words, before.name, edited=True)
        return _Told(system, words, self._own(system))

    def _take_back(self, spoke: Sequence[_Told], again: _Told) -> None:
        """See that edits were none: in one conversation, an older text speaks again after them."""
        if spoke[-1] is not again:
            for told in spoke:
                if told.edited:
                    told.name, told.edited = self._own(told.text), False

    def _own(self, system: str) -> str:
        """A name of its own; the head of a text gives one to whoever comes first with it."""
        whole = hash(system)
        name = self._name_of(system[:_HEAD])
        if self._owners.get(name, whole) != whole:
            name = self._name_of(system)
        _keep(self._owners, name, whole, _NAMES)
        return name


def _is_edit(one: str, other: str) -> bool:
    """Whether a text is another one, edited: in its notes or its counts, and nowhere else."""
    old, new = list(_sentences(one)), list(_sentences(other))
    gone, come = _without(old, new), _without(new, old)
    changed = sum(len(sentence) for sentence, _ in (*gone, *come))
    if changed > _EDITED * (len(one) + len(other)) and alike(one, other) < 1 - _EDITED:
        return False
    if any(_YOU_ARE.search(sentence) for sentence, _ in (*gone, *come)):
        return False
    bare, anew = ([text for text, noted in each if not noted] for each in (gone, come))
    return len(bare) == len(anew) and all(map(masked, bare, anew))


def _without(one: _Sentences, other: _Sentences) -> _Sentences:
    """The sentences that another text has not, or not as often."""
    left = Counter(sentence for sentence, _ in other)
    left.subtract(sentence for sentence, _ in one)
    # The last ones of those said too often, for lists grow at their ends.
    out: list[tuple[str, bool]] = []
    for sentence, noted in reversed(one):
        if left[sentence] < 0:
            left[sentence] += 1
            out.append((sentence, noted))
    return out[::-1]


def _sentences(text: str) -> Iterator[tuple[str, bool]]:
    """The sentences of a text, each with whether it stands under a title for what is noted.

    What stands under it ends with the next title or paragraph; a list, with its last item.
    """
    under = listed = opened = False
    for line in text.splitlines():
        title, label = _TITLE.match(line), _LABEL.match(line)
        named = title or label
        noted = named is not None and _is_noted(named.group(1))
        item = _ITEM.match(line) is not None
        if title or line.rstrip().endswith((":", ">")):
            under = opened = noted
        elif line.strip():
            under, opened = under and (item or not listed), False
        else:
            under = opened
        listed = item or not line.strip()
        for sentence in filter(None, _SENTENCE.split(line.strip())):
            yield sentence, noted or under


def _is_noted(title: str) -> bool:
    return _NOTED.search(title) is not None and _ROLE.search(title) is None


def _ends(said: Sequence[Json]) -> list[int]:
    """What tells a conversation by all it has said so far, after each message."""
    out: list[int] = []
    for message in said:
        out.append(hash((out[-1] if out else 0, frozen(_unmarked(message)))))
    return out


def _unmarked(message: Json) -> Json:
    """The message without marks, which roll on from turn to turn."""
    content: Any = message.get("content")
    if not is_list(content):
        return message
    bare = [{k: v for k, v in p.items() if k not in _MARKS} if is_json(p) else p for p in content]
    return {**message, "content": bare}


def _keep(held: dict[Any, Any], key: object, value: object, most: int) -> None:
    held.pop(key, None)
    held[key] = value
    while len(held) > most:
        del held[next(iter(held))]
