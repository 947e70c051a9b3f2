"""find_break: two requests in, and the first thing that keeps the later one from reading out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from agentcache.blocks import Block, dumps
from agentcache.breaks.cleaning import plain
from agentcache.breaks.edits import field_of
from agentcache.breaks.found import Found, of_leaf, short
from agentcache.breaks.leaves import Leaf, first_leaf
from agentcache.breaks.losses import (
    at_most,
    in_common,
    lost_with,
    money_of,
    rendered,
    shared_of,
    was_read,
)
from agentcache.breaks.marks import in_marks, only_marked
from agentcache.breaks.spellings import as_written, spelled_out
from agentcache.breaks.summaries import is_summary, without_summed
from agentcache.breaks.talk import agent_of, in_messages, is_another, messages_of
from agentcache.breaks.timing import in_time, lifetimes, weight_of
from agentcache.breaks.tools import in_tools
from agentcache.breaks.values import CacheBreak
from agentcache.breaks.vendors import merged, unasked, verdict_in
from agentcache.dialects import Dialect, dialect, dialect_of
from agentcache.dialects.base import Sent, is_json
from agentcache.dialects.objects import as_json
from agentcache.errors import OptionError
from agentcache.rules import Rule, rule_for
from agentcache.usage import Usage

__all__ = ["compare", "find_break", "own_text"]

_OWN_TEXT: Final = re.compile(r'<agent name=\\"(.*?)\\">')
_HEADERS: Final = ("extra_headers", "headers", "default_headers")
_AFFINITY: Final = ("prompt_cache_key", "user", "safety_identifier", "session_id", "x-session-id")
_SYSTEM: Final = ("system", "developer")
_NOT_PARAMS: Final = (
    *("tools", "system", "instructions", "messages", "input", "prompt_cache_key", "model"),
    *("modelId", "betas", "prompt_cache_options", "previous_response_id", "conversation"),
)


def find_break(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    provider: str | None = None,
    idle_s: float | None = None,
    before_usage: Mapping[str, Any] | Usage | None = None,
    after_usage: Mapping[str, Any] | Usage | None = None,
    after_answer: object = None,
    agent: str = "",
) -> CacheBreak | None:
    """Say what keeps `after` from reading what `before` wrote; None if nothing does.

    Both are wire requests, as an SDK sends them. Growth, sibling forks, rolling marks and free
    parameters are healthy. From the bytes alone only what moved is told; with usage payloads or
    `idle_s`, the seconds between the calls, misses are told too that bytes cannot show.
    `after_answer` is the whole answer to `after`, as JSON or an SDK's object: its usage, and what
    the provider says that it edited in the context by itself.

    Raises:
        OptionError: a request of no known shape, or a `provider` that no row names.

    """
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError("find_break compares two requests: two dicts, as an SDK sends them.")
    told = after_usage if after_usage is not None else as_json(field_of(after_answer, "usage"))
    usages = (_usage(before_usage), _usage(told))
    try:
        found = _found((as_json(before), as_json(after)), provider, idle_s, usages, agent)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, OptionError):
            raise
        found = _found((plain(before), plain(after)), provider, idle_s, usages, agent)
    return merged(found, unasked(verdict_in(after_answer)), agent=agent, extends=False)


def _found(
    requests: tuple[Mapping[str, Any], Mapping[str, Any]],
    provider: str | None,
    idle_s: float | None,
    usages: tuple[Usage | None, Usage | None],
    agent: str,
) -> CacheBreak | None:
    before, after = requests
    rule = rule_for(_model(after) or _model(before), provider=provider)
    return compare(_wire(before, after), rule, requests, usages, idle_s=idle_s, agent=agent)


def compare(
    wire: Dialect,
    rule: Rule,
    requests: tuple[Mapping[str, Any], Mapping[str, Any]],
    usages: tuple[Usage | None, Usage | None],
    *,
    idle_s: float | None = None,
    agent: str = "",
) -> CacheBreak | None:
    """`find_break` where dialect and rule are known."""
    before, after = without_summed(wire, *requests), requests[1]
    spelled = (_spelled(wire, before), _spelled(wire, after))
    found = _compare(wire, rule, spelled, usages, idle_s, agent)
    if found is None:
        return None
    return found.model_copy(update={"path": as_written(found.path, after)})


def _spelled(wire: Dialect, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request in full; what is kept is so already."""
    return request if isinstance(request, Sent) else spelled_out(wire, request)


