"""wrap and its kin, with an adapter as a stranger would write one; every error names its cure."""

import importlib.metadata
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

import agentcache
from agentcache.attach import Attachment, Options
from agentcache.errors import (
    AgentcacheError,
    AgentcacheWarning,
    MissingExtraError,
    NothingToForkError,
    OptionError,
    UnknownObjectError,
)
from agentcache.gate import Gate
from agentcache.ledger import Ledger
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.sessions import Session


class Robot:
    """A framework's object, from a package `acme`."""

    __module__ = "acme.robots"

    def __init__(self, models: Sequence[str] = ("gpt-6-luna",)) -> None:
        self.models = models
        self.attachment: Attachment | None = None


class Subclass(Robot):
    """A user's own class."""

    __module__ = "user.code"


def new_session(model: str = "gpt-6-luna") -> Session:
    rule = rule_for(model)
    return Session(freeze("openai.chat", rule, CacheDomain(rule.provider, model)))


def adapter() -> types.ModuleType:
    module = types.ModuleType("acme_agentcache")

    def wrap(x: Robot, options: Options) -> Robot:
        if not x.models:
            raise NothingToForkError("This Robot has no model. Give it one.")
        if x.attachment is None:
            x.attachment = Attachment(options, [new_session(model) for model in x.models])
        return x

    def unwrap(x: Robot) -> Robot:
        x.attachment = None
        return x

    def attachments(x: Robot) -> list[Attachment]:
        return [] if x.attachment is None else [x.attachment]

    module.wrap, module.unwrap, module.attachments = wrap, unwrap, attachments  # type: ignore[attr-defined]
    return module


@pytest.fixture(autouse=True)
def acme(mocker) -> Iterator[None]:
    entry = importlib.metadata.EntryPoint("acme", "acme_agentcache", "agentcache.adapters")
    broken = importlib.metadata.EntryPoint("bare", "bare_agentcache", "agentcache.adapters")
    mocker.patch("agentcache.wrapping.entry_points", return_value=[entry, broken])
    mocker.patch.dict(sys.modules, {"acme_agentcache": adapter()})
    return


def options_of(robot: Robot) -> Options:
    assert robot.attachment is not None
    return robot.attachment.options


def test_an_adapter_is_found_by_the_package_of_the_object() -> None:
    robot = Robot()

    assert agentcache.wrap(robot) is robot
    assert robot.attachment is not None


def test_an_adapter_is_found_for_a_users_own_subclass() -> None:
    assert agentcache.wrap(Subclass()).attachment is not None


@pytest.mark.parametrize("x", [3, "text", None, object(), Robot])
def test_an_object_that_no_adapter_takes_is_refused_naming_the_adapters(x) -> None:
    with pytest.raises(UnknownObjectError, match=r"no adapter for builtins\..*of: acme, bare"):
        agentcache.wrap(x)


def test_without_any_adapter_the_refusal_says_so(mocker) -> None:
    mocker.patch("agentcache.wrapping.entry_points", return_value=[])

    with pytest.raises(UnknownObjectError, match="objects of: no framework"):
        agentcache.wrap(Robot())


def test_a_missing_extra_names_its_install_line(mocker) -> None:
    class Bare:
        __module__ = "bare.models"

    finder = mocker.Mock()
    finder.find_spec.side_effect = MissingExtraError("bare", "bare")
    mocker.patch.object(sys, "meta_path", [finder])

    with pytest.raises(MissingExtraError, match=r"pip install '\.\[bare\]'") as caught:
        agentcache.wrap(Bare())
    assert isinstance(caught.value, ImportError)


def test_an_object_without_models_is_refused() -> None:
    with pytest.raises(NothingToForkError, match="Give it one"):
        agentcache.wrap(Robot(models=()))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"layout": "tree"},
            r"layout='tree' does not exist. Choose 'auto', 'fork', 'tail', 'roster' or 'as_is'",
        ),
        ({"context": "a brief"}, r"context='a brief' is a string; pass a list: context=\[text\]"),
        ({"context": ["a", None]}, r"context\[1\] = None is not a text"),
        ({"context": [""]}, r"context\[0\] = '' is not a text"),
        ({"ledger": "/no/such/folder/calls.jsonl"}, "its folder must exist"),
    ],
)
def test_an_option_that_cannot_be_had_is_refused_with_its_cure(options, says) -> None:
    robot = Robot()

    with pytest.raises(OptionError, match=says):
        agentcache.wrap(robot, **options)
    assert robot.attachment is None


@pytest.mark.parametrize("more", [{"system": "S"}, {"context": ["c"]}, {"ttl": "1h"}])
def test_a_session_and_what_it_already_has_conflict(more) -> None:
    with pytest.raises(OptionError, match="session= already has its system, context and ttl"):
        agentcache.wrap(Robot(), session=new_session(), **more)


