"""HAR files: what a browser, a proxy or a recorder saw of HTTP."""

from collections.abc import Iterable, Iterator
from typing import Any

from agentcache.dialects.base import Json, is_json, is_list
from agentcache.recordings.exchanges import Exchange, call_of, from_base64
from agentcache.recordings.hauls import Haul
from agentcache.recordings.times import seconds

__all__ = ["from_har"]


def from_har(documents: Iterable[Json], haul: Haul) -> None:
    """Read the calls of a HAR file; what went elsewhere is counted."""
    for document in documents:
        log: Any = document.get("log")
        entries: Any = log.get("entries") if is_json(log) else None
        for entry in entries if is_list(entries) else ():
            _read(entry, haul)


def _read(entry: Any, haul: Haul) -> None:
    request: Any = entry.get("request") if is_json(entry) else None
    if not is_json(request):
        haul.miss("an entry has no request")
        return
    response: Any = entry.get("response")
    answer = response if is_json(response) else {}
    status: Any = answer.get("status")
    at_s, took_ms = seconds(entry.get("startedDateTime")), entry.get("time")
    took_s = took_ms / 1000 if isinstance(took_ms, int | float) else 0.0
    haul.add(
        call_of(
            Exchange(
                url=str(request.get("url", "")),
                method=str(request.get("method", "POST")),
                headers=_headers(request.get("headers")),
                body=_content(request.get("postData")),
                status=status if isinstance(status, int) else 200,
                answer=_content(answer.get("content")),
                at_s=at_s,
                ended_s=None if at_s is None else at_s + max(0.0, took_s),
            )
        )
    )


def _headers(headers: Any) -> Iterator[tuple[str, str]]:
    for header in headers if is_list(headers) else ():
        if is_json(header):
            yield str(header.get("name", "")), str(header.get("value", ""))


def _content(held: Any) -> Any:
    if not is_json(held):
        return None
    text = held.get("text")
    return from_base64(str(text)) if held.get("encoding") == "base64" else text
