"""Worth it? A rough bill of a program as it is and forked, before anything is sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentcache.rules import Rule
from agentcache.sessions import Session
from agentcache.standings import Standing
from agentcache.talks import opening
from agentcache.trunks import Path

__all__ = ["Agent", "Sample", "talk_would_cost_more", "would_cost_more"]

LOOP_CALLS: Final = 3
"""Calls assumed of an agent with tools: two tool calls and the answer."""
_COMPANY: Final = 2
_FRAME: Final = 32
"""Tokens of a tail's frame: the agent's name, and which tools are its own."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation a program will have: its first `request`, and whose it is.

    `writes` says whether the framework marks that request itself, so that it pays for writes.
    """

    name: str
    request: Mapping[str, Any]
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent in a shared history: tokens of its `tools`, its `own` text, what a fork `adds`."""

    tools: int
    own: int
    adds: int = 0


def talk_would_cost_more(session: Session, agents: Sequence[Agent], history: int) -> str:
    """Say why forking agents that talk in one history would cost more; empty if not.

    `history` are the tokens of what they all read first. Estimated as in `would_cost_more`.
    """
    rule, shared = session.parent.rule, session.standing.tokens
    if not rule.billed or len(agents) < _COMPANY:
        return ""
    read, write = rule.read_multiplier, rule.ttl.write_multiplier
    plain = sum(
        _plain(rule, agent.tools + agent.own + history, calls, writes=rule.automatic)
        for agent in agents
        for calls in [LOOP_CALLS if agent.tools else 1]
    )
    trunk = shared + history
    forked = trunk * (write - read)
    for agent in agents:
        calls = LOOP_CALLS if agent.tools else 1
        forked += _forked(rule, trunk, agent.own + agent.adds + _FRAME, calls)
    if trunk < rule.min_tokens or forked <= plain:
        return ""
    return _said(forked, plain)


def would_cost_more(session: Session, samples: Iterable[Sample]) -> str:
    """Say why forking these conversations would cost more than leaving them alone; empty if not.

    Estimated from character classes and the rule's multipliers, with `LOOP_CALLS` calls for an
    agent with tools and one for any other. Only where tokens are billed and forking is possible.
    """
    rule = session.parent.rule
    found = list(samples)
    if not rule.billed or not found:
        return ""
    plain = forked = 0.0
    written: dict[Path, float] = {}
    for sample in found:
        parts = session.parent.dialect.split(sample.request)
        fork = session.fork(sample.name)
        talk = fork.talk(opening(parts), len(parts.messages))
        made = fork.rewrite(sample.request, talk=talk, try_it=True)
        if not made.forked:
            continue
        calls = LOOP_CALLS if made.allowed else 1
        before, after = (sum(p.weight for p in prints) for prints in (made.original, made.sent))
        standing = talk.standing
        trunk = standing.tokens
        plain += _plain(rule, before, calls, writes=rule.automatic or sample.writes)
        forked += _forked(rule, trunk, after - trunk, calls)
        written |= _pieces(session, standing)
    # The first of all writes what the others read.
    forked += sum(written.values()) * (rule.ttl.write_multiplier - rule.read_multiplier)
    if forked <= plain:
        return ""
    return _said(forked, plain)


def _said(forked: float, plain: float) -> str:
    return (
        f"would_cost_more: forked, the input would cost about {forked:,.0f} token equivalents, as "
        f"it is about {plain:,.0f} (estimated). Share more context, or fewer tools; "
        "layout='fork' forks all the same."
    )


def _pieces(session: Session, standing: Standing) -> dict[Path, float]:
    """Tokens of each trunk a conversation stands on, less those of the one it grew from."""
    path = standing.path
    tokens = [session.branch(path[:n]).tokens for n in range(len(path) + 1)]
    own = (more - less for less, more in zip([0, *tokens], tokens, strict=False))
    return {path[:n]: piece for n, piece in enumerate(own)}


def _plain(rule: Rule, tokens: float, calls: int, *, writes: bool) -> float:
    """An agent's own loop: the first call writes, later ones read it, where the rules allow."""
    if tokens < rule.min_tokens or not writes:
        return calls * tokens
    return tokens * rule.ttl.write_multiplier + (calls - 1) * tokens * rule.read_multiplier


def _forked(rule: Rule, trunk: float, tail: float, calls: int) -> float:
    """A follower: it reads the trunk, and writes its tail only if it comes back to it."""
    first = trunk * rule.read_multiplier + tail * (rule.ttl.write_multiplier if calls > 1 else 1.0)
    return first + (calls - 1) * (trunk + tail) * rule.read_multiplier
