"""Speak llama.cpp's own endpoints: its counters, and its slots with the prompts they hold.

llama.cpp keeps a KV cache per slot and never shares one slot's prefix with another, so forks
that run in parallel hit only in the slot of their parent. Copying that slot into the others
first (save, then restore) makes all of them hit. Works on any llama-server that runs with
`--slot-save-path` and without `--kv-unified`.
"""

import json
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from agentcache.errors import EngineError

__all__ = ["copy_slot", "fan_out", "read_metrics", "read_slots"]

_TIMEOUT_S = 120.0


def read_metrics(url: str) -> dict[str, float]:
    """Return the counters of `GET /metrics` without their prefix, such as `prompt_tokens_total`.

    `prompt_tokens_total` counts computed tokens only, `prompt_tokens_cached_total` reused ones.

    Raises:
        EngineError: no answer, or the server runs without `--metrics`.
    """
    lines = _ask(url, "GET", "/metrics").splitlines()
    values = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name.partition(":")[2]: float(value) for name, value in values}


def read_slots(url: str) -> list[dict[str, Any]]:
    """Return `GET /slots` as llama.cpp says it.

    Raises:
        EngineError: no answer, or the server runs without `--slots`.
    """
    found: list[dict[str, Any]] = json.loads(_ask(url, "GET", "/slots"))
    return found


def copy_slot(url: str, source: int, targets: Iterable[int]) -> int:
    """Copy what slot `source` holds over what the target slots hold; return its tokens.

    A busy slot is waited for.

    Raises:
        EngineError: the server cannot save slots, or the source is empty.
    """
    name = {"filename": f"agentcache-slot-{source}.bin"}
    saved: int = json.loads(_ask(url, "POST", f"/slots/{source}?action=save", name))["n_saved"]
    if not saved:
        raise EngineError(f"Slot {source} of {url} is empty; send the parent's request first.")
    for target in targets:
        _ask(url, "POST", f"/slots/{target}?action=restore", name)
    return saved


def fan_out(url: str, prompt_tokens: int | None = None) -> int:
    """Copy the parent's slot over all others; return the tokens it holds.

    Call it after the parent's answer and before its forks start in parallel. The parent is the
    slot used last, or, where other requests came between, the one that holds a prompt of
    `prompt_tokens` (as the answer's usage counted them).

    Raises:
        EngineError: the server cannot save slots, or no slot holds such a prompt.
    """
    slots = read_slots(url)
    used = [slot for slot in slots if slot.get("n_prompt_tokens", 0) >= (prompt_tokens or 1)]
    if not used:
        raise EngineError(
            f"No slot of {url} holds a prompt of {prompt_tokens or 1} tokens or more."
        )
    nearest = min(slot["n_prompt_tokens"] for slot in used)
    parents = [slot for slot in used if not prompt_tokens or slot["n_prompt_tokens"] == nearest]
    parent = max(parents, key=lambda slot: slot["id_task"])["id"]
    return copy_slot(url, parent, [slot["id"] for slot in slots if slot["id"] != parent])


def _ask(url: str, method: str, path: str, body: object = None) -> str:
    parts = urlsplit(url)
    # Not urllib.request: it would send a loopback address to the user's proxy.
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.netloc, timeout=_TIMEOUT_S)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, HTTPException) as error:
        raise EngineError(f"{method} {url}{path} got no answer: {error!r}.") from error
    finally:
        connection.close()
    if response.status != 200:
        raise EngineError(f"{method} {url}{path} was refused with {response.status}: {text[:300]}")
    return text