def _compare(
    wire: Dialect,
    rule: Rule,
    requests: tuple[Mapping[str, Any], Mapping[str, Any]],
    usages: tuple[Usage | None, Usage | None],
    idle_s: float | None,
    agent: str,
) -> CacheBreak | None:
    before, after = requests
    one, other = wire.hashed(before), wire.hashed(after)
    found = _in_bytes(wire, rule, requests, (one, other))
    if found is not None and found.section in ("messages", "system"):
        found = None if _was_a_tail(found, rule, before, one, other) else found
    total = weight_of(other)
    shared = shared_of(one, other)
    tokens = in_common(shared, one, total, usages)
    if found is None:
        found = _in_headers(rule, before, after)
        found = None if was_read(found, rule, tokens, usages[1]) else found
    chained = any(after.get(name) for name in ("previous_response_id", "conversation"))
    again = usages[1] is None and before == after
    if found is None and not chained and not again:
        found = in_marks(wire, rule, requests, rendered(one), rendered(other))
        found = None if was_read(found, rule, tokens, usages[1]) else found
    source = "bytes"
    if found is None and rule.matching != "none" and not chained:
        lives = lifetimes(wire, rule, before, rendered(one), len(shared))
        found = in_time(rule, tokens, idle_s, usages, lives)
        source = "bytes" if found is None else "usage"
    if found is None:
        return None
    if found.relation == "follows" and len({agent_of(wire, r) for r in requests}) > 1:
        found = replace(found, relation="sibling")
    grown = len(shared) == len(rendered(one))
    if found.section in ("marks", "time", "usage") and not grown:
        found = replace(found, relation="sibling")
    lost = at_most(lost_with(found, rule, one, other, usages[1], total), usages[1])
    return CacheBreak(
        relation=found.relation,
        section=found.section,
        path=found.path,
        kind=found.kind,
        offset=found.offset,
        before=found.before,
        after=found.after,
        level="messages" if found.section == "messages" else found.level,
        source="usage" if source == "usage" else "bytes",
        tokens_lost=lost,
        money_lost=money_of(rule, _model(after), lost),
        agent=agent,
        note=found.note,
    )


def _wire(before: Mapping[str, Any], after: Mapping[str, Any]) -> Dialect:
    """The dialect of both; the later one decides where they differ."""
    try:
        return dialect_of(after)
    except OptionError:
        if not before:
            raise
    try:
        return dialect_of(before)
    except OptionError:
        return dialect("openai.chat")


def _model(request: Mapping[str, Any]) -> str:
    return str(request.get("model") or request.get("modelId") or "")


def _usage(payload: Mapping[str, Any] | Usage | None) -> Usage | None:
    if payload is None or isinstance(payload, Usage):
        return payload
    try:
        return Usage.from_payload(payload)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Usage()


def _in_bytes(
    wire: Dialect,
    rule: Rule,
    requests: tuple[Mapping[str, Any], Mapping[str, Any]],
    blocks: tuple[Sequence[Block], Sequence[Block]],
) -> Found | None:
    """The first change in the order in which the provider hashes a request."""
    before, after = requests
    params = _in_params(wire, rule, before, after)
    if params is not None and params.level == "all":
        return params
    tools = in_tools(wire, _rows(wire.tools_of(before)), _rows(wire.tools_of(after)))
    if tools is not None:
        return tools
    system = _in_system(wire, before, after)
    if system is not None:
        return _related(wire, requests, system)
    if after.get("previous_response_id") or after.get("conversation"):
        return params  # what was said before is with the server
    one, other = (messages_of(wire, r, b) for r, b in zip(requests, blocks, strict=True))
    shared = bool(one and other) and one[0].key == other[0].key
    found = (params if shared else None) or in_messages(wire, one, other)
    return _related(wire, requests, found) if found is not None else None


def _related(
    wire: Dialect, requests: tuple[Mapping[str, Any], Mapping[str, Any]], found: Found
) -> Found:
    """Whether a system text that was edited is not the same agent's any more."""
    if found.kind != "text_edit" or found.section != "system":
        return found
    one, other = ("\n\n".join(map(str, wire.split(request).system)) for request in requests)
    return replace(found, relation="replaces") if is_another(one, other) else found


def _was_a_tail(
    found: Found,
    rule: Rule,
    before: Mapping[str, Any],
    one: Sequence[Block],
    other: Sequence[Block],
) -> bool:
    """Whether all that changed stood behind the last place that was written: nothing is lost."""
    blocks = rendered(one)
    shared = len(shared_of(one, other))
    if is_summary(found):  # it stands for all that was said, though that may be sent once more
        rows = ((n, b) for n, b in enumerate(blocks) if b.section == "messages")
        said = (n for n, b in rows if b.role not in _SYSTEM)
        shared = min(shared, next(said, shared))
    mine, theirs = (own_text(made[shared : shared + 1]) for made in (blocks, rendered(other)))
    if mine and mine != theirs:
        return True
    if not rule.marks or (rule.automatic and not only_marked(before)):
        return False
    if rule.mark_key in before:  # a mark of the request itself stands at its end
        return False
    marked = [n for n, block in enumerate(blocks) if block.mark]
    return bool(marked) and marked[-1] < shared


