"""What goes into the provider and what comes out of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Answer",
    "Api",
    "Family",
    "Latency",
    "Logged",
    "Said",
    "Script",
    "Tool",
    "ToolCall",
    "ToolResult",
    "Turn",
]

Api = Literal["openai.chat", "openai.responses", "anthropic.messages", "other"]
"""Which API a request spoke; `other` is everything that runs no model."""

Family = Literal["openai-prefix", "openai-breakpoint", "anthropic", "engine"]
"""Which caching rules are emulated; chosen by the model's name."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call of an answer; `arguments` is the object, not its JSON text."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says: text, tool calls, or both."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """One text of the request and who said it (`system`, `user`, `assistant` or `tool`)."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """One offered tool with the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """One tool result and the id of the call that it answers."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A request as a script sees it, the same for all three APIs.

    `texts` are in wire order. `callable_tools` are the names left after `tool_choice`.
    `forced_tool` is the name of a tool that must be called, or "" when any will do, or
    None when none has to. `tool_results` are those of the trailing loop: since the last
    user text that does not itself follow a tool result. `offered` holds the tools with
    their schemas.
    """

    api: Api
    model: str
    texts: tuple[Said, ...]
    offered: tuple[Tool, ...]
    callable_tools: tuple[str, ...]
    forced_tool: str | None
    tool_results: tuple[ToolResult, ...]
    response_schema: Mapping[str, Any] | None
    body: Mapping[str, Any]

    @property
    def tools(self) -> tuple[str, ...]:
        """Return the names of the offered tools."""
        return tuple(tool.name for tool in self.offered)

    @property
    def user(self) -> str:
        """Return the last user text, or an empty string."""
        return next((said.text for said in reversed(self.texts) if said.role == "user"), "")

    @property
    def system(self) -> str:
        """Return all system and developer texts, joined."""
        return "\n".join(said.text for said in self.texts if said.role == "system")

    def tool(self, name: str) -> Tool | None:
        """Return the offered tool of this name."""
        return next((tool for tool in self.offered if tool.name == name), None)


Script = Callable[[Turn], Answer]
"""Decides what the model answers. May block: it runs in a worker thread."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long an answer takes; every rate of 0 costs no time.

    `scale` multiplies everything, so that a realistic profile can be played fast.
    """

    prefill_tokens_per_s: float = 0.0
    cached_tokens_per_s: float = 0.0
    decode_tokens_per_s: float = 0.0
    base_s: float = 0.0
    scale: float = 1.0

    def first_event_s(self, fresh_tokens: int, cached_tokens: int) -> float:
        """Return the seconds from the request to its first event."""
        prefill = _seconds(fresh_tokens, self.prefill_tokens_per_s)
        return self.scale * (
            self.base_s + prefill + _seconds(cached_tokens, self.cached_tokens_per_s)
        )

    def decode_s(self, output_tokens: int) -> float:
        """Return the seconds from the first event to the last."""
        return self.scale * _seconds(output_tokens, self.decode_tokens_per_s)


def _seconds(tokens: int, rate: float) -> float:
    return tokens / rate if rate else 0.0


@dataclass(frozen=True, slots=True)
class Logged:
    """One request as it arrived, and what became of it.

    `status` is 0 and the later fields are None while the request is in flight. Token
    counts are the emulated truth, also where the usage was withheld from the client;
    `cache_write_tokens` is None where the family bills no writes. Headers that hold
    secrets are kept as a hash. Times are `time.monotonic()`.
    """

    id: str
    path: str
    api: Api
    headers: Mapping[str, str]
    raw: bytes
    body: Mapping[str, Any]
    model: str
    family: Family | None
    stream: bool
    started_s: float
    status: int = 0
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    first_event_s: float | None = None
    ended_s: float | None = None
    answer: Answer | None = None
