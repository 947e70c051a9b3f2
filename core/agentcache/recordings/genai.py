"""GenAI attributes: the request and the usage that a span tells of, in any form of the conventions.

The current form keeps messages as parts in one attribute each; older ones kept them in events, or
in attributes numbered one by one. OpenInference keeps the request itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from agentcache.dialects.base import Json, is_json
from agentcache.recordings.chats import as_list, call_part, chat_request, count_of
from agentcache.recordings.documents import parsed
from agentcache.recordings.secrets import kept_request
from agentcache.recordings.spans import Event
from agentcache.usage import Usage

__all__ = ["request_of", "spoken", "usage_of"]

_PARAMS: Final = (
    "choice.count",
    "frequency_penalty",
    "max_tokens",
    "presence_penalty",
    "seed",
    "stop_sequences",
    "temperature",
    "top_k",
    "top_p",
)
_READ: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
)
_WRITTEN: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_TOTAL: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
)
_OUTPUT: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
)


def usage_of(held: Json) -> Usage | None:
    """The usage; its total holds what was read and written, as the conventions ask."""
    total, read, written, output = (
        next((count_of(held[key]) for key in keys if key in held), None)
        for keys in (_TOTAL, _READ, _WRITTEN, _OUTPUT)
    )
    if total is None and output is None:
        return None
    cached = (read or 0) + (written or 0)
    if total is not None and total < cached:  # written by Anthropic's own convention
        total += cached
    return Usage(total, read, written, output)


def request_of(held: Json, events: Sequence[Event]) -> Json:
    """The request; empty where its content was not recorded."""
    given: Any = parsed(held.get("input.value"))
    if is_json(given) and ("messages" in given or "input" in given):
        settings = parsed(held.get("llm.invocation_parameters"))
        return kept_request({**(settings if is_json(settings) else {}), **given})[0]
    messages = list(_system(held.get("gen_ai.system_instructions")))
    messages += [m for row in as_list(held.get("gen_ai.input.messages")) for m in spoken(row)]
    messages = messages or list(_numbered(held)) or list(_logged(held, events))
    if not messages:
        return {}
    model = held.get("gen_ai.request.model") or held.get("gen_ai.response.model") or ""
    tools = held.get("gen_ai.tool.definitions") or list(_functions(held))
    return chat_request(str(model), messages, tools, _params(held))


def _params(held: Json) -> Json:
    out = {name: held.get(f"gen_ai.request.{name}") for name in _PARAMS}
    kind = held.get("gen_ai.openai.request.response_format", held.get("gen_ai.output.type"))
    if kind not in (None, "text"):
        out["response_format"] = {"type": kind}
    return out


def _system(instructions: Any) -> Iterator[Json]:
    parts = [_part(part) for part in as_list(instructions) if is_json(part)]
    if parts:
        yield {"role": "system", "content": _content(parts)}
    elif isinstance(instructions, str) and instructions and parsed(instructions) is None:
        yield {"role": "system", "content": instructions}


def spoken(row: Any) -> Iterator[Json]:
    """A message in parts, as Chat Completions has it: results of tools are messages there."""
    if not is_json(row):
        return
    if "parts" not in row:
        yield row
        return
    parts = [part for part in as_list(row["parts"]) if is_json(part)]
    calls = [p for p in parts if p.get("type") == "tool_call"]
    results = [p for p in parts if p.get("type") == "tool_call_response"]
    rest = [_part(p) for p in parts if p not in calls and p not in results]
    for result in results:
        said = result.get("response", result.get("result"))
        yield {"role": "tool", "tool_call_id": result.get("id"), "content": said}
    if rest or calls:
        made = [call_part(c.get("name"), c.get("arguments"), c.get("id")) for c in calls]
        message = {"role": row.get("role"), "content": _content(rest) if rest else None}
        yield {**message, **({"tool_calls": made} if made else {})}


def _part(part: Json) -> Json:
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": part.get("content", part.get("text", ""))}
    return part


def _content(parts: Sequence[Json]) -> Any:
    """Parts as content: one text stands alone."""
    alone = len(parts) == 1 and parts[0].get("type") == "text"
    return parts[0]["text"] if alone else list(parts)


def _numbered(held: Json) -> Iterator[Json]:
    """Messages in attributes of their own: gen_ai.prompt.0.role, gen_ai.prompt.0.content."""
    for row in _rows(held, "gen_ai.prompt"):
        content = row.get("content")
        parts = as_list(content) if isinstance(content, str) and content[:1] == "[" else []
        message: Json = {"role": row.get("role"), "content": parts or content}
        calls = [
            call_part(c.get("name"), c.get("arguments"), c.get("id"))
            for c in _rows(row, "tool_calls")
        ]
        if "tool_call_id" in row:
            message["tool_call_id"] = row["tool_call_id"]
        yield {**message, **({"tool_calls": calls} if calls else {})}


def _functions(held: Json) -> Iterator[Json]:
    for row in _rows(held, "llm.request.functions"):
        schema = parsed(row.get("parameters")) or parsed(row.get("input_schema"))
        yield {**row, "type": "function", "parameters": schema or {}}


def _rows(held: Mapping[str, Any], prefix: str) -> list[Json]:
    """Attributes named `prefix.0.x`, as one object for each number."""
    rows: dict[int, Json] = {}
    for key, value in held.items():
        if key.startswith(f"{prefix}."):
            number, _, name = key[len(prefix) + 1 :].partition(".")
            if number.isdigit() and name:
                rows.setdefault(int(number), {})[name] = value
    return [rows[number] for number in sorted(rows)]


def _logged(held: Json, events: Iterable[Event]) -> Iterator[Json]:
    """Messages in events: one each, or all of them in one."""
    told = [*events, *_packed(held.get("events"))]
    for event in told:
        role, _, kind = event.name.removeprefix("gen_ai.").partition(".")
        body = _body(event)
        if kind == "message":
            message = {k: v for k, v in body.items() if k != "id" and "." not in k}
            answers = {"tool_call_id": body["id"]} if role == "tool" and "id" in body else {}
            yield {"role": role, "content": None, **message, **answers}
        elif event.name == "gen_ai.content.prompt":
            yield from (row for row in as_list(body.get("gen_ai.prompt")) if is_json(row))
    if not told:
        yield from (row for row in as_list(held.get("gen_ai.prompt")) if is_json(row))


def _body(event: Event) -> Json:
    for given in (event.body, event.attributes.get("gen_ai.event.content")):
        value: Any = parsed(given) if isinstance(given, str) else given
        if is_json(value):
            return value
    return event.attributes


def _packed(held: Any) -> Iterator[Event]:
    """Events that stand as JSON in an attribute."""
    for row in as_list(held):
        if is_json(row):
            yield Event(str(row.get("event.name", "")), {}, row)
