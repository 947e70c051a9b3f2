"""Read parsed JSON without trusting its shape."""

import hashlib
import json
from typing import Any, cast

__all__ = ["Refusal", "digest", "dumps", "entries", "mapping", "same_json", "text_in"]


class Refusal(Exception):  # noqa: N818  (it is an answer to the client, not a failure of ours)
    """The provider refuses the request; becomes an error in the provider's own shape."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None) -> None:
        """Hold the message, the HTTP status and the parameter at fault."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param


def mapping(value: object) -> dict[str, Any]:
    """Return value if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def entries(value: object) -> list[Any]:
    """Return value if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def dumps(value: object) -> str:
    """Write JSON compactly, keys in the order in which they came."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def same_json(value: object, without: tuple[str, ...] = ()) -> str:
    """Write an object as received, minus the keys that never render."""
    found = mapping(value)
    if not found:
        return dumps(value)
    return dumps({key: item for key, item in found.items() if key not in without})


def text_in(content: object) -> str:
    """Join the text of a content string or of a list of content parts."""
    if isinstance(content, str):
        return content
    parts = (mapping(part) for part in entries(content))
    return "\n".join(
        str(part[key]) for part in parts for key in ("text", "refusal") if part.get(key)
    )


def digest(value: str) -> str:
    """Shorten a secret or a large payload to something that can be compared."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]
