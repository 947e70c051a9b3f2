"""LangSmith: calls from exported runs, be they LangChain's or those of its SDK wrappers."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from agentcache.breaks.vendors import Verdict, heard
from agentcache.dialects.base import Json, is_json, is_list
from agentcache.recordings.chats import as_list, call_part, chat_request
from agentcache.recordings.documents import parsed
from agentcache.recordings.hauls import Haul
from agentcache.recordings.secrets import kept_request
from agentcache.recordings.times import seconds
from agentcache.recordings.trees import Node, calls_in
from agentcache.recordings.values import Recorded
from agentcache.usage import Usage

__all__ = ["from_runs", "messages_of"]

_ROLES: Final = {
    "ai": "assistant",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "function": "function",
    "FunctionMessage": "function",
    "human": "user",
    "HumanMessage": "user",
    "SystemMessage": "system",
    "ToolMessage": "tool",
}
_OWN: Final = ("model_name", "stop_sequences", "stream", "streaming")
_STEPS: Final = ("agent", "call_model", "chatbot", "llm", "model", "model_request", "tools")
"""Names that frameworks give to the step in which an agent asks its model."""


def from_runs(documents: Iterable[Json], haul: Haul) -> None:
    """Read the calls of runs; chains and tools among them name agents, or nothing."""
    nodes: list[Node] = []
    for document in documents:
        held: Any = document.get("runs", document.get("data"))
        for run in held if is_list(held) else [document]:
            if is_json(run):
                nodes += _nodes(run)
    haul.calls += calls_in(nodes)
    haul.others += sum(node.call is None for node in nodes)


def _nodes(run: Json) -> Iterator[Node]:
    extra = _object(run.get("extra"))
    metadata = _object(extra.get("metadata")) or _object(run.get("metadata"))
    call = _call(run, extra, metadata) if run.get("run_type") == "llm" else None
    yield Node(str(run.get("id", "")), str(run.get("parent_run_id") or ""), _agent(metadata), call)
    for child in as_list(run.get("child_runs")):
        if is_json(child):
            yield from _nodes(child)


def _agent(metadata: Json) -> str:
    named = metadata.get("lc_agent_name") or metadata.get("ls_agent_name")
    if isinstance(named, str) and named:
        return named
    steps = str(metadata.get("langgraph_checkpoint_ns") or "").split("|")
    names = [step.partition(":")[0] for step in steps]
    return next((name for name in reversed(names) if name and name not in _STEPS), "")


def _call(run: Json, extra: Json, metadata: Json) -> Recorded:
    inputs, outputs = _object(run.get("inputs")), _object(run.get("outputs"))
    settings = _object(extra.get("invocation_params")) or _object(run.get("invocation_params"))
    names = (settings.get(k) for k in ("model", "model_name", "model_id"))
    model = inputs.get("model") or next(filter(None, names), metadata.get("ls_model_name"))
    request, headers = _request(inputs, settings, str(model or ""))
    output = _object(outputs.get("llm_output"))
    return Recorded(
        request,
        usage=_usage(run, outputs, metadata),
        verdict=_verdict(outputs),
        at_s=seconds(run.get("start_time")),
        ended_s=seconds(run.get("end_time")),
        headers=headers,
        answer_id=str(outputs.get("id") or output.get("id") or ""),
        model=str(model or ""),
        error=_error(run.get("error")),
        fingerprint=str(
            outputs.get("system_fingerprint") or output.get("system_fingerprint") or ""
        ),
    )


def _request(inputs: Json, settings: Json, model: str) -> tuple[Json, dict[str, str]]:
    """The request, and the headers that were given with it."""
    params = {k: v for k, v in settings.items() if not k.startswith("_") and k not in _OWN}
    held: Any = inputs.get("messages")
    if not is_list(held):
        if "input" in inputs:
            return kept_request({"model": model, **params, **inputs})
        prompts = as_list(inputs.get("prompts")) or [inputs.get("prompt")]
        held = [{"role": "user", "content": text} for text in prompts if isinstance(text, str)]
    messages = messages_of(held)
    if not messages:
        return {}, {}
    given, headers = kept_request(inputs)
    tools = given.get("tools") or params.get("tools")
    return chat_request(model, messages, tools, {**params, **given}), headers


def messages_of(held: Any) -> list[Json]:
    """Messages as Chat Completions has them; LangChain's may stand in a list of one batch."""
    rows = as_list(held)
    if len(rows) == 1 and is_list(rows[0]):
        rows = rows[0]
    return [message for row in rows if is_json(row) and (message := _message(row)) is not None]


