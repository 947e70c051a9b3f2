"""PrefixForkMiddleware: forks for those who would rather add a middleware than call `wrap`.

Needs the package `langchain` (>= 1.0). One instance, given to several agents, is their parent.
"""

import threading
from collections.abc import Awaitable, Callable
from typing import Any

try:
    from langchain.agents.middleware import AgentMiddleware, ModelRequest
except ImportError as error:
    from agentcache.errors import MissingExtraError

    raise MissingExtraError("langchain", "langchain") from error

from langchain_core.language_models.chat_models import BaseChatModel

from agentcache.attach import Attachment
from agentcache.reports import Report, report_on
from agentcache.wrapping import options_of
from agentcache_langchain.recalling import recall_tool
from agentcache_langchain.wrapping import fork_model

__all__ = ["PrefixForkMiddleware"]


class PrefixForkMiddleware(AgentMiddleware[Any, Any]):
    """Send every model call of the agents that hold this middleware as a fork of one parent.

    Takes the options of `agentcache.wrap`. Give one instance to all agents that are to share. Its
    place in the list does not matter: it changes the model that is called, and nothing that another
    middleware adds to a request. Calls that a middleware makes with a model of its own are not
    seen here; `agentcache.wrap(agent)` finds those too.

    Raises:
        OptionError: an option that cannot be had.

    """

    def __init__(self, **options: Any) -> None:
        """Open no session yet: the first call tells which model it is for."""
        super().__init__()
        chosen = options_of(**options)
        self._attachment = Attachment(chosen)
        self.tools = [] if chosen.compact is None else [recall_tool(self._attachment.store)]
        self._forks: dict[int, tuple[BaseChatModel, BaseChatModel]] = {}
        self._lock = threading.Lock()

    @property
    def report(self) -> Report:
        """What was shared so far, and what it cost."""
        return report_on(self._attachment.ledger)

    def wrap_model_call(
        self, request: "ModelRequest[Any]", handler: "Callable[[ModelRequest[Any]], Any]"
    ) -> Any:
        """Call the model's fork instead of the model."""
        return handler(request.override(model=self._fork(request.model)))

    async def awrap_model_call(
        self, request: "ModelRequest[Any]", handler: "Callable[[ModelRequest[Any]], Awaitable[Any]]"
    ) -> Any:
        """Async twin of `wrap_model_call`."""
        return await handler(request.override(model=self._fork(request.model)))

    def _fork(self, model: BaseChatModel) -> BaseChatModel:
        with self._lock:
            found = self._forks.get(id(model))
            if found is None:  # the model is kept with it, so that its id stays its own
                found = self._forks[id(model)] = (model, fork_model(model, self._attachment))
            return found[1]
