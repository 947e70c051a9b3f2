"""What agents have in common: for each, the tokens that it shares with the one nearest to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentcache.breaks.texts import first_difference
from agentcache.dialects import dialect_of
from agentcache.ledger import Call
from agentcache.rules import rule_by_id

__all__ = ["Share", "shares_of"]


@dataclass(frozen=True, slots=True)
class Share:
    """What one agent's requests begin with that another's do too, at best.

    `partner` is that other agent; empty where there is none on its model, then `tokens` is 0; an
    agent that is all alone is its own partner. `parts_at` is the block in which they part.
    """

    agent: str
    model: str
    calls: int
    tokens: int
    partner: str
    parts_at: str


def shares_of(calls: Iterable[Call]) -> tuple[Share, ...]:
    """The share of every agent. Tokens are the provider's total, shared out by weight."""
    domains: dict[tuple[str, str, str], dict[str, list[Call]]] = {}
    for call in calls:
        if not call.error and call.sent:
            agents = domains.setdefault((call.session, call.rule_id, call.model), {})
            agents.setdefault(call.agent, []).append(call)
    lonely = sum(map(len, domains.values())) == 1
    return tuple(
        _share(agent, agents, lonely=lonely) for agents in domains.values() for agent in agents
    )


def _share(agent: str, agents: Mapping[str, Sequence[Call]], *, lonely: bool) -> Share:
    mine = agents[agent]
    others = {name: calls for name, calls in agents.items() if name != agent}
    sent = {block.chain: name for name, calls in others.items() for c in calls for block in c.sent}
    near = [calls[0] for calls in others.values()]
    best = Share(agent, mine[0].model, len(mine), 0, next(iter(others), ""), "")
    for call in mine:
        tokens, partner, path = _reach(call, sent, near)
        if tokens > best.tokens or not best.parts_at:
            best = replace(best, tokens=tokens, partner=partner or best.partner, parts_at=path)
        if lonely:
            sent |= {block.chain: agent for block in call.sent}
            best = replace(best, partner=agent if len(mine) > 1 else "")
            near = [call]
    return best


def _reach(call: Call, sent: Mapping[str, str], near: Sequence[Call]) -> tuple[int, str, str]:
    """Tokens of what was sent by others too, who sent it, and where the call goes its own way."""
    whole = sum(block.weight for block in call.sent) or 1
    scale = (call.usage.input_tokens or whole) / whole
    weight, partner = 0, ""
    for n, block in enumerate(call.sent):
        if block.chain not in sent:
            part, who = max(((_within(call, c, n), c.agent) for c in near), default=(0.0, ""))
            weight += round(part * block.weight)
            return round(weight * scale), who if part else partner, block.path
        weight, partner = weight + block.weight, sent[block.chain]
    return round(weight * scale), partner, ""


def _within(call: Call, other: Call, n: int) -> float:
    """The share of a block that another request begins with, where that much can be read.

    Only requests that were kept tell.
    """
    if rule_by_id(call.rule_id).matching == "breakpoint" or len(other.sent) <= n:
        return 0.0
    if n and other.sent[n - 1].chain != call.sent[n - 1].chain:
        return 0.0
    one, two = (_block(c, c.sent[n].path) for c in (call, other))
    return first_difference(one, two) / max(1, len(one))


def _block(call: Call, path: str) -> str:
    request = call.request or {}
    blocks = dialect_of(request).hashed(request) if request else ()
    return next((block.json for block in blocks if block.path == path), "")
