"""The network side of the provider: one ASGI application for all routes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from agentcache.errors import MissingExtraError
from agentcache.loopback.calls import Call
from agentcache.loopback.failures import error_body, model_list
from agentcache.loopback.faults import Fault
from agentcache.loopback.provider import Provider
from agentcache.loopback.reading import Reading
from agentcache.loopback.reply import Reply
from agentcache.loopback.values import Turn
from agentcache.loopback.wire import Refusal, dumps

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route
except ImportError as error:
    raise MissingExtraError("loopback", "starlette") from error

__all__ = ["App"]


class _CutError(Exception):
    """Ends a response half way; the server then drops the connection."""


class App:
    """Serve a provider over HTTP."""

    def __init__(self, provider: Provider) -> None:
        """Take the provider to serve."""
        self._provider = provider
        self._closing = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        every = Route("/{path:path}", self._handle, methods=["GET", "POST"])
        self.asgi = Starlette(routes=[every])

    def close(self) -> None:
        """End every wait, so that the server can stop; call it from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._closing.set)

    async def _handle(self, request: Request) -> Response:
        self._loop = asyncio.get_running_loop()
        raw = await request.body()
        headers = {key.lower(): value for key, value in request.headers.items()}
        call = self._provider.receive(request.url.path, headers, raw)
        try:
            if call.api == "other" or request.method != "POST":
                return self._other(call, request.method)
            return await self._model(self._provider.resolve(call), request)
        except Refusal as refusal:
            return self._refused(call, refusal)
        except Exception as error:  # noqa: BLE001  (say what broke, in the provider's shape)
            return self._refused(
                call, Refusal(f"the loopback provider broke: {error!r}", status=500)
            )

    def _other(self, call: Call, method: str) -> Response:
        if method == "GET" and call.route in ("/health", "/"):
            return self._json(call, {"status": "ok", "provider": "agentcache loopback (emulated)"})
        if method == "GET" and call.route == "/models":
            return self._json(call, model_list())
        counted = self._provider.counted(call)
        if counted is None:
            raise Refusal(f"Invalid URL ({method} {call.route})", status=404)
        return self._json(call, {"object": "response.input_tokens", "input_tokens": counted})

    async def _model(self, call: Call, request: Request) -> Response:
        provider = self._provider
        turn = provider.turn(call)
        fault = provider.strike(turn)
        kind = fault.kind if fault else None
        if fault and kind in ("429", "500", "529"):
            return self._failed(call, fault)
        if kind == "hang":
            return await self._hang(request)
        reading = provider.read(call)
        reply = await self._reply(call, turn, reading, with_usage=kind != "no_usage")
        wait_s = provider.latency.first_event_s(reading.total - reading.read, reading.read)
        await self._pause(wait_s + (fault.delay_s if fault and kind == "slow" else 0.0))
        if call.stream:
            return self._streamed(call, reply, cut=kind == "cut_stream")
        return await self._whole(call, reply, cut=kind == "cut_stream")

    async def _reply(self, call: Call, turn: Turn, reading: Reading, *, with_usage: bool) -> Reply:
        try:
            return await run_in_threadpool(
                self._provider.answer, call, turn, reading, with_usage=with_usage
            )
        except Exception as error:  # the script is the user's: say what it raised
            raise Refusal(f"the loopback script failed: {error}") from error

    async def _whole(self, call: Call, reply: Reply, *, cut: bool) -> Response:
        if call.readable_at_first_event:
            self._provider.publish(reply.reading)
        await self._pause(self._provider.latency.decode_s(reply.output_tokens))
        if not call.readable_at_first_event:
            self._provider.publish(reply.reading)
        body = dumps(self._provider.body(call, reply)).encode()
        now = time.monotonic()
        self._provider.log.note(call, status=200, first_event_s=now, ended_s=now)
        headers = {"x-request-id": call.id, "request-id": call.id, "content-length": str(len(body))}
        parts = self._cut([body]) if cut else _all([body])
        return StreamingResponse(parts, media_type="application/json", headers=headers)

    def _streamed(self, call: Call, reply: Reply, *, cut: bool) -> Response:
        events = self._provider.events(call, reply)
        parts = self._events(call, reply, events[: len(events) // 2] if cut else events, cut=cut)
        headers = {"x-request-id": call.id, "request-id": call.id, "cache-control": "no-cache"}
        return StreamingResponse(parts, media_type="text/event-stream", headers=headers)

    async def _events(
        self, call: Call, reply: Reply, events: list[bytes], *, cut: bool
    ) -> AsyncIterator[bytes]:
        provider = self._provider
        step_s = provider.latency.decode_s(reply.output_tokens) / max(len(events) - 1, 1)
        provider.publish(reply.reading)
        provider.log.note(call, status=200, first_event_s=time.monotonic())
        try:
            for event in events[:-1]:
                yield event
                await self._pause(step_s)
        finally:
            # Before the last event, so that a client that has it finds the log complete;
            # also when the client has gone.
            provider.log.note(call, ended_s=time.monotonic())
        yield events[-1]
        if cut:
            raise _CutError

    async def _cut(self, parts: list[bytes]) -> AsyncIterator[bytes]:
        for part in parts:
            yield part[: len(part) // 2]
        raise _CutError

    async def _hang(self, request: Request) -> Response:
        waits = [
            asyncio.ensure_future(self._closing.wait()),
            asyncio.ensure_future(_disconnected(request)),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return Response(status_code=503)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._closing.wait(), seconds)

    def _failed(self, call: Call, fault: Fault) -> Response:
        messages = {
            "429": "Rate limit reached (emulated fault).",
            "500": "The server had an error (emulated fault).",
            "529": "Overloaded (emulated fault).",
        }
        refusal = Refusal(messages[fault.kind], status=int(fault.kind))
        response = self._refused(call, refusal)
        if fault.retry_after_s is not None:
            response.headers["retry-after"] = f"{fault.retry_after_s:g}"
        return response

    def _refused(self, call: Call, refusal: Refusal) -> Response:
        return self._json(call, error_body(call, refusal), refusal.status)

    def _json(self, call: Call, body: dict[str, Any], status: int = 200) -> Response:
        now = time.monotonic()
        self._provider.log.note(call, status=status, first_event_s=now, ended_s=now)
        headers = {"x-request-id": call.id, "request-id": call.id}
        return JSONResponse(body, status_code=status, headers=headers)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _all(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