def own_text(blocks: Sequence[Block]) -> str:
    """The agent whose own text the first block is; empty for any other block, or none."""
    found = _OWN_TEXT.search(blocks[0].json) if blocks else None
    return found[1] if found else ""


def _rows(tools: Any) -> list[Any]:
    return list(tools) if isinstance(tools, list | tuple) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _in_params(
    wire: Dialect, rule: Rule, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Found | None:
    """A rendering parameter that changed; those that move everything first."""
    if _model(before) != _model(after):
        key = "modelId" if "modelId" in after else "model"
        return Found("model", "params", key, None, _model(before), _model(after))
    late: Found | None = None
    for name in dict.fromkeys((*rule.frozen(wire.rendered), *rule.messages_level)):
        if name in _NOT_PARAMS or name in _named(rule) or name == "user":
            continue
        one, other = before.get(name), after.get(name)
        if dumps(one) == dumps(other):
            continue
        later = name in rule.messages_level
        leaf = first_leaf(one, other) or Leaf("", one, other, "value")
        path = f"{name}.{leaf.path}" if leaf.path else name
        sides = (short(leaf.before), short(leaf.after))
        found = Found("param", "params", path, None, *sides, level="messages" if later else "all")
        if not later:
            return found
        late = late or found
    return late


def _in_system(wire: Dialect, before: Mapping[str, Any], after: Mapping[str, Any]) -> Found | None:
    """The first change in system text that stands apart from the messages."""
    key = {"anthropic.messages": "system", "openai.responses": "instructions"}.get(wire.name)
    key = "system" if wire.name == "bedrock.converse" else key
    if key is None:
        return None
    old, new = before.get(key), after.get(key)
    if isinstance(old, str) and isinstance(new, str):
        return _in_text(key, old, new)
    one, other = _texts(old, wire), _texts(new, wire)
    if len(one) > 1 and one != other and sorted(map(dumps, one)) == sorted(map(dumps, other)):
        at = next(n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
        return Found("order", "system", f"{key}[{at}]")
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        leaf = first_leaf(a, b)
        if leaf is not None:
            whole = isinstance(after.get(key), str)
            return of_leaf(leaf, "system", key if whole else f"{key}[{n}]", "text_edit")
    if len(one) == len(other):
        return None
    n = min(len(one), len(other))
    sides = (short(_bare(one[n:])), short(_bare(other[n:])))
    return Found("text_edit", "system", f"{key}[{n}]", None, *sides)


def _in_text(key: str, old: str, new: str) -> Found | None:
    leaf = first_leaf(old, new)
    return of_leaf(leaf, "system", key, "text_edit") if leaf is not None else None


def _bare(rest: list[Any]) -> Any:
    return rest[0].get("text") if rest and is_json(rest[0]) else rest


def _texts(system: Any, wire: Dialect) -> list[Any]:
    """System text as parts without marks."""
    if isinstance(system, str):
        return [{"text": system}] if system else []
    held = _rows(system)
    return [{k: v for k, v in p.items() if k != wire.mark_key} if is_json(p) else p for p in held]


def _in_headers(rule: Rule, before: Mapping[str, Any], after: Mapping[str, Any]) -> Found | None:
    """What decides where a request lands, or how its head is read."""
    names = [*_named(rule), *(["user"] if "user" in rule.freeze else [])]
    for name in dict.fromkeys(names):
        one, other = _at(before, name), _at(after, name)
        if one != other:
            return Found("affinity", "headers", name, None, short(one), short(other))
    one, other = _headers(before), _headers(after)
    for name in sorted({*one, *other}):
        old, new = one.get(name, ""), other.get(name, "")
        if old == new:
            continue
        if name.endswith("-beta") or name == "betas":
            if set(old.split(",")) != set(new.split(",")):
                return Found("beta_headers", "headers", name, None, old, new)
        elif name in _AFFINITY or "affinity" in name or name in _named(rule):
            return Found("affinity", "headers", name, None, old, new)
    return None


def _named(rule: Rule) -> list[str]:
    every = [*rule.affinities, *([rule.affinity] if rule.affinity else [])]
    return [a.name for a in every]


def _at(request: Mapping[str, Any], path: str) -> Any:
    value: Any = request
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value  # pyright: ignore[reportUnknownVariableType]


def _headers(request: Mapping[str, Any]) -> dict[str, str]:
    betas: Any = request.get("betas")
    listed = cast("Sequence[Any]", betas) if isinstance(betas, list | tuple) else [betas]
    out = {"betas": ",".join(map(str, listed))} if betas else {}
    for key in _HEADERS:
        held = request.get(key)
        if is_json(held):
            out |= {str(k).lower(): str(v) for k, v in held.items()}
    return out
