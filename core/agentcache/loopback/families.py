"""Which caching rules a model's name stands for. Read 2026-11; sources in the docs."""

import re

from agentcache.loopback.values import Family

__all__ = ["FAMILIES", "family_of", "min_tokens_of", "takes_system_messages"]

FAMILIES: dict[Family, str] = {
    "openai-prefix": "gpt-4* to gpt-5.5, o-series: longest prefix in 128s from 1,024",
    "openai-breakpoint": "gpt-5.6 and later: exact written breakpoints, writes billed",
    "anthropic": "claude-*: up to 4 marks, 20 positions look-back, 5m/1h, writes billed",
    "engine": "any other name: longest prefix to the token, no minimum",
}
"""What is emulated, one line per family."""

_GPT = re.compile(r"(?:chat)?gpt-(\d+)(?:\.(\d+))?")

# Minimum cacheable prefix by Claude model; the first pattern found in the name wins.
_CLAUDE_MINIMUM = (
    (4096, r"opus-4-[56]|haiku-4-5"),
    (2048, r"opus-4-7|haiku-3-5|3-5-haiku|mythos-preview"),
    (512, r"(?:fable|mythos)-5|(?:opus|sonnet|haiku)-5-5|opus-5"),
)

# Not sonnet-5-5; a date may follow the version.
_NO_SYSTEM_MESSAGES = re.compile(r"sonnet-5(?!\d|[-.]\d(?!\d))")


def family_of(model: str) -> Family:
    """Return the caching family of a model name; a vendor prefix such as `openai/` is skipped."""
    name = model.rsplit("/", 1)[-1].lower()
    if "claude" in name:
        return "anthropic"
    if re.match(r"o\d", name):
        return "openai-prefix"
    found = _GPT.match(name)
    if found is None:
        return "engine"
    version = int(found[1]), int(found[2] or 0)
    if version >= (5, 6):
        return "openai-breakpoint"
    return "openai-prefix" if version >= (4, 0) else "engine"


def min_tokens_of(model: str, family: Family) -> int:
    """Return the smallest prefix that this model caches."""
    if family == "engine":
        return 0
    if family != "anthropic":
        return 1024
    return next((least for least, names in _CLAUDE_MINIMUM if re.search(names, model)), 1024)


def takes_system_messages(model: str) -> bool:
    """Return whether this model accepts system messages among the messages of a request."""
    return _NO_SYSTEM_MESSAGES.search(model) is None
