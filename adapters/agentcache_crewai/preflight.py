"""CrewAI's count before a call: of the request that will be sent, or answered without asking.

Since crewai 1.15.29 every call, and every tool result, is first compared with the context window.
On OpenAI, Anthropic and Bedrock that asks the provider: one round trip more for each.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agentcache.blocks import estimate_tokens
from agentcache.compaction.pieces import tokens_of
from agentcache.dialects.base import is_list
from agentcache_crewai.hooks import without_flags
from agentcache_crewai.turns import Stand, Turn, previewing, turn_of

__all__ = ["RESULT_SHARE", "counted", "fits", "undeferred"]

_MARGIN: Final = 0.2
RESULT_SHARE: Final = 0.25
"""The share of the window from which CrewAI defers a tool's result."""


def counted(
    llm: Any,
    ask: Callable[..., Any],
    messages: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> int:
    """Count the program's own request, and add what forking adds to it; a bare text as it is.

    Only the addition is estimated, and the share that compaction leaves of it. Asking about the
    fork would send the shared part once more.
    """
    found = int(ask(messages, *args, **kwargs))
    stand: Stand = llm._agentcache
    if turn_of(llm) is not None or not is_list(messages):
        return found
    tools = args[0] if args else kwargs.get("tools")
    left = _share_left(llm, stand, messages, tools)
    return round(found * left + stand.added() * _scale(stand))


def fits(llm: Any, messages: Any, tools: Any) -> bool | None:
    """Whether a request fits the context window, where an estimate is sure of it."""
    stand: Stand = llm._agentcache
    if not _local(stand) or not is_list(messages):
        return None
    turn = _previewed(llm, stand, messages, tools)
    if turn is None or turn.rewrite is None:
        return None
    tokens = sum(p.weight for p in turn.rewrite.sent) * _scale(stand)
    window = llm.get_context_window_size()
    return None if abs(tokens - window) <= _MARGIN * window else tokens < window


def undeferred(llm: Any, text: str) -> int | None:
    """Estimated tokens of a tool's result that CrewAI need not defer; None if it is to be asked.

    Surely short enough, or sent as a placeholder: that is the same in every run, where CrewAI
    would name a file at random.
    """
    stand: Stand = llm._agentcache
    if _is_replaced(stand, text):
        return round(tokens_of(text) * _scale(stand))
    if not _local(stand):
        return None
    tokens = round(estimate_tokens(text) * _scale(stand))
    limit = llm.get_context_window_size() * RESULT_SHARE
    return tokens if tokens < (1 - _MARGIN) * limit else None


def _is_replaced(stand: Stand, text: str) -> bool:
    """Whether compaction sends a placeholder for a result; what is read again was one before."""
    compactor = stand.fork.session.compactor
    if compactor is None or compactor.wish.large is None or not stand.recalls:
        return False
    return tokens_of(text) >= compactor.wish.large


def _local(stand: Stand) -> bool:
    return stand.attachment.options.preflight == "local"


def _previewed(llm: Any, stand: Stand, messages: list[Any], tools: Any) -> Turn | None:
    """The turn of a request that is built, and not sent; None where the class cannot build it."""
    with previewing(llm, stand, messages) as turn:
        turn.offered = bool(tools)
        body = _body(llm, stand, messages, tools)
        if turn.rewrite is None:
            turn.rewritten(body)
        return turn


def _share_left(llm: Any, stand: Stand, messages: list[Any], tools: Any) -> float:
    """The share of an agent's own request that compaction will leave of it, estimated."""
    if stand.fork.session.compactor is None or str(messages[0].get("content")) not in stand.voices:
        return 1.0
    before, after = stand.fork.shrink(_body(llm, stand, messages, tools), ahead=True).tokens
    return after / before if before else 1.0


def _body(llm: Any, stand: Stand, messages: list[Any], tools: Any) -> dict[str, Any]:
    """The request as the class will make it."""
    said = messages if stand.wire.native else without_flags(messages)
    return stand.wire.request(llm, said, tools)


def _scale(stand: Stand) -> float:
    """What the provider last counted for this model, over what we had estimated."""
    session = stand.fork.session.affinity_id
    for call in stand.attachment.ledger.backwards():
        estimated = sum(p.weight for p in call.sent)
        if call.session == session and call.usage.input_tokens and estimated:
            return call.usage.input_tokens / estimated
    return 1.0
