"""What programs put into prompts that is new at every call: times, ids and counts."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from agentcache.breaks.values import Kind

__all__ = ["covering", "masked", "moves_alone", "steady_words"]

_MONTHS: Final = (
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec "
    "januar jänner februar märz mai juni juli oktober dezember mär okt dez "
    "janvier février fevrier mars avril juin juillet août aout septembre octobre novembre "
    "décembre decembre janv févr fév avr juil déc "
    "enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre "
    "diciembre ene abr ago dic "
    "gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre gen mag giu lug ott "
    "janeiro fevereiro março maio junho julho setembro outubro dezembro "
    "januari februari maart mei augustus mrt maj augusti marts desember "
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada "
    "grudnia января февраля марта апреля мая июня июля августа сентября октября ноября декабря "
    "ocak şubat mart nisan may\u0131s haziran temmuz ağustos eylül ekim kas\u0131m aral\u0131k"
)
_DAYS: Final = (
    "monday tuesday wednesday thursday friday saturday sunday "
    "montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag "
    "lundi mardi mercredi jeudi vendredi samedi dimanche "
    "lunes martes miércoles jueves viernes sábado domingo "
    "lunedì martedì mercoledì giovedì venerdì sabato domenica "
    "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira "
    "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag "
    "poniedziałek wtorek środa czwartek piątek sobota niedziela "
    "понедельник вторник среда четверг пятница суббота воскресенье "
    "月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日 "
    "星期一 星期二 星期三 星期四 星期五 星期六 星期日"
)


def _any(words: str) -> str:
    return "|".join(sorted(map(re.escape, set(words.split())), key=len, reverse=True))


_MONTH: Final = rf"(?:{_any(_MONTHS)})\b\.?"
_LONG_DAY: Final = _any(_DAYS)
_SHORT_DAY: Final = "Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun"
_DAY: Final = rf"(?:{_LONG_DAY}|{_SHORT_DAY})\b\.?"
_YEAR: Final = r"(?:19|20)\d{2}"
_SECONDS: Final = r"(?::\d{2}(?:[.,]\d{1,9})?)?"
_CLOCK: Final = (
    rf"(?:\d{{1,2}}:\d{{2}}{_SECONDS}(?:\s?[ap]\.?m\b\.?|\s?uhr\b)?"
    r"|\d{1,2}\s?(?:[ap]\.?m\b\.?|uhr\b|o'clock\b)|\d{1,2}\s?h\s?\d{2}(?:\s?min)?\b"
    r"|\d{1,2}[時시点]\s?(?:\d{1,2}[分분])?)"
)
_ZONE: Final = (
    r"(?:\s?(?:z|utc|gmt|cet|cest|msk|ist|jst|[ecmp][sd]?t)\b)?(?:\s?[+-]\d{2}:?\d{2}\b)?"
)
_DATE: Final = (
    rf"{_YEAR}(?P<a>[-/.])(?:0?[1-9]|1[0-2])(?P=a)(?:[12]\d|3[01]|0?[1-9])",
    rf"\d{{1,2}}(?P<b>[-/.])\s?\d{{1,2}}(?P=b)\s?{_YEAR}",
    r"\d{2}(?P<c>[-/.])\d{2}(?P=c)\d{2}(?![\d.])",
    r"\d{4}\s?[年년]\s?\d{1,2}\s?[月월]\s?(?:\d{1,2}\s?[日일号])?",
    (
        rf"\d{{1,2}}(?:st|nd|rd|th|er|re|º|ª|°|e|\.)?[-/\s]{{1,2}}(?:of\s|den?\s|di\s|d')?{_MONTH}"
        rf"(?:[-/,\s]{{1,2}}(?:del?\s|di\s)?\d{{2,4}})?"
    ),
    rf"{_MONTH}\s{{1,2}}\d{{1,2}}(?!\d)(?:st|nd|rd|th)?(?:,?\s{{1,2}}{_YEAR})?",
    rf"{_MONTH}\s(?:del?\s|di\s)?{_YEAR}",
    r"\d{4}-w\d{2}(?:-\d)?",
    rf"{_YEAR}-(?:0[1-9]|1[0-2])(?![\w-])",
    rf"(?:q[1-4][\s/-]?{_YEAR}|{_YEAR}[\s/-]?q[1-4])",
    rf"{_YEAR}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:[t_-]?\d{{4,6}}z?)?(?!\w)",
)
_LINK: Final = r"(?:\s?[t,:@\u2013-]\s?|\s)(?:at\s|um\s|à\s|a las\s|alle\s|ore\s|om\s|kl\.?\s)?"
_UNIT: Final = (
    r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|ms|"
    r"sekunden?|minuten?|stunden?|tagen?|secondes?|heures?|jours?|segundos?|minutos?|horas?|días?)"
)
_STAMP: Final = re.compile(
    rf"(?<![A-Za-z0-9_.])(?:{_DAY},?\s{{1,2}})?(?:den\s|le\s|el\s)?(?:{'|'.join(_DATE)})"
    rf"(?:{_LINK}{_CLOCK})?{_ZONE}(?:\s{_YEAR})?"
    rf"|(?<![\w:.]){_CLOCK}{_ZONE}(?![\w:])"
    r"|(?<![\w.])1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9}|\.\d{1,9})?(?!\w)"
    rf"|(?<!\w)(?:{_LONG_DAY}|(?-i:{_SHORT_DAY}))(?!\w)"
    rf"|\b\d{{1,9}}(?:\.\d{{1,9}})?\s?{_UNIT}\sago\b"
    rf"|\b(?:vor|il\sy\sa|hace)\s\d{{1,9}}\s{_UNIT}\b",
    re.IGNORECASE,
)

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+/-]*={0,2}")
_UUID: Final = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX: Final = re.compile(r"(?i)(?:0x[0-9a-f]{4,}|(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{6,})")
_NAMED: Final = re.compile(
    r"(?i)(?:session|request|trace|span|run|thread|conversation|correlation|transaction|nonce|"
    r"salt|token|[ugs]?u?id|ref|key|hash|digest|etag|commit|sha\d*|checksum|fingerprint)"
    r"[\"']?\s?(?:id|key|no\.?)?[\"']?\s?(?:[:=#]|is)?\s?[\"'(<\[`]*$"
)
_LONGEST: Final = 128
_BEFORE: Final = 40


def _has(token: str, *tests: Callable[[str], bool]) -> bool:
    return all(any(map(test, token)) for test in tests)


def _is_id(token: str) -> bool:
    """Whether a word looks drawn at random: not a name with a number in it."""
    if len(token) > _LONGEST:
        return False
    if _UUID.fullmatch(token) or _HEX.fullmatch(token):
        return True
    if token.isdigit():
        return len(token) >= 10
    return any(_is_random(part) for part in re.split(r"[-_/+]", token)) or (
        len(token) >= 16 and "/" not in token and _has(token, str.isdigit, str.isupper, str.islower)
    )


def _is_random(part: str) -> bool:
    """Whether letters and digits alternate as they do in no word."""
    bare = part.rstrip("=")
    if len(bare) < 6 or not _has(bare, str.isdigit, str.isalpha):
        return len(bare) >= 6 and bare.isdigit() and bare != part
    if _has(bare, str.isupper, str.islower) and len(bare) >= 8:
        return True
    turns = sum(a.isdigit() != b.isdigit() for a, b in pairwise(bare))
    return turns >= 2 or bool(_HEX.fullmatch(bare))


def _pairs(
    pattern: re.Pattern[str], before: str, after: str
) -> Iterator[tuple[re.Match[str], re.Match[str]]] | None:
    """What a pattern finds in both, where it differs; None if all around it is not the same."""
    one, other = list(pattern.finditer(before)), list(pattern.finditer(after))
    if len(one) != len(other) or pattern.sub("\0", before) != pattern.sub("\0", after):
        return None
    return ((a, b) for a, b in zip(one, other, strict=True) if a.group() != b.group())


def _stamped(before: str, after: str) -> bool:
    return _pairs(_STAMP, before, after) is not None


def _drawn(before: str, after: str) -> bool:
    pairs = _pairs(_WORD, before, after)
    return pairs is not None and all(_is_drawn(a, b) for a, b in pairs)


def _is_drawn(one: re.Match[str], other: re.Match[str]) -> bool:
    """Whether both words are ids: by their look, or by what is said before them."""
    a, b = one.group(), other.group()
    looks = _is_id(a) + _is_id(b)
    if a.isdigit() and b.isdigit() and abs(int(a[-15:]) - int(b[-15:])) == 1:
        return False
    if looks == 2 or (looks and len(a) == len(b) and min(len(a), len(b)) >= 6):
        return True
    if min(len(a), len(b)) < 4 or not (_has(a, str.isdigit) or _has(b, str.isdigit)):
        return False
    if a.isdigit() and b.isdigit() and min(len(a), len(b)) < 5:
        return False
    text = one.string
    return _NAMED.search(text[max(0, one.start() - _BEFORE) : one.start()]) is not None


def moves_alone(before: str, after: str) -> bool:
    """Whether two texts differ in nothing but times and ids."""
    one, other = _STAMP.sub("\0", before), _STAMP.sub("\0", after)
    return one == other or _drawn(one, other) or _drawn(before, after)


_TOKEN: Final = re.compile(r"[^\W_][\w+/=-]*")
_MOVING: Final = frozenset(
    f"{_MONTHS} {_DAYS} mon tue tues wed thu thur thurs fri sat sun utc gmt cet cest msk ist jst "
    "est edt pst pdt cst cdt mst mdt uhr second seconds sec secs minute minutes min mins hour "
    "hours hrs day days week weeks month months ago sekunde sekunden minuten stunde stunden tagen "
    "seconde secondes heure heures jour jours segundo segundos minuto minutos hora horas".split()
)


def steady_words(text: str) -> tuple[str, ...]:
    """The words of a text, sorted, without those that times and ids are made of: for a quick look.

    Texts that `moves_alone` takes for one have the same, but for ids of letters alone.
    """
    words = (word for word in _TOKEN.findall(text.lower()) if len(word) > 2)
    return tuple(sorted(w for w in words if w not in _MOVING and not _DIGIT.search(w)))


_DIGIT: Final = re.compile(r"\d")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_THINGS: Final = (
    r"(?:messages?|turns?|steps?|calls?|requests?|attempts?|tokens?|tries|retries|rounds?|"
    r"iterations?|questions?|credits?|characters?|seconds?|minutes?|queries|searches)"
)
_LABEL: Final = re.compile(
    r"(?i)(?:\b(?P<word>step|turn|round|request|attempt|iteration|message|call|run|try|retry|"
    r"cycle|loop|pass|tick|index|counter|count|remaining|left|used|so far|spent|budget|elapsed|"
    r"uptime|progress|seed|schritt|runde|versuch|anfrage|étape|tour|essai|paso|turno|intento|"
    r"tokens?(?:_\w+)?|\w+_(?:count|index|number|no|left|remaining|used)|"
    r"(?:messages|calls|requests|steps|turns) (?:left|used|so far|remaining)))"
    r"(?P<sign>[\"')]?\s?(?:[:=#(\[]|no\.?|nr\.?|number|n°|№|is|of|\s)*[\s$€£]*)$"
)
_COUNTED: Final = re.compile(
    rf"(?i)\s?(?:(?:more|tool|other|further|api|model)\s)*(?:{_THINGS}\s)?(?:are\s)?"
    r"(?:left|remain(?:ing)?|so far|used|spent|übrig|restants?|restantes)\b"
    rf"|\s?more\s(?:\w+\s)?{_THINGS}\b"
)
_OF: Final = re.compile(r"(?i)\s?(?:of|/|out of|von|sur|de|di)\s?(?:at most\s|max\.?\s)?\d")
_BARE: Final = re.compile(r"\s*(?:[^\w\s$€£%]|of\b|von\b|sur\b|de\b|/|$)")
_STEP_BY_ONE: Final = re.compile(r"(?i)(?:#|\b(?:no|nr|number|version|revision|build)\b\.?:?)\s?$")
_ALONE: Final = re.compile(r"[\W_]*")


def _counted(before: str, after: str) -> bool:
    """A number that counts: it says what it counts, and it is no limit or amount."""
    pairs = _pairs(_NUMBER, before, after)
    return pairs is not None and all(_counts(a, b) for a, b in pairs)


def _counts(one: re.Match[str], other: re.Match[str]) -> bool:
    text = one.string
    front = text[max(0, one.start() - _BEFORE) : one.start()]
    rest = text[one.end() : one.end() + _BEFORE]
    try:
        by_one = abs(int(one.group()[-18:]) - int(other.group()[-18:])) == 1
    except ValueError:
        by_one = False
    if _COUNTED.match(rest) or (_OF.match(rest) and _ALONE.fullmatch(front[-1:] or " ")):
        return True
    label = _LABEL.search(front)
    if label is not None and (_BARE.match(rest) or label["sign"].strip(" ")):
        return True
    alone = _ALONE.fullmatch(front.rpartition("\n")[2]) and _ALONE.fullmatch(
        rest.partition("\n")[0]
    )
    return by_one and bool(_STEP_BY_ONE.search(front) or alone)


_CHECKS: Final[tuple[tuple[Kind, Callable[[str, str], bool]], ...]] = (
    ("timestamp", _stamped),
    ("random_id", _drawn),
    ("counter", _counted),
)


def masked(before: str, after: str) -> Kind | None:
    """What alone differs between two texts: a time, an id or a count; None if more does."""
    return next((kind for kind, same in _CHECKS if same(before, after)), None)


def covering(before: str, after: str, offset: int) -> Kind | None:
    """What both texts have at the place of their first difference, whatever follows."""
    for kind, pattern in (("timestamp", _STAMP), ("random_id", _WORD), ("counter", _NUMBER)):
        a, b = _at(pattern, before, offset), _at(pattern, after, offset)
        if a is None or b is None or a.group() == b.group():
            continue
        if kind == "timestamp":
            return "timestamp"
        if kind == "random_id" and _is_drawn(a, b):
            return "random_id"
        if kind == "counter" and _counts(a, b):
            return "counter"
    return None


def _at(pattern: re.Pattern[str], text: str, offset: int) -> re.Match[str] | None:
    found = pattern.finditer(text)
    return next((m for m in found if m.start() <= offset <= m.end() and m.group()), None)
