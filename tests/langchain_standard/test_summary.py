"""What the standings of a suite have in common; runs after the suites, on what they left."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agentcache import loopback

INTEGRATION = ("TestOpenAIChat", "TestOpenAIResponses", "TestAnthropic")
SUITES = (*INTEGRATION, *(f"{name}Unit" for name in INTEGRATION))
FORKS = pytest.mark.parametrize("standing", ["forked", "beside", "union"])


@FORKS
@pytest.mark.parametrize("suite", SUITES)
def test_every_test_ends_as_with_the_plain_class(outcomes: Any, standing: str) -> None:
    plain = {name: outcome.ended for name, outcome in outcomes("plain").items()}
    assert {name: outcome.ended for name, outcome in outcomes(standing).items()} == plain


@FORKS
@pytest.mark.parametrize("suite", INTEGRATION)
def test_as_many_requests_get_as_many_tool_calls(outcomes: Any, standing: str) -> None:
    plain = {name: outcome.calls for name, outcome in outcomes("plain").items()}
    assert {name: outcome.calls for name, outcome in outcomes(standing).items()} == plain


@pytest.mark.parametrize("suite", INTEGRATION)
def test_the_control_never_forks(outcomes: Any) -> None:
    assert all(each.unforked == len(each.sent) for each in outcomes("plain").values())


@FORKS
@pytest.mark.parametrize("suite", INTEGRATION)
def test_only_what_renders_otherwise_is_left_alone(outcomes: Any, standing: str) -> None:
    """Another model, an output schema and a tool forced once may miss the cache as a fork too."""
    found = outcomes(standing).items()
    left = {name: set(each.left) for name, each in found if each.unforked}
    assert {name: why for name, why in left.items() if not _renders_otherwise(name)} == {}
    assert [name for name, each in found if each.unforked != len(each.left)] == []


@FORKS
@pytest.mark.parametrize("suite", INTEGRATION)
def test_no_fork_carries_an_output_schema(
    outcomes: Any, standing: str, is_forked: Callable[[loopback.Logged], bool]
) -> None:
    """It stands before the tools, or breaks what follows them: all of the fork would be new."""
    found = {name: [r for r in o.sent if is_forked(r)] for name, o in outcomes(standing).items()}
    assert [name for name, forked in found.items() if any(map(_output_schema, forked))] == []


@pytest.mark.parametrize("suite", INTEGRATION)
def test_in_a_union_every_fork_offers_it(outcomes: Any) -> None:
    found = {name: o.sent for name, o in outcomes("union").items() if not _renders_otherwise(name)}
    assert [name for name, sent in found.items() if not all(map(_offers_union, sent))] == []


def _renders_otherwise(name: str) -> bool:
    return any(word in name for word in ("_model_override", "_structured_output", "_json_mode"))


def _output_schema(logged: loopback.Logged) -> Any:
    held = [logged.body.get(key) or {} for key in ("text", "output_config")]
    return logged.body.get("response_format") or next(
        (h["format"] for h in held if "format" in h), None
    )


def _offers_union(logged: loopback.Logged) -> bool:
    offered = json.dumps(logged.body.get("tools"))
    return '"foreign_search"' in offered and '"foreign_archive"' in offered
