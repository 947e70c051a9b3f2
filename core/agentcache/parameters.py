"""What a fork sends beside its blocks: parameters and headers, as its rule asks."""

import copy
from typing import Any

from agentcache.dialects import Json
from agentcache.dialects.base import is_json
from agentcache.parent import Parent

__all__ = ["fork_params"]


def fork_params(
    parent: Parent, rest: Json, affinity_id: str, *, loops: bool
) -> tuple[Json, dict[str, str]]:
    """The program's own parameters with the rule's over them, and the headers that go along.

    A call that comes back to its own tail (`loops`) may write it; a single one does not.
    """
    rule, wire = parent.rule, parent.dialect
    out = dict(rest)
    if not loops:
        for key, value in rule.single_shot.items():
            out[key] = _merged(out.get(key), value)
    if parent.mark:  # an automatic mark at the top would write every tail
        out.pop(wire.mark_key, None)
    if parent.ttl != rule.ttl:
        out = {**parent.ttl.sends, **out}
    affinity = rule.affinity_for(wire.name)
    if affinity is None:
        return out, {}
    if affinity.kind == "header":
        return out, {affinity.name: affinity_id}
    return affinity.placed(out, affinity_id), {}


def _merged(asked: Any, ours: Any) -> Any:
    """Our parameter over the program's own, field by field, as a value of its own."""
    if is_json(asked) and is_json(ours):
        return {**asked, **copy.deepcopy(ours)}
    return copy.deepcopy(ours)
