"""Where a program comes from: a Python object by its name, or a file of calls."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import FunctionType, MethodType
from typing import cast

from agentcache.errors import OptionError
from agentcache.recordings import read

__all__ = ["program_of"]


def program_of(path: str) -> object:
    """What `module:attribute` names, or a ledger of the calls recorded in a file.

    A function, a class or a partial is called, an awaitable awaited. Modules are found from the
    current folder, too.

    Raises:
        OptionError: there is none.
        MissingExtraError: a cassette in YAML, and PyYAML is not installed.

    """
    if Path(path).is_file():
        return read(path).ledger()
    module, colon, attribute = path.partition(":")
    if not colon:
        raise OptionError(f"{path!r} is neither a file nor a program as module:attribute.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = attrgetter(attribute)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise OptionError(f"{path!r} leads nowhere: {error}.") from error
    if isinstance(found, FunctionType | MethodType | type | partial):
        return _made(cast("Callable[[], object]", found))
    return found


def _made(make: Callable[[], object]) -> object:
    made = make()
    if not isinstance(made, Awaitable):
        return made
    return asyncio.run(_awaited(cast("Awaitable[object]", made)))


async def _awaited(made: Awaitable[object]) -> object:
    return await made
