"""The provider without its network: what one request reads, writes and is answered."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from agentcache.loopback.breakpoint_cache import BreakpointCache
from agentcache.loopback.calls import Call, Log, arrived
from agentcache.loopback.chat_reply import chat_body, chat_events
from agentcache.loopback.chat_request import chat_prompt
from agentcache.loopback.chat_turn import chat_turn
from agentcache.loopback.context_editing import edited
from agentcache.loopback.diagnoses import Diagnoses
from agentcache.loopback.families import min_tokens_of
from agentcache.loopback.faults import Fault, Faults
from agentcache.loopback.mark_cache import MarkCache
from agentcache.loopback.messages_reply import messages_body, messages_events
from agentcache.loopback.messages_request import messages_prompt
from agentcache.loopback.messages_turn import messages_turn
from agentcache.loopback.prefix_cache import PrefixCache
from agentcache.loopback.prompt import Prompt
from agentcache.loopback.reading import Reading
from agentcache.loopback.reply import Reply
from agentcache.loopback.responses_reply import responses_body, responses_events
from agentcache.loopback.responses_request import input_items, responses_prompt
from agentcache.loopback.responses_turn import responses_turn
from agentcache.loopback.system_messages import refuse_bad_systems
from agentcache.loopback.tokens import Tokenizer
from agentcache.loopback.values import Answer, Api, Family, Latency, Script, Turn
from agentcache.loopback.wire import Refusal, dumps, entries

__all__ = ["Provider"]

_COUNTS: dict[str, Api] = {
    "/messages/count_tokens": "anthropic.messages",
    "/responses/input_tokens": "openai.responses",
}


@dataclass(frozen=True, slots=True)
class _Voice:
    """How one API is read and spoken."""

    prompt: Callable[[dict[str, Any], Family, int, Tokenizer], Prompt]
    turn: Callable[[dict[str, Any], str], Turn]
    body: Callable[[Reply], dict[str, Any]]
    events: Callable[[Reply], Iterator[bytes]]


_VOICES: dict[Api, _Voice] = {
    "openai.chat": _Voice(chat_prompt, chat_turn, chat_body, chat_events),
    "openai.responses": _Voice(responses_prompt, responses_turn, responses_body, responses_events),
    "anthropic.messages": _Voice(messages_prompt, messages_turn, messages_body, messages_events),
}


class Provider:
    """Hold the caches, the log and the faults; safe to use from any thread."""

    def __init__(
        self,
        *,
        script: Script,
        latency: Latency | None,
        faults: Iterable[Fault],
        tokenizer: Tokenizer,
        clock: Callable[[], float],
    ) -> None:
        """Start with empty caches and an empty log."""
        self.latency = latency or Latency()
        self.faults = Faults(faults)
        self.log = Log()
        self._script = script
        self._tokenizer = tokenizer
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._since_reset = count(1)
        self._histories: dict[str, list[Any]] = {}
        self._caches = _caches()
        self._diagnoses = Diagnoses()

    def reset(self) -> None:
        """Empty the log and the caches, and count requests from 1 again for faults."""
        self.log.clear()
        with self._lock:
            self._histories.clear()
            self._caches = _caches()
            self._diagnoses = Diagnoses()
            self._since_reset = count(1)

    def receive(self, path: str, headers: Mapping[str, str], raw: bytes) -> Call:
        """Log a request as it arrived and say what kind it is."""
        with self._lock:
            number = next(self._numbers)
        call, logged = arrived(number, path, headers, raw)
        self.log.add(logged)
        return call

    def strike(self, turn: Turn) -> Fault | None:
        """Count a model request and return the fault that hits it."""
        with self._lock:
            number = next(self._since_reset)
        return self.faults.strike(number, turn)

    def resolve(self, call: Call) -> Call:
        """Return the request as the model reads it.

        A Responses request that continues an earlier one gets the stored history in front, an
        Anthropic one loses what its context editing clears.
        """
        if call.api == "anthropic.messages":
            body, edits = edited(call.body, call.betas, lambda b: self._total(call, b))
            return replace(call, body=body, edits=tuple(edits))
        previous = call.body.get("previous_response_id")
        if call.api != "openai.responses" or not previous:
            return call
        with self._lock:
            history = self._histories.get(str(previous))
        if history is None:
            raise Refusal(
                f"Previous response with id '{previous}' not found.", param="previous_response_id"
            )
        return replace(call, body={**call.body, "input": [*history, *input_items(call.body)]})

    def turn(self, call: Call) -> Turn:
        """Return the request as a script sees it."""
        return _VOICES[call.api].turn(call.body, call.model)

    def counted(self, call: Call) -> int | None:
        """Return the input tokens for the two counting routes, None for any other."""
        api = _COUNTS.get(call.route)
        return None if api is None else self._prompt(call, api).total

    def read(self, call: Call) -> Reading:
        """Look the request up; its own writes stay unreadable until they are published."""
        prompt = self._prompt(call, call.api)
        self._diagnoses.note(call, prompt)
        with self._lock:
            reading = self._caches[call.family].look_up(call.domain, prompt, self._clock())
        self.log.note(
            call,
            input_tokens=reading.total,
            cached_tokens=reading.read,
            cache_write_tokens=None if reading.written is None else reading.write,
        )
        return reading

    def publish(self, reading: Reading) -> None:
        """Make what a request wrote readable from now on."""
        with self._lock:
            reading.publish(self._clock())

    def answer(self, call: Call, turn: Turn, reading: Reading, *, with_usage: bool) -> Reply:
        """Ask the script and word its answer."""
        answer = Answer() if call.is_prewarm else self._script(turn)
        calls = "".join(each.name + dumps(dict(each.arguments)) for each in answer.tool_calls)
        output_tokens = len(self._tokenizer(answer.text)) + len(self._tokenizer(calls))
        reply = Reply(
            number=call.number,
            created=int(time.time()),
            body=call.body,
            model=call.model,
            answer=answer,
            reading=reading,
            output_tokens=output_tokens,
            with_usage=with_usage,
            generated=not call.is_prewarm,
            diagnosis=self._diagnoses.of(call.number),
            edits=call.edits,
        )
        self.log.note(call, answer=answer, output_tokens=output_tokens)
        self._remember(call, reply)
        return reply

    def body(self, call: Call, reply: Reply) -> dict[str, Any]:
        """Return the whole answer as one JSON object."""
        return _VOICES[call.api].body(reply)

    def events(self, call: Call, reply: Reply) -> list[bytes]:
        """Return the answer as server-sent events."""
        return list(_VOICES[call.api].events(reply))

    def _total(self, call: Call, body: dict[str, Any]) -> int:
        return self._prompt(replace(call, body=body), call.api).total

    def _prompt(self, call: Call, api: Api) -> Prompt:
        if not call.body:
            raise Refusal("We could not parse the JSON body of your request.")
        if not call.model:
            raise Refusal("you must provide a model parameter", param="model")
        if api == "anthropic.messages":
            refuse_bad_systems(call.body, call.model, call.betas)
        least = min_tokens_of(call.model, call.family)
        return _VOICES[api].prompt(call.body, call.family, least, self._tokenizer)

    def _remember(self, call: Call, reply: Reply) -> None:
        if call.api == "openai.responses" and call.body.get("store") is not False:
            body = responses_body(reply)
            with self._lock:
                self._histories[body["id"]] = [*input_items(call.body), *entries(body["output"])]


def _caches() -> dict[Family, PrefixCache | BreakpointCache | MarkCache]:
    return {
        "openai-prefix": PrefixCache(step=128),
        "openai-breakpoint": BreakpointCache(),
        "anthropic": MarkCache(),
        "engine": PrefixCache(step=1, recompute=1),
    }
