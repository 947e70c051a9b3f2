"""wrap, unwrap, attachments: check everything, then exchange the model clients."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autogen_agentchat.utils import remove_images
from autogen_core.models import ChatCompletionClient

from agentcache.attach import Attachment, Options
from agentcache.errors import NothingToForkError, OptionError
from agentcache.sdk.turns import Hears
from agentcache_autogen.agentchat.chats import (
    agent_hears,
    manager_of,
    selector_hears,
    thread_of,
)
from agentcache_autogen.agentchat.clients import Hearing, Seat, forked_copy, seat_of
from agentcache_autogen.agentchat.contexts import Window, window_of
from agentcache_autogen.agentchat.places import Place, find
from agentcache_autogen.agentchat.recalling import Recall, may_recall, why_not
from agentcache_autogen.agentchat.wires import Wire, inner_of, wire_of
from agentcache_autogen.grouping import Member, seated
from agentcache_autogen.windows import Pace, announce

__all__ = ["attachments", "hearing_at", "unwrap", "wrap"]


def wrap(x: object, options: Options) -> object:
    """Fork every model client of a team or an agent, in place."""
    places, outside = find(x)
    if not places:
        raise NothingToForkError(
            f"This {type(x).__name__} has no agent with a model client. Give its agents one first."
        )
    _check_free(places, options)
    earlier = attachments(x)
    attachment = earlier[-1] if earlier else Attachment(options)
    rest = [place for place in places if seat_of(place.client) is None]
    compact = attachment.options.compact is not None
    tool = Recall(attachment.store) if compact else None
    wires = [wire_of(inner_of(place.client)) for place in rest]
    members = [_member(p, w, attachment.options, tool) for p, w in zip(rest, wires, strict=True)]
    for place, wire, stand in zip(rest, wires, seated(members, attachment), strict=True):
        hearing = hearing_at(place, attachment.options)
        client = place.client
        seat = Seat(inner_of(client), client, wire, stand, place.name, hearing)
        if tool is not None:
            stand.compacts = not why_not(place.owner, place.tools)
            _say(place, attachment)
            place.compact(tool)
        place.put(forked_copy(place.client, seat))
    if rest:
        attachment.ledger.note(*(f"Not forked: {sentence}" for sentence in outside))
    return x


def unwrap(x: object) -> object:
    """Put every client back, and what compaction has exchanged."""
    for place in find(x)[0]:
        seat = seat_of(place.client)
        if seat is not None:
            place.restore(seat.given)
    return x


def attachments(x: object) -> Sequence[Attachment]:
    """What `wrap` attached, found through the forked clients."""
    seats = [seat for place in find(x)[0] if (seat := seat_of(place.client)) is not None]
    return list({id(s.stand.attachment): s.stand.attachment for s in seats}.values())


def _check_free(places: Sequence[Place], options: Options) -> None:
    """An agent that forks one parent cannot fork another."""
    for place in places:
        seat = seat_of(place.client)
        session = seat.stand.fork.session if seat else None
        if session is not None and options.session not in (None, session):
            raise OptionError(
                f"Agent {place.name!r} is a fork of another session already ({session.domain}). "
                "Unwrap it first, or join that session."
            )


def _say(place: Place, attachment: Attachment) -> None:
    """Say what compaction makes of a place, and what it cannot."""
    reason = why_not(place.owner, place.tools)
    if reason:
        attachment.ledger.note(f"Not compacted: what {place.name}'s tools answer: {reason}.")
    if place.may_steady:
        announce(attachment, place.name, type(place.context).__name__)


def _member(place: Place, wire: Wire, options: Options, tool: Recall | None) -> Member:
    client: ChatCompletionClient = inner_of(place.client)
    rule = wire.rule(client, options.provider)
    tools = list(place.tools)
    if tool is not None and may_recall(place.owner, tools):
        tools.append(tool)
    return Member(
        place.name,
        wire.dialect,
        wire.native,
        rule,
        wire.domain(client, rule),
        wire.params(client),
        wire.tools(tools) if tools else [],
        place.system,
        place.kind,
        "" if tool is not None and place.may_steady else place.aside,
        place.handoffs,
    )


def hearing_at(place: Place, options: Options) -> Hearing:
    """How the calls of the agent at this place are heard."""
    client, team = place.client, place.team
    vision = bool(_vision(client))
    heard = replace(options, history="own") if place.filtered else options
    pace = Pace(place.name)

    async def agent(messages: Sequence[Any]) -> tuple[Hears, str]:
        thread = await thread_of(team, vision=vision)
        window = window_of(place.context)
        hears = agent_hears(messages, thread, place.name, heard, _seen(window, vision=vision))
        return hears, pace.moved(window.gone if window else 0)

    async def selector(_messages: Sequence[Any]) -> tuple[Hears, str]:
        manager = await manager_of(team)
        kept = await manager._model_context.get_messages()
        history: str = manager.construct_message_history(kept)
        thread, window = await thread_of(team, vision=vision), window_of(manager._model_context)
        hears = selector_hears(thread, history, options, _seen(window, vision=vision))
        return hears, pace.moved(window.gone if window else 0)

    return selector if place.kind == "selector" else agent


def _seen(window: Window | None, *, vision: bool) -> Window | None:
    """A window as a client is given its messages."""
    if window is None or vision:
        return window
    return replace(window, messages=remove_images(list(window.messages)))


def _vision(client: ChatCompletionClient) -> object:
    return client.model_info.get("vision", True)
