"""What helps the cache while a graph runs: results that many read, and prefixes kept alive."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from agentcache.asking import AsyncOpenSession
from agentcache.graphs.plans import Board
from agentcache.graphs.tasks import AnySession, Task, filled

__all__ = ["keeping_warm", "pays", "shared_by"]

_log = logging.getLogger("agentcache")
_EARLY: Final = 0.8
"""Of a lifetime: then the prefix is used again, if nobody else does."""
_MANY: Final = 2


def shared_by(task: Task, readers: Sequence[Task], values: Mapping[str, Any]) -> None:
    """Have a result that several prompts of one session carry stand in its trunk, once.

    That it pays, the session judges by the rules.
    """
    value = values.get(task.name)
    if not isinstance(value, str) or not value:
        return
    asking = [t for t in readers if t.asks and task.name in t.needs and t.session is not None]
    for session in {id(t.session): t.session for t in asking}.values():
        mine = [t for t in asking if t.session is session]
        if session is None or len(mine) < _MANY:
            continue
        known = {name: v for name, v in values.items() if name != task.name}
        said = [[t.role, filled(t.prompt or "", known)] for t in mine]
        session.attachment.expect(session.parent, value, said)


def pays(session: AnySession, sent: int) -> bool:
    """Whether one more keep-alive costs less than writing the prefix anew.

    Reading it so often at the rate of a read, beside writing it once more.
    """
    parent = session.parent.parent
    write = max(1.0, parent.ttl.write_multiplier)
    return (sent + 1) * parent.rule.read_multiplier < write - parent.rule.read_multiplier


@asynccontextmanager
async def keeping_warm(
    board: Board, to_come: Callable[[AnySession], bool]
) -> AsyncGenerator[None, None]:
    """Use a session's prefix shortly before it is forgotten, as long as tasks are to read it."""
    keepers = [
        asyncio.ensure_future(_keep(board, session, to_come)) for session in board.plan.sessions
    ]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        for keeper in keepers:
            with suppress(asyncio.CancelledError):
                await keeper


async def _keep(board: Board, session: AnySession, to_come: Callable[[AnySession], bool]) -> None:
    """Watch one session."""
    ttl_s, sent, latest = session.parent.terms.ttl_s, 0, 0.0
    loop = asyncio.get_running_loop()
    while True:
        used = _last_s(session)
        if used > latest:
            sent, latest = 0, used
        wait = used + _EARLY * ttl_s - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
            continue
        due = used > 0 and to_come(session) and not session.parent.why_not()
        if not due or not pays(session, sent) or board.plan.purse.why_not():
            await asyncio.sleep(min(1.0, (1 - _EARLY) * ttl_s / 4))
            continue
        sent += 1
        try:
            await _touch(session)
        except Exception as error:  # noqa: BLE001 - a keep-alive that fails costs one cold call
            _log.warning("agentcache could not keep a prefix alive: %s", error)
        latest = _last_s(session)
        board.tell("note", "", f"a keep-alive was sent ({ttl_s:.0f} s lifetime)")


def _last_s(session: AnySession) -> float:
    """When the session's latest call began, by the loop's clock, which is `time.monotonic()`."""
    called = next(iter(session.ledger.backwards()), None)
    return 0.0 if called is None else max(called.started_s, called.first_event_s or 0.0)


async def _touch(session: AnySession) -> None:
    """The shortest of calls that reads the prefix."""
    if isinstance(session, AsyncOpenSession):
        await session.fork("keep-alive", tools=()).ask("Reply with OK.")
        return
    asked = session.fork("keep-alive", tools=())
    await asyncio.get_running_loop().run_in_executor(None, lambda: asked.ask("Reply with OK."))
