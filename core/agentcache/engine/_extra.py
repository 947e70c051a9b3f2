"""Import the packages of the extra `engine` when they are first needed."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from agentcache.errors import MissingExtraError


def engine_package(name: str) -> Any:
    """Return the module of that name, untyped: none of the three types well on 3.10.

    Raises:
        MissingExtraError: the extra `engine` is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError("engine", name) from error


def require_package(name: str) -> None:
    """Raise MissingExtraError unless that package is installed; do not import it."""
    if find_spec(name) is None:
        raise MissingExtraError("engine", name)
