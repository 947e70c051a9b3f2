"""The methods of CrewAI's model classes in which a request, a first event or usage can be seen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from crewai import BaseLLM
from pydantic import BaseModel

from agentcache.breaks.vendors import verdict_in
from agentcache.dialects.base import is_json, is_list
from agentcache.usage import Usage
from agentcache_crewai.turns import Stand, turn_of
from agentcache_crewai.wires import Seam

__all__ = ["Hooks", "without_flags"]

_FRAMEWORK_KEYS: Final = ("cache_breakpoint",)
"""Keys CrewAI puts on messages for itself; some of its classes leak them onto the wire."""

_OTHER_API: Final = (
    "other_api: CrewAI changed to the Responses API in mid-run, as this model is served nowhere "
    'else. Give it LLM(api="responses"), or unwrap and wrap again'
)


class Hooks:
    """Overrides in which a turn's request is written anew, and its answer's usage is read."""

    _agentcache: Stand

    def _prepare_completion_params(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        params = inner._prepare_completion_params(*args, **kwargs)
        native = self._agentcache.wire.native
        return _forked(self, "completion", _plain(params) if native else params)

    def _prepare_responses_params(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        return _forked(self, "responses", inner._prepare_responses_params(*args, **kwargs))

    def _get_sync_client(self) -> Any:
        inner: Any = super()
        return _client_of(self, inner._get_sync_client())

    async def _ensure_async_client(self) -> Any:
        inner: Any = super()
        return _client_of(self, await inner._ensure_async_client())

    def _emit_stream_chunk_event(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = super()
        turn = turn_of(self)
        if turn is not None:
            turn.event()
        return inner._emit_stream_chunk_event(*args, **kwargs)

    def _extract_openai_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response, getattr(response, "usage", None))
        return inner._extract_openai_token_usage(response)

    def _extract_responses_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response, getattr(response, "usage", None))
        return inner._extract_responses_token_usage(response)

    def _extract_anthropic_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response, getattr(response, "usage", None))
        return inner._extract_anthropic_token_usage(response)

    def _extract_azure_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response, getattr(response, "usage", None))
        return inner._extract_azure_token_usage(response)

    def _extract_token_usage(self, response: Any) -> Any:
        inner: Any = super()
        _note_usage(self, response, getattr(response, "usage_metadata", None))
        return inner._extract_token_usage(response)

    def _track_token_usage_internal(self, usage_data: Any) -> None:
        """Count on this fork alone, and on the original for whoever reads the total there."""
        inner: Any = super()
        turn = turn_of(self)
        if turn is not None and turn.usage.input_tokens is None:
            turn.usage = Usage.from_payload(_dumped(usage_data))
        inner._track_token_usage_internal(usage_data)
        original: Any = self._agentcache.original
        original._track_token_usage_internal(usage_data)
        source: Any = getattr(self, "_agentcache_source", None)
        if source is not None and turn is not None and turn.speech.side_call:
            # A memory's copy of an agent's model: CrewAI reads the total on the agent's.
            plain: Any = BaseLLM
            plain._track_token_usage_internal(source, usage_data)


def without_flags(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Copies of messages without the keys that are CrewAI's own."""
    return [{k: v for k, v in m.items() if k not in _FRAMEWORK_KEYS} for m in messages]


def _plain(params: Any) -> Any:
    """Drop CrewAI's own keys from messages, in a copy: LiteLLM would send them on."""
    messages: Any = params.get("messages") if is_json(params) else None
    if not is_list(messages) or not any(k in m for m in messages for k in _FRAMEWORK_KEYS):
        return params
    return {**params, "messages": without_flags(messages)}


def _forked(llm: object, seam: Seam, params: dict[str, Any]) -> Any:
    """The request as it goes out; the very arguments the class made, if it cannot be a fork."""
    turn = turn_of(llm)
    if turn is None:
        return params
    wire = turn.stand.wire
    if wire.seam == "call":
        return params
    if wire.seam != seam:
        turn.pass_through(_OTHER_API)
        return params
    sent = turn.rewritten(wire.body(params, offered=turn.offered))
    rewrite = turn.rewrite
    if rewrite is None or not rewrite.changed:
        return params
    written = wire.arguments if turn.inline else wire.beside
    return _with_headers(wire.header_key, written(sent, params), rewrite.headers)


def _with_headers(key: str, arguments: dict[str, Any], headers: Mapping[str, str]) -> Any:
    """The arguments with headers among them; the program's own win."""
    if not headers or not key:
        return arguments
    own: dict[str, str] = arguments.get(key) or {}
    return {**arguments, key: {**headers, **own}}


def _client_of(llm: object, client: Any) -> Any:
    turn = turn_of(llm)
    if turn is None or turn.stand.wire.seam != "converse" or client is None:
        return client
    return _ConverseClient(client, llm)


class _ConverseClient:
    """An AWS client whose requests are forked on their way out; in all else the client itself."""

    def __init__(self, client: Any, llm: object) -> None:
        self._client = client
        self._llm = llm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def converse(self, **request: Any) -> Any:
        return self._client.converse(**_forked(self._llm, "converse", request))

    def converse_stream(self, **request: Any) -> Any:
        return self._client.converse_stream(**_forked(self._llm, "converse", request))


def _note_usage(llm: object, response: Any, usage: Any) -> None:
    turn, said = turn_of(llm), _dumped(usage)
    if turn is not None and said:
        answer_id = str(getattr(response, "id", None) or "")
        turn.answered(answer_id, Usage.from_payload(said), verdict_in(response))
        fingerprint = str(getattr(response, "system_fingerprint", None) or "")
        turn.stand.attachment.ledger.answered(answer_id, fingerprint)


def _dumped(usage: Any) -> dict[str, Any]:
    """An SDK's usage object as the JSON it came as."""
    if is_json(usage):
        return usage
    if isinstance(usage, BaseModel):  # what model_dump does takes ten times as long
        return {k: _dumped(v) if isinstance(v, BaseModel) else v for k, v in usage}
    for name in ("model_dump", "as_dict"):
        dump: Callable[[], Any] | None = getattr(usage, name, None)
        if callable(dump):
            return dict(dump())
    return {}
