"""One request of a client, sent as a fork: through the gate, recorded, its answer checked."""

import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final

from agentcache.blocks import dumps
from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.dialects.objects import as_json, is_omitted
from agentcache.flights import Flight
from agentcache.gate import Pass
from agentcache.rewrites import with_headers
from agentcache.sdk.answers import foreign_calls
from agentcache.sdk.turns import Leg
from agentcache_openai.calls import Going, json_of
from agentcache_openai.sieves import Sieve, sift

__all__ = ["Call", "arequest", "body_of", "request", "settled"]

_log = logging.getLogger("agentcache")
_BETA: Final = "anthropic-beta"
_USAGE: Final = {"include_usage": True}


def settled(options: Any) -> Any:
    """The options with what can be read but once as lists: we read it, and then the SDK does."""
    said: Json = options.json_data
    once: Json = {k: [*v] for k, v in said.items() if isinstance(v, Iterator)}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return options.model_copy(update={"json_data": {**said, **once}}) if once else options


def body_of(options: Any) -> Json:
    """The body that an SDK makes of a call's options, as JSON."""
    said: Json = {**options.json_data, **(options.extra_json or {})}
    return {k: as_json(_listed(v)) for k, v in said.items() if not is_omitted(v)}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


@dataclass(frozen=True)
class Call:
    """A request as its client would send it: by `send`, with these `options` or with others."""

    client: Any
    options: Any
    send: Callable[[Any], Any]


def request(call: Call, leg: Leg) -> Any:
    """Send a call as a fork; once more if it called a tool that is not its own."""
    while True:
        sent, going = _Sent.of(call, leg), _going(leg)
        leg.flight.held = going.record.enter_context(leg.flight.enter(sent.keys))
        leg.flight.held.writes = bool(sent.keys)
        with going:
            answer = call.send(sent.options)
        answer = going.answered(answer)
        again = sent.checked(answer, going)
        if again is None:
            return answer
        leg = again


async def arequest(call: Call, leg: Leg) -> Any:
    """Async twin of `request`."""
    while True:
        sent, going = _Sent.of(call, leg), _going(leg)
        leg.flight.held = await _aenter(going.record, leg.flight.aenter(sent.keys))
        leg.flight.held.writes = bool(sent.keys)
        with going:
            answer = await call.send(sent.options)
        answer = going.answered(answer)
        again = sent.checked(answer, going)
        if again is None:
            return answer
        leg = again


async def _aenter(record: ExitStack, turn: AbstractAsyncContextManager[Pass]) -> Pass:
    """Hold a turn for as long as a record goes on, which may end where nothing can be awaited."""
    held = await turn.__aenter__()

    def leave(
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return _at_once(turn.__aexit__(kind, error, traceback))

    record.push(leave)
    return held


def _at_once(made: Coroutine[Any, Any, bool | None]) -> bool:
    """Run to its end what waits for nothing, as leaving the gate does."""
    try:
        made.send(None)
    except StopIteration as done:
        return bool(done.value)
    made.close()
    return False


def _going(leg: Leg) -> Going:
    """The record of a call: it says what went on the wire."""
    flight = leg.flight

    def opens(body: Json, headers: Mapping[str, str]) -> Flight:
        if flight.rewrite is not None:
            flight.rewrite = replace(flight.rewrite, request=body, headers=headers)
        return flight

    return Going(opens, str(leg.before.get("model", "")))


@dataclass(frozen=True)
class _Sent:
    """A call as it goes out: its `keys` to the gate, and whether only we ask for its `usage`.

    It `guards` its answer where that could hold a call of another agent's tool.
    """

    leg: Leg
    options: Any
    keys: tuple[tuple[str, str], ...] = ()
    usage: bool = False
    guards: bool = False

    @classmethod
    def of(cls, call: Call, leg: Leg) -> "_Sent":
        """The call with the fork's body and headers, where it is one."""
        rewrite = leg.flight.ask()
        if rewrite is None or not rewrite.changed:
            return cls(leg, call.options)
        guards = rewrite.forked and leg.turn.stand.attachment.options.guard
        body, usage = _counted(leg, rewrite.request) if rewrite.forked else (rewrite.request, False)
        changed: Json = {"json_data": body, "extra_json": None}
        if rewrite.headers:
            changed["headers"] = _headers(call, rewrite.headers)
        options = call.options.model_copy(update=changed)
        keys = rewrite.keys if rewrite.forked else ()
        return cls(leg, options, keys, usage, guards and bool(rewrite.request.get("tools")))

    def checked(self, answer: Any, going: Going) -> Leg | None:
        """Hold an answer to the agent's own tools; the call to make in its place, if any.

        What is still to be read is checked as it is read.
        """
        if not self.guards and not self.usage:
            return None
        response = _response_of(answer)
        if response is not None and not response.is_closed:
            sift(response, Sieve(self._keeps, going.tally.notice if self.usage else None))
            return None
        said = answer if response is None else json_of(response)
        if not self.guards or not _foreign(said, self.leg):
            return None
        again = self.leg.again(said)
        if again is None and response is not None:
            response._content = dumps(said).encode()
        return again

    def _keeps(self, said: Json) -> bool:
        """Rename what it may not call; nothing is asked again once a part has gone out."""
        if not self.guards or not _foreign(said, self.leg):
            return False
        self.leg.spoke = True
        self.leg.again(said)
        return True


def _foreign(said: Any, leg: Leg) -> bool:
    rewrite = leg.flight.rewrite
    try:
        return rewrite is not None and bool(foreign_calls(said, rewrite.allowed))
    except Exception:  # noqa: BLE001 - a compatible host's odd answer is the program's to read
        _log.exception("agentcache could not read an answer; the program goes on")
        return False


def _counted(leg: Leg, body: Json) -> tuple[Json, bool]:
    """A streamed chat that says what it used, unless its program has a wish of its own."""
    chat = leg.turn.stand.fork.session.parent.dialect.name == "openai.chat"
    if not chat or not body.get("stream") or "stream_options" in body:
        return body, False
    return {**body, "stream_options": dict(_USAGE)}, True


def _headers(call: Call, headers: Mapping[str, str]) -> Json:
    """A fork's headers under the program's own, those of this call and of its client."""
    given: Any = call.options.headers
    own: Json = dict(given) if is_json(given) else {}
    asked: Any = call.client.default_headers.get(_BETA) if _BETA in headers else None
    if isinstance(asked, str) and _BETA not in own:
        own[_BETA] = asked
    made: Json = with_headers({"extra_headers": own}, headers)["extra_headers"]
    return made


def _response_of(answer: Any) -> Any:
    """The response that an answer is read from, or was, if it is shown; None for none."""
    if getattr(answer, "_iterator", None) is not None:
        return answer.response
    raw = getattr(answer, "http_response", None)
    return answer if raw is None and hasattr(answer, "iter_bytes") else raw
