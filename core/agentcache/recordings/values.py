"""What is known of a recorded call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from agentcache.breaks.vendors import Verdict
from agentcache.ledger import Call
from agentcache.usage import Usage

__all__ = ["FORMS", "MOST", "NO_COUNT", "Form", "Recorded", "is_usage"]

MOST: Final = 10**12
"""More tokens than any call has: a larger count is a broken one."""
NO_COUNT: Final = "'usage' holds a count that no call has"

Form = Literal["agentcache", "har", "langfuse", "langsmith", "otel", "vcr"]

FORMS: dict[Form, str] = {
    "agentcache": "a ledger of agentcache (JSON lines)",
    "har": "a HAR file",
    "langfuse": "observations exported from Langfuse",
    "langsmith": "runs exported from LangSmith",
    "otel": "OpenTelemetry spans with GenAI attributes (OTLP JSON, or a console exporter's)",
    "vcr": "a VCR cassette (JSON or YAML)",
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call, as it was written down.

    `request` is the wire request, empty where its content was not recorded; `usage` is None where
    the recording does not say. `agent` is the name that the recording has for who spoke, and
    `under` the id of what bore that name, if not the call itself. Times are seconds since 1970.
    Of the headers only those are kept that bear on a cache, never a secret; `error` names a failed
    call's status or exception. `verdict` is what the provider said of the prefix in an answer that
    was recorded, `call` the ledger's own line, where there is one.
    """

    request: Mapping[str, Any] = field(repr=False)
    usage: Usage | None = None
    agent: str = ""
    at_s: float | None = None
    ended_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    answer_id: str = ""
    model: str = ""
    error: str = ""
    base_url: str = ""
    fingerprint: str = ""
    under: str = ""
    verdict: Verdict | None = field(default=None, repr=False)
    call: Call | None = field(default=None, repr=False)


def is_usage(usage: Usage) -> bool:
    """Whether counts can be those of a call."""
    counts = (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens)
    every = (*counts, usage.output_tokens, *(n for _, n in usage.writes))
    return all(count is None or 0 <= count < MOST for count in every)
