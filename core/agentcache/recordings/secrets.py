"""What may be kept of a recorded call: no credential, whoever invented its header."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from agentcache.dialects.base import Json, is_json, is_list
from agentcache.rules import all_rules

__all__ = ["host_of", "kept_headers", "kept_request"]

_SECRET: Final = ("auth", "cookie", "credential", "key", "passw", "secret", "signature", "token")
_KEYS: Final = ("prompt_cache_key", "prompt_cache_isolation_key")
"""Names that look like a secret's, and are none."""
_SESSIONS: Final = ("session_id", "x-session-id")
_BESIDE: Final = ("default_headers", "extra_headers", "headers")
_NOT_SENT: Final = ("client", "extra_body", "extra_query", "http_client", "timeout", *_BESIDE)
_WITH_SECRETS: Final = ("mcp_servers", "tools")
_HIDDEN: Final = "(not kept)"


@lru_cache(maxsize=1)
def _affinities() -> frozenset[str]:
    found = (a for rule in all_rules() for a in (*rule.affinities, rule.affinity) if a is not None)
    return frozenset((*(a.name.lower() for a in found), *_SESSIONS))


def kept_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers that bear on a cache, their names in lower case; never a secret."""
    named = ((name.lower(), value) for name, value in headers)
    return {name: value for name, value in named if name in _KEYS or _bears_on_caching(name)}


def _bears_on_caching(name: str) -> bool:
    if any(word in name for word in _SECRET):
        return False
    return name.endswith("-beta") or "affinity" in name or name in _affinities()


def kept_request(params: Mapping[str, Any]) -> tuple[Json, dict[str, str]]:
    """What an SDK's arguments, or a body, put on the wire, and the headers given with them.

    Keys and tokens that stand in them are left out, and hidden where tools carry them.
    """
    beside = [given for name in _BESIDE if is_json(given := params.get(name))]
    headers = kept_headers((str(k), str(v)) for given in beside for k, v in given.items())
    extra: Any = params.get("extra_body")
    both = {**params, **(extra if is_json(extra) else {})}
    body = {k: v for k, v in both.items() if k not in _NOT_SENT and not _is_secret(k)}
    hidden = {name: _without_secrets(body[name]) for name in _WITH_SECRETS if body.get(name)}
    return {**body, **hidden}, headers


def _is_secret(name: str) -> bool:
    low = name.lower()
    ends = ("api_key", "apikey", "authorization", "password", "secret", "_token")
    return low.endswith(ends) and low not in _KEYS


def _without_secrets(value: Any) -> Any:
    if is_list(value):
        return [_without_secrets(one) for one in value]
    if not is_json(value):
        return value
    out: Json = {}
    for key, inner in value.items():
        if isinstance(inner, str):
            out[key] = _HIDDEN if _is_secret(key) else inner
        elif key == "headers" and is_json(inner):
            out[key] = dict.fromkeys(inner, _HIDDEN)
        else:
            out[key] = _without_secrets(inner)
    return out


def host_of(url: str) -> str:
    """Scheme, host and port of an address: no user, no password, no path, no query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    where = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{where}{f':{port}' if port else ''}" if host else ""
