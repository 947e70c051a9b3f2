"""What a task made, on its way between machines."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import distributed.protocol.pickle as _untyped

from agentcache.errors import TaskError
from agentcache.graphs.outcomes import Status
from agentcache.usage import Usage

__all__ = ["Done", "error_of", "packed", "packed_error", "travels", "unpacked"]

_pickling: Any = _untyped
_PLAIN = (str, int, float, bool, type(None), bytes)


@dataclass(slots=True)
class Done:
    """What became of one task on a worker. Times are seconds since 1970, by the worker's clock.

    `error` is packed; `away` says that `value` has stayed at the worker.
    """

    name: str
    status: Status
    value: Any = None
    error: tuple[bytes, str, str] | None = None
    why: str = ""
    began_at: float = 0.0
    ended_at: float = 0.0
    tries: int = 0
    replayed: int = 0
    usages: tuple[Usage, ...] = ()
    where: str = ""
    away: bool = False

    @property
    def ok(self) -> bool:
        """Whether it has a result."""
        return self.status in ("done", "resumed")


def packed(value: Any) -> bytes:
    """A value as bytes, also where its class is known here only."""
    made: bytes = _pickling.dumps(value)
    return made


def unpacked(made: bytes) -> Any:
    """The value again; raises what its own unpickling raises."""
    return _pickling.loads(made)


def travels(value: Any) -> str:
    """Why a value cannot leave this process; empty if it can."""
    if isinstance(value, _PLAIN):
        return ""
    try:
        _pickling.dumps(value, buffer_callback=list[Any]().append)
    except Exception as error:  # noqa: BLE001 - whatever its own pickling raises
        return f"{type(error).__name__}: {error}"
    return ""


def packed_error(error: BaseException) -> tuple[bytes, str, str]:
    """An error as bytes, empty if it cannot be read back, with its type's name and its text."""
    try:
        made = packed(error)
        unpacked(made)
    except Exception:  # noqa: BLE001 - whatever its own pickling raises
        made = b""
    return made, type(error).__name__, str(error)


def error_of(packed_one: tuple[bytes, str, str]) -> BaseException:
    """The error again; where it cannot be had, a TaskError of the same name and text."""
    made, name, text = packed_one
    if made:
        # Read in another process, whose packages may differ.
        with suppress(Exception):
            return cast("BaseException", unpacked(made))
    kind: Any = type(name, (TaskError,), {"__module__": __name__})
    error: BaseException = kind(text)
    return error
