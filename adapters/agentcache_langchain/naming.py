"""What an agent is called, where its model does not know."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentcache.dialects.base import is_json

__all__ = ["name_by", "name_in"]

_GENERIC: Final = ("agent", "model", "call_model", "llm", "model_request", "__start__", "")


def name_in(run: Any) -> str:
    """The agent's name, as LangGraph tells it in a run's metadata; empty if it does not."""
    metadata: Any = getattr(run, "metadata", None)
    said: Mapping[str, Any] = metadata if is_json(metadata) else {}
    space = str(said.get("langgraph_checkpoint_ns") or said.get("checkpoint_ns") or "")
    path = [piece.partition(":")[0] for piece in space.split("|")]
    names = [str(said.get("lc_agent_name") or ""), *reversed(path)]
    names.append(str(said.get("langgraph_node") or ""))
    return next((name for name in names if name not in _GENERIC), "")


def name_by(system: Sequence[str]) -> str:
    """A name by what the agent is told; the same in every process."""
    if not system:
        return "agent"
    told = "\n".join(system).encode("utf-8", "surrogatepass")
    return f"agent {hashlib.blake2b(told, digest_size=3).hexdigest()}"
