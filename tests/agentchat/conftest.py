"""What every test of the AgentChat adapter gets."""

import json
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import ChatCompletionClient

import agentcache
from agentcache import loopback

from . import measure, play, programs

HERE = Path(__file__).parent
OWN_WARNINGS = (
    # The client expects OpenAI's dated name for gpt-4.1-mini; the loopback answers the one asked.
    "ignore:Resolved model mismatch:UserWarning",
    # The client dumps what it parsed for its log as if it were not parsed.
    "ignore:Pydantic serializer warnings:UserWarning",
)
"""What AutoGen's client warns of by itself."""


@pytest.fixture(scope="session", autouse=True)
async def one_event_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keep one event loop for the run: a team stays on the loop of its first run."""
    yield  # noqa: PT022 - a fixture that yields keeps its loop open


@pytest.fixture(scope="session")
def stage() -> Iterator[measure.Stage]:
    """A provider for all tests that run to their end; begin a play on it."""
    with measure.staged() as made:
        yield made


@pytest.fixture(scope="session")
def ran(stage: measure.Stage) -> Callable[..., Awaitable[measure.Ran]]:
    """Run a program once for all tests: `await ran(programs.swarm, model, layout, **options)`.

    Without a layout it is not wrapped. `wishes` are more options of wrap, `relay` lets agents hand
    over before they speak; the other options are the factory's.
    """
    known: dict[Any, measure.Ran] = {}

    async def made(
        factory: Callable[..., programs.Program],
        model: str,
        layout: str = "",
        *,
        wishes: tuple[tuple[str, Any], ...] = (),
        relay: bool = False,
        **options: Any,
    ) -> measure.Ran:
        def prepare(program: programs.Program) -> None:
            if layout:
                agentcache.wrap(program.root, layout=layout, **dict(wishes))

        key = (factory, model, layout, wishes, relay, tuple(options.items()))
        if key not in known:
            script = play.Play(at_once=relay)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", agentcache.AgentcacheWarning)
                known[key] = await measure.run(
                    factory, model, prepare, script=script, stage=stage, **options
                )
        return known[key]

    return made


class Desk:
    """A play on the provider, and the clients that call it; closed in the end."""

    def __init__(self, stage: measure.Stage) -> None:
        self.stage = stage
        self.provider = stage.begin()
        self.clients: list[ChatCompletionClient] = []

    def begin(self, script: loopback.Script | None = None) -> None:
        """Begin a new play."""
        self.stage.begin(script)

    def client(self, model: str = "gpt-6-luna", **info: Any) -> ChatCompletionClient:
        """A new client."""
        self.clients.append(programs.client(self.provider, model, **info))
        return self.clients[-1]

    def team(
        self,
        factory: Callable[..., programs.Program] = programs.round_robin,
        client: ChatCompletionClient | None = None,
        **options: Any,
    ) -> Any:
        """A program's team on one client."""
        used = client or self.client()
        return factory(lambda: used, **options).root

    @property
    def raw(self) -> list[bytes]:
        """The requests of this play, as received."""
        return [request.raw for request in measure.calls(self.provider)]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The same, read."""
        return [json.loads(raw) for raw in self.raw]

    async def both(
        self,
        build: Callable[[ChatCompletionClient], Any],
        *,
        task: Any = play.TASK,
        script: Callable[[], loopback.Script] | None = None,
        model: str = "gpt-6-luna",
        **info: Any,
    ) -> tuple[list[Any], list[Any], list[dict[str, Any]], Any]:
        """Run a team that `build` makes, plain and wrapped.

        Gives both transcripts, the requests of the wrapped one, and that team.
        """
        told = []
        for layout in ("", "tail"):
            self.begin(script() if script else None)
            team = build(self.client(model, **info))
            if layout:
                agentcache.wrap(team, layout=layout)
            told.append(measure.transcript(await team.run(task=task)))
        return *told, self.bodies, team


@pytest.fixture
async def desk(stage: measure.Stage) -> AsyncIterator[Desk]:
    """A play for one test."""
    made = Desk(stage)
    yield made
    for client in made.clients:
        await client.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(*OWN_WARNINGS))
            item.add_marker(pytest.mark.anyio)
