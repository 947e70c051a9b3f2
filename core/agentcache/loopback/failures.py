"""Errors in the provider's own shape, and the list of models."""

from typing import Any

from agentcache.loopback.calls import Call
from agentcache.loopback.wire import Refusal

__all__ = ["error_body", "model_list"]

_OPENAI = {404: "invalid_request_error", 429: "rate_limit_error", 500: "server_error"}
_ANTHROPIC = {
    400: "invalid_request_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_MODELS = (
    "gpt-4o-mini",
    "gpt-5.5",
    "gpt-5.6-luna",
    "gpt-6-luna",
    "claude-haiku-5-5",
    "claude-sonnet-4-5",
    "llama-3.1-8b",
)


def error_body(call: Call, refusal: Refusal) -> dict[str, Any]:
    """Return the body of an error answer as this API words it."""
    if "/messages" in call.route:
        kind = _ANTHROPIC.get(refusal.status, "api_error")
        error = {"type": kind, "message": refusal.message}
        return {"type": "error", "error": error, "request_id": call.id}
    default = "server_error" if refusal.status >= 500 else "invalid_request_error"
    code = {429: "rate_limit_exceeded"}.get(refusal.status)
    kind = _OPENAI.get(refusal.status, default)
    return {
        "error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": code}
    }


def model_list() -> dict[str, Any]:
    """Return one list that both SDKs can read; any other model name is answered too."""
    data = [
        {
            "id": name,
            "object": "model",
            "type": "model",
            "created": 1767225600,
            "created_at": "2026-01-01T00:00:00Z",
            "display_name": f"{name} (emulated)",
            "owned_by": "agentcache-loopback",
        }
        for name in _MODELS
    ]
    ends = {"first_id": _MODELS[0], "last_id": _MODELS[-1]}
    return {"object": "list", "data": data, "has_more": False, **ends}
