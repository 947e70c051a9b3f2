"""What every test of the classic adapter gets."""

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import agentcache

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import autogen  # noqa: F401 - pyautogen 0.9 warns of itself when it is imported

from . import measure, programs

# It logs for every answer that it does not know the model's price, and prints whatever is said.
for name in ("autogen.oai.client", "ag2.event.processor"):
    logging.getLogger(name).setLevel(logging.CRITICAL)

HERE = Path(__file__).parent
AUTOGENS_OWN = (
    "ignore:Cost calculation not available for model:UserWarning",
    "ignore:`LLMConfig:DeprecationWarning",
    "ignore:The `copy` method is deprecated:DeprecationWarning",
)


@pytest.fixture(scope="session")
def stage() -> Iterator[measure.Stage]:
    """A provider for all tests that run to their end; begin a play on it."""
    with measure.staged() as made:
        yield made


@pytest.fixture(scope="session")
def ran(stage: measure.Stage) -> Callable[..., measure.Ran]:
    """Run a program once for all tests: `ran(programs.auto, model, layout, **options)`.

    Without a layout it is not wrapped. `wishes` are more options of wrap, `entry` adds to the
    config's entry, `twin` runs the asynchronous twin; the other options are the factory's.
    """
    known: dict[Any, measure.Ran] = {}

    def made(
        factory: Callable[..., programs.Program],
        model: str,
        layout: str = "",
        *,
        wishes: tuple[tuple[str, Any], ...] = (),
        entry: tuple[tuple[str, Any], ...] = (),
        twin: bool = False,
        **options: Any,
    ) -> measure.Ran:
        def prepare(program: programs.Program) -> None:
            if layout:
                agentcache.wrap(program.root, layout=layout, **dict(wishes))

        key = (factory, model, layout, wishes, entry, twin, tuple(options.items()))
        if key not in known:
            given = {"stage": stage, "entry": dict(entry), **options}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", agentcache.AgentcacheWarning)
                known[key] = (
                    asyncio.run(measure.arun(factory, model, prepare, **given))
                    if twin
                    else measure.run(factory, model, prepare, **given)
                )
        return known[key]

    return made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for warning in AUTOGENS_OWN:
                item.add_marker(pytest.mark.filterwarnings(warning))
