"""VCR cassettes: what a test recorded of HTTP, in YAML or JSON."""

from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from agentcache.dialects.base import Json, is_json, is_list
from agentcache.recordings.exchanges import Exchange, call_of, from_base64
from agentcache.recordings.hauls import Haul

__all__ = ["from_cassette"]


def from_cassette(documents: Iterable[Json], haul: Haul) -> None:
    """Read the calls of a cassette; what went elsewhere is counted."""
    for document in documents:
        held: Any = document.get("interactions", [document])
        for interaction in held if is_list(held) else ():
            _read(interaction, haul)


def _read(interaction: Any, haul: Haul) -> None:
    request: Any = interaction.get("request") if is_json(interaction) else None
    if not is_json(request):
        haul.miss("an interaction has no request")
        return
    response: Any = interaction.get("response")
    answer = response if is_json(response) else {}
    status: Any = answer.get("status")
    code = status.get("code") if is_json(status) else status
    at_s = _date(answer.get("headers"))
    haul.add(
        call_of(
            Exchange(
                url=str(request.get("uri", request.get("url", ""))),
                method=str(request.get("method", "POST")),
                headers=_headers(request.get("headers")),
                body=_body(request),
                status=code if isinstance(code, int) else 200,
                answer=_body(answer),
                at_s=at_s,
                ended_s=at_s,
            )
        )
    )


def _headers(headers: Any) -> Iterator[tuple[str, str]]:
    if not is_json(headers):
        return
    for name, value in headers.items():
        values: list[Any] = value if is_list(value) else [value]
        yield str(name), ",".join(map(str, values))


def _body(held: Json) -> Any:
    """A body as a cassette has it; `parsed_body` is what some recorders put in its place."""
    if "parsed_body" in held:
        return held["parsed_body"]
    body: Any = held.get("body")
    if not is_json(body):
        return body
    if "base64_string" in body:
        return from_base64(str(body["base64_string"]))
    return body.get("string", body)


def _date(headers: Any) -> float | None:
    """When the server says it answered, to the second: a cassette has no other time."""
    dates = [value for name, value in _headers(headers) if name.lower() == "date"]
    try:
        return parsedate_to_datetime(dates[0]).timestamp() if dates else None
    except (TypeError, ValueError):
        return None
