"""Importing agentcache costs nothing and pulls in nobody's framework."""

import subprocess
import sys

import pytest

import agentcache

HEAVY = {
    "anthropic",
    "autogen",
    "autogen_agentchat",
    "crewai",
    "genai_prices",
    "langchain_core",
    "numpy",
    "openai",
    "pydantic",
    "rich",
    "starlette",
    "uvicorn",
}
FRAMEWORKS = HEAVY - {"pydantic", "rich"}


def loaded_by(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_agentcache_loads_nothing_heavy() -> None:
    assert loaded_by("import agentcache") & HEAVY == set()


def test_using_every_public_name_loads_no_framework() -> None:
    assert loaded_by("from agentcache import *") & FRAMEWORKS == set()


def test_wrapping_a_stranger_loads_no_framework() -> None:
    code = """
import agentcache
try:
    agentcache.wrap(3)
except agentcache.AgentcacheError:
    pass
"""
    assert loaded_by(code) & FRAMEWORKS == set()


def test_the_check_would_notice_a_framework() -> None:
    """Positive control."""
    assert loaded_by("import agentcache, pydantic") & HEAVY == {"pydantic"}


@pytest.mark.parametrize("name", agentcache.__all__)
def test_every_public_name_can_be_had(name) -> None:
    assert getattr(agentcache, name) is not None
    assert name in dir(agentcache)


def test_public_names_are_sorted() -> None:
    assert agentcache.__all__ == sorted(agentcache.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Cache'"):
        _ = agentcache.Cache