def test_the_wishes_reach_the_adapter_checked() -> None:
    gate, ledger = Gate(), Ledger()

    wrapped = agentcache.wrap(
        Robot(), system="S", context=["c"], strict=True, guard=False, gate=gate, ledger=ledger
    )

    wishes = options_of(wrapped)
    assert (wishes.system, wishes.context) == ("S", ("c",))
    assert (wishes.strict, wishes.guard) == (True, False)
    assert (wishes.gate, wishes.ledger) == (gate, ledger)


def test_a_path_becomes_a_ledger(tmp_path) -> None:
    wrapped = agentcache.wrap(Robot(), ledger=tmp_path / "calls.jsonl")

    assert options_of(wrapped).ledger.path == tmp_path / "calls.jsonl"


def test_without_a_wish_the_shared_system_text_is_neutral() -> None:
    assert "one worker of a team" in options_of(agentcache.wrap(Robot())).system


def test_an_empty_system_text_is_a_wish_too() -> None:
    assert options_of(agentcache.wrap(Robot(), system="")).system == ""


def test_unwrap_restores() -> None:
    assert agentcache.unwrap(agentcache.wrap(Robot())).attachment is None


def test_a_with_block_restores_even_after_an_error() -> None:
    robot = Robot()

    with suppress(ZeroDivisionError), agentcache.wrapped(robot, system="S") as forked:
        assert options_of(forked).system == "S"
        _ = 1 / 0

    assert robot.attachment is None


def test_the_session_of_a_wrapped_object_is_at_hand() -> None:
    assert agentcache.session(agentcache.wrap(Robot())).domain.model == "gpt-6-luna"


def test_of_several_sessions_one_is_chosen_by_its_model() -> None:
    robot = agentcache.wrap(Robot(models=("gpt-6-luna", "gpt-4o")))

    assert agentcache.session(robot, model="gpt-4o").domain.model == "gpt-4o"


def test_several_sessions_are_named_with_the_way_to_choose() -> None:
    robot = agentcache.wrap(Robot(models=("gpt-6-luna", "gpt-4o")))

    with pytest.raises(OptionError, match=r"2 sessions.*gpt-6-luna; openai gpt-4o.*model="):
        agentcache.session(robot)


@pytest.mark.parametrize("ask", [agentcache.report, agentcache.session])
def test_what_is_not_wrapped_has_nothing_to_tell(ask) -> None:
    with pytest.raises(NothingToForkError, match=r"not wrapped. Call agentcache\.wrap first"):
        ask(Robot())


def test_every_error_is_also_of_a_standard_type() -> None:
    from agentcache import errors

    found = [getattr(errors, name) for name in errors.__all__]
    warned = [e for e in found if issubclass(e, Warning)]
    ours = [e for e in found if e not in (AgentcacheError, *warned)]

    assert all(issubclass(e, AgentcacheError) and len(e.__mro__) > 4 for e in ours)
    assert all(issubclass(e, AgentcacheWarning) for e in warned)
    assert issubclass(AgentcacheWarning, UserWarning)


@pytest.mark.parametrize(
    ("options", "lost"),
    [
        ({"hoist": False}, "hoist="),
        ({"layout": "as_is"}, "layout="),
        ({"context": ["Another brief."]}, "context="),
        ({"strict": True, "preflight": "local"}, "strict=, preflight="),
        ({"ledger": Ledger()}, "ledger="),
    ],
)
def test_wishes_of_a_second_wrap_are_not_dropped_in_silence(options, lost, tmp_path) -> None:
    robot = agentcache.wrap(Robot(), context=["The brief."], ledger=str(tmp_path / "run.jsonl"))

    with pytest.raises(OptionError, match=f"wrapped already, with other options than {lost}"):
        agentcache.wrap(robot, **options)


def test_what_is_observed_is_not_wrapped_in_silence() -> None:
    robot = agentcache.observe(Robot())

    with pytest.raises(OptionError, match=r"observed, and stays as it is.*agentcache\.unwrap it"):
        agentcache.wrap(robot)
    assert agentcache.observe(robot) is robot
    assert agentcache.wrap(agentcache.unwrap(robot)) is robot


def test_wrapping_again_with_the_same_wishes_or_none_changes_nothing() -> None:
    robot = agentcache.wrap(Robot(), context=["The brief."])

    assert agentcache.wrap(robot) is robot
    assert agentcache.wrap(robot, context=["The brief."]) is robot


def test_hoist_is_a_yes_or_a_no() -> None:
    with pytest.raises(OptionError, match="hoist='no' is neither True nor False"):
        agentcache.wrap(Robot(), hoist="no")  # type: ignore[arg-type]
