"""The ledger: every call with its lineage, fingerprints, usage and timing. Content is not kept."""

import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TextIO

from agentcache.blocks import dumps
from agentcache.breaks import CacheBreak
from agentcache.dialects.objects import as_json
from agentcache.errors import OptionError
from agentcache.gate import Role
from agentcache.prints import Print
from agentcache.usage import Usage

__all__ = ["Call", "Ledger", "for_owner", "made_for_owner"]

_EMULATED_SIGNS = ("fp_emulated", "msg_emulated_", "resp_emulated_")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_log = logging.getLogger("agentcache")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model. Times are `time.monotonic()` seconds; None means not observed.

    `sent` and `original` fingerprint the request as sent and as the program made it; `reason` says
    why it was not forked; `place` is what the gate made of it; `waited_s` is its wait there.
    `kin` is the index of the earlier call that it was compared with, `broke` what kept it from
    reading what that one wrote. `request` is what was sent, kept only on request. `saved` are the
    tokens that compaction took out of it, estimated, and `moved` says of a step why it was taken.
    """

    agent: str
    model: str
    rule_id: str
    session: str
    forked: bool
    reason: str
    place: Role
    usage: Usage
    sent: Sequence[Print]
    original: Sequence[Print]
    started_s: float
    first_event_s: float | None
    ended_s: float
    waited_s: float = 0.0
    error: str = ""
    index: int = -1
    kin: int | None = None
    broke: CacheBreak | None = None
    request: Mapping[str, Any] | None = None
    saved: int = 0
    moved: str = ""

    def line(self, *, content: bool = False) -> dict[str, Any]:
        """The call as JSON; excerpts of a break and the request only with `content`."""
        plain = replace(self, sent=(), original=(), broke=None, request=None)
        broke = self.broke
        if broke is not None and not content:
            broke = broke.bare()
        return {
            **asdict(plain),
            "sent": [asdict(each) for each in self.sent],
            "original": [asdict(each) for each in self.original],
            "broke": None if broke is None else broke.model_dump(),
            "request": self.request if content else None,
        }

    @property
    def time_to_first_token_s(self) -> float | None:
        """Seconds from sending to the first streamed event; None where nothing was streamed."""
        return None if self.first_event_s is None else self.first_event_s - self.started_s


def _appended(path: Path, *, content: bool) -> TextIO:
    """Half a surrogate pair stands in the file as JSON's own escape."""
    opener = for_owner if content else made_for_owner
    return open(path, "a", encoding="utf-8", errors="backslashreplace", opener=opener)


def _plain(value: object) -> Any:
    """What is no JSON: an SDK's model as it is sent, anything else by the name of its type."""
    try:
        made = as_json(value)
    except Exception:  # noqa: BLE001 - a model that cannot be dumped loses no line either
        made = value
    return json.loads(dumps(value)) if made is value else made


def for_owner(path: str, flags: int) -> int:
    """Opener of a file that nobody but its owner may read, also if it has been there before.

    What is no plain file stays as it is, and so does everything where the system has no modes.
    """
    number = made_for_owner(path, flags)
    mode = os.fstat(number).st_mode
    if os.name == "posix" and stat.S_ISREG(mode) and mode & _OTHERS:
        with suppress(OSError):  # a file of another's, or a file system that keeps no modes
            os.fchmod(number, stat.S_IMODE(mode) & ~_OTHERS)
    return number


def made_for_owner(path: str, flags: int) -> int:
    """Opener of a file that nobody but its owner may read if it is made now."""
    return os.open(path, flags, 0o600)


class Ledger:
    """Append-only record of calls, in memory and, given a `path`, as JSON lines.

    A line holds the fields of `Call`, `source`, and `at`, the seconds since 1970 as it was written.

    `source` says where the figures come from: `measured` (a provider or a real engine answered) or
    `emulated` (the loopback provider did). A file is made for its owner to read. With `content`
    requests are kept too, and written: it then holds whatever your prompts hold, and one that
    others may read is closed to them.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        source: Literal["measured", "emulated"] = "measured",
        content: bool = False,
    ) -> None:
        """Open a ledger; lines are appended to `path` if it exists.

        Raises OptionError where no file can stand there: later, failures are only logged.
        """
        self.path = None if path is None else Path(path).absolute()
        if self.path is not None and (self.path.is_dir() or not self.path.parent.is_dir()):
            raise OptionError(
                f"ledger={str(path)!r} cannot be a file: its folder must exist, and it must not "
                "be a folder itself."
            )
        if source not in ("measured", "emulated"):
            raise OptionError(f"source={source!r} is neither 'measured' nor 'emulated'.")
        self.source: Literal["measured", "emulated"] = source
        self.content = content
        self._calls: list[Call] = []
        self._written = 0
        self._numbers = count()
        self._notes: dict[str, None] = {}
        # The garbage collector ends streams nobody reads: a call may be recorded wherever something
        # is made, in here too. So this thread may come in again, and nobody waits for the writing.
        self._lock = threading.RLock()
        self._writing = threading.Lock()

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls so far, in the order they ended."""
        with self._lock:
            held = self._calls[:]  # a tuple is made of what is not appended to meanwhile
        return tuple(held)

    def backwards(self) -> Iterator[Call]:
        """The calls from the latest back, without a copy: for a look at the last few."""
        return reversed(self._calls)

    @property
    def breaks(self) -> tuple[CacheBreak, ...]:
        """What broke so far, in the order of the calls."""
        return tuple(call.broke for call in self.calls if call.broke is not None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the report should know beside the calls."""
        with self._lock:
            held = list(self._notes)
        return tuple(held)

    def answered(self, *signs: object) -> None:
        """Look at an answer's id and fingerprint: the loopback provider's own say `emulated`."""
        if any(str(sign).startswith(_EMULATED_SIGNS) for sign in signs):
            self.source = "emulated"

    def note(self, *lines: str) -> None:
        """Remember something worth saying in the report, once."""
        with self._lock:
            self._notes.update(dict.fromkeys(lines))

    def claim(self) -> int:
        """The index of a call that is going to be recorded."""
        with self._lock:
            return next(self._numbers)

    def record(self, call: Call) -> None:
        """Add a call. Never raises into the host: what goes wrong is logged."""
        try:
            kept = call if self.content else replace(call, request=None)
            with self._lock:
                if kept.index < 0:
                    kept = replace(kept, index=self.claim())
                self._calls.append(kept)
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not record a call of %r", call.agent)
        if self.path is not None:
            self._write(self.path)

    def _write(self, path: Path) -> None:
        """Append what the file does not hold yet; whoever writes already takes it along."""
        while self._written < len(self._calls) and self._writing.acquire(blocking=False):
            try:
                while self._written < len(self._calls):
                    call = self._calls[self._written]
                    self._written += 1
                    self._append(path, call)
            finally:
                self._writing.release()

    def _append(self, path: Path, call: Call) -> None:
        try:
            line = {"at": time.time(), "source": self.source}
            line |= call.line(content=self.content)
            text = json.dumps(line, ensure_ascii=False, default=_plain) + "\n"
            with _appended(path, content=self.content) as file:
                file.write(text)
        except Exception:  # noqa: BLE001 - recording never breaks the host
            _log.exception("agentcache could not record a call of %r", call.agent)

    def extend(self, calls: Iterable[Call]) -> None:
        """Add many calls."""
        for call in calls:
            self.record(call)
