"""wrap, unwrap, attachments: check everything, then exchange the model clients."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

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
from agentcache_autogen.agentchat.clients import Seat, forked_copy, seat_of
from agentcache_autogen.agentchat.places import Place, find
from agentcache_autogen.agentchat.wires import Wire, inner_of, wire_of
from agentcache_autogen.grouping import Member, seated

__all__ = ["attachments", "unwrap", "wrap"]


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
    wires = [wire_of(inner_of(place.client)) for place in rest]
    members = [_member(p, w, attachment.options) for p, w in zip(rest, wires, strict=True)]
    for place, wire, stand in zip(rest, wires, seated(members, attachment), strict=True):
        hearing = _hearing(place, attachment.options)
        client = place.client
        seat = Seat(inner_of(client), client, wire, stand, place.name, hearing)
        place.put(forked_copy(place.client, seat))
    if rest:
        attachment.ledger.note(*(f"Not forked: {sentence}" for sentence in outside))
    return x


def unwrap(x: object) -> object:
    """Put every client back."""
    for place in find(x)[0]:
        seat = seat_of(place.client)
        if seat is not None:
            place.put(seat.given)
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


def _member(place: Place, wire: Wire, options: Options) -> Member:
    client: ChatCompletionClient = inner_of(place.client)
    rule = wire.rule(client, options.provider)
    return Member(
        place.name,
        wire.dialect,
        wire.native,
        rule,
        wire.domain(client, rule),
        wire.params(client),
        wire.tools(place.tools) if place.tools else [],
        place.system,
        place.kind,
        place.aside,
        place.handoffs,
    )


def _hearing(place: Place, options: Options) -> Callable[[Sequence[Any]], Awaitable[Hears]]:
    """How the calls of the agent at this place are heard."""
    client, team = place.client, place.team
    vision = bool(_vision(client))
    heard = replace(options, history="own") if place.filtered else options

    async def agent(messages: Sequence[Any]) -> Hears:
        thread = await thread_of(team, vision=vision)
        return agent_hears(messages, thread, place.name, heard)

    async def selector(_messages: Sequence[Any]) -> Hears:
        manager = await manager_of(team)
        kept = await manager._model_context.get_messages()
        history: str = manager.construct_message_history(kept)
        return selector_hears(await thread_of(team, vision=vision), history, options)

    return selector if place.kind == "selector" else agent


def _vision(client: ChatCompletionClient) -> object:
    return client.model_info.get("vision", True)
