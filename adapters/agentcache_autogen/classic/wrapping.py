"""wrap, unwrap, attachments: check everything, then put our calls in place of the framework's."""

from collections.abc import Iterator, Sequence

from agentcache.attach import Attachment, Options
from agentcache.errors import NothingToForkError, OptionError
from agentcache_autogen.classic.office import Office, office_of
from agentcache_autogen.classic.places import Cast, find

__all__ = ["attachments", "unwrap", "wrap"]


def wrap(x: object, options: Options) -> object:
    """Fork every agent of a manager, a group chat, a pattern or a list of agents, in place."""
    cast = find(x)
    if not any(agent.client is not None for agent in cast.agents.values()):
        raise NothingToForkError(
            f"This {type(x).__name__} has no agent with an llm_config. Give its agents one first."
        )
    offices = list(_offices(cast))
    for office in offices:
        held = office.attachment.sessions
        if options.session is not None and options.session not in held:
            raise OptionError(
                f"Agents of this {type(x).__name__} are forks of another session already "
                f"({held[0].domain if held else 'none'}). Unwrap it first, or join that session."
            )
    office = offices[-1] if offices else Office(Attachment(options))
    office.take_in(cast)
    return x


def unwrap(x: object) -> object:
    """Put everything back, also what was taken in later."""
    for office in _offices(find(x)):
        office.leave()
    return x


def attachments(x: object) -> Sequence[Attachment]:
    """What `wrap` attached, found through the agents."""
    return [office.attachment for office in _offices(find(x))]


def _offices(cast: Cast) -> Iterator[Office]:
    things = [*cast.agents.values(), *cast.chats.values(), *cast.patterns.values()]
    found = {id(o): o for thing in things if (o := office_of(thing)) is not None}
    yield from found.values()