def _message(row: Json) -> Json | None:
    held: Any = row.get("kwargs", row.get("data"))
    inner = held if is_json(held) else row
    if "role" in inner and inner is row and "additional_kwargs" not in row:
        return _with_calls(row) if _has_own_calls(row) else row
    path = as_list(row.get("id"))
    kind = str(path[-1]) if path and "lc" in row else str(inner.get("type", row.get("type", "")))
    role = inner.get("role") or _ROLES.get(kind, kind)
    if not role or "content" not in inner:
        return None
    message: Json = {"role": role, "content": inner["content"]}
    message |= {k: inner[k] for k in ("name", "tool_call_id") if inner.get(k)}
    return _with_calls({**message, "tool_calls": _calls(inner)})


def _has_own_calls(row: Json) -> bool:
    return any(is_json(c) and "function" not in c for c in as_list(row.get("tool_calls")))


def _calls(inner: Json) -> list[Any]:
    own = as_list(inner.get("tool_calls"))
    return own or as_list(_object(inner.get("additional_kwargs")).get("tool_calls"))


def _with_calls(message: Json) -> Json:
    """A message whose calls to tools are the wire's, not LangChain's."""
    made = [
        c if "function" in c else call_part(c.get("name"), c.get("args"), c.get("id"))
        for c in as_list(message.get("tool_calls"))
        if is_json(c)
    ]
    rest = {k: v for k, v in message.items() if k != "tool_calls"}
    return {**rest, "tool_calls": made} if made else rest


def _usage(run: Json, outputs: Json, metadata: Json) -> Usage | None:
    """What was used, by whoever tells: the wrapper, LangChain, or LangSmith's own count."""
    output = _object(outputs.get("llm_output"))
    told = (
        outputs.get("usage_metadata"),
        metadata.get("usage_metadata"),
        _answer(outputs).get("usage_metadata"),
        output.get("token_usage"),
        output.get("usage"),
        outputs.get("usage"),
    )
    payload = next((t for t in told if is_json(t) and t), None)
    if payload is None and run.get("prompt_tokens"):
        details = _object(run.get("prompt_token_details"))
        payload = {"input_tokens": run["prompt_tokens"], "input_token_details": details}
        payload["output_tokens"] = run.get("completion_tokens")
    return None if payload is None else Usage.from_payload(payload)


def _verdict(outputs: Json) -> Verdict | None:
    """What the provider said of the prefix: the wrappers keep its answer, LangChain most of it."""
    verdict, answer = None, _answer(outputs)
    beside = (outputs.get("message"), outputs.get("llm_output"), answer.get("response_metadata"))
    for held in (outputs, answer, *map(_object, beside)):
        verdict = heard(verdict, held)
    return verdict


def _answer(outputs: Json) -> Json:
    """The message that a model answered, as LangChain keeps it."""
    found: Any = outputs.get("generations")
    while is_list(found) and found:
        found = found[0]
    message = _object(_object(found).get("message"))
    return _object(message.get("kwargs")) or message


def _error(value: Any) -> str:
    """The name of an exception, without what it says."""
    words = str(value or "").partition("(")[0].partition(":")[0].split()
    return words[0][:80] if words else "error" if value else ""


def _object(value: Any) -> Json:
    """An object, also where it was written as JSON text; an empty one where it is none."""
    found = parsed(value) if isinstance(value, str) else value
    return found if is_json(found) else {}
