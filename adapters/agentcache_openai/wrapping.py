"""wrap: clients of an SDK, observed, or forked in place."""

from typing import Any

from agentcache.attach import Attachment, Options
from agentcache.errors import OptionError
from agentcache_openai.forking import Forks
from agentcache_openai.observing import Place, Watch, clients_in, watch_of

__all__ = ["wrap"]


def wrap(x: object, options: Options) -> object:
    """Fork what a client sends, in place, or only record it with `layout="as_is"`.

    A list of clients that are forked shares its parents.
    """
    rest = [client for client in clients_in(x) if watch_of(client) is None]
    if options.layout == "as_is":
        for client in rest:
            Watch(Attachment(options)).begin(client)
        return x
    for client in rest:
        _check_joins(client, options)
    forks = Forks(Attachment(options))
    for client in rest:
        forks.begin(client)
    return x


def _check_joins(client: Any, options: Options) -> None:
    """Refuse a session that none of a client's calls could join."""
    if options.session is None:
        return
    domain, place = options.session.domain, Place.of(client)
    if (domain.base_url, domain.organisation) != (place.url, place.digest):
        raise OptionError(
            f"This session belongs to {domain}, but this {type(client).__name__} calls "
            f"{place.url or 'its provider'} or has other credentials: they share no cache. Wrap it "
            "without session=, or give it that endpoint and key."
        )
