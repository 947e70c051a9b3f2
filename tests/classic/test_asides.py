"""What stays as the program made it, and that the report says so."""

from types import SimpleNamespace

import pytest
from autogen import ConversableAgent, GroupChatManager
from autogen.agentchat.contrib.capabilities.transform_messages import TransformMessages
from autogen.agentchat.contrib.capabilities.transforms import MessageHistoryLimiter

import agentcache
from agentcache import AgentcacheWarning, loopback

from . import measure, programs, shapes, wire

MODELS = ("gpt-6-luna", "claude-haiku-5-5")
OTHER = {"gpt-6-luna": "gpt-4.1-mini", "claude-haiku-5-5": "claude-sonnet-4-5"}
quiet = pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning")


def limit(agent):
    limiter = MessageHistoryLimiter(max_messages=3)
    TransformMessages(transforms=[limiter], verbose=False).add_to_agent(agent)


def remember(agent):
    agent.register_hook("process_last_received_message", lambda text: f"{text} Mind the tides.")


def hooked(hook):
    def factory(config, *, task=programs.TASK):
        program = programs.round_robin(config, task=task)
        hook(program.team["writer"])
        return program

    return factory


def tail(program):
    agentcache.wrap(program.root, layout="tail")


def passed(run):
    report = agentcache.report(run.program.root)
    return {(row.agent, row.reason.partition(":")[0]): row.calls for row in report.passed_through}


def plain_ones(run):
    return [body for body in run.bodies if not wire.is_forked(body)]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("hook", [limit, remember])
def test_an_agent_with_a_hook_that_changes_messages_sends_what_it_always_sent(stage, model, hook):
    plain = measure.run(hooked(hook), model, stage=stage)
    with pytest.warns(AgentcacheWarning, match="Not forked: writer: transform: its hook"):
        run = measure.run(hooked(hook), model, tail, stage=stage)

    assert run.transcript == plain.transcript
    assert plain_ones(run) == plain.bodies[1::3]
    assert passed(run) == {("writer", "transform"): 2}


@pytest.mark.parametrize("model", MODELS)
def test_a_hook_that_comes_after_wrapping_is_noticed(stage, model):
    def late(program):
        tail(program)
        limit(program.team["writer"])

    run = measure.run(programs.round_robin, model, late, stage=stage)

    assert passed(run) == {("writer", "transform"): 2}


@pytest.mark.parametrize("model", MODELS)
def test_a_hook_that_changes_what_is_sent_to_all_changes_nothing_for_a_fork(stage, model):
    def signing(program):
        tail(program)
        hook = "process_message_before_send"
        program.team["writer"].register_hook(hook, lambda message, **_: f"{message} (signed)")

    run = measure.run(programs.round_robin, model, signing, stage=stage)

    assert not plain_ones(run)
    notes = [text for text in wire.chat(run.bodies[-1]) if text.startswith("[writer]")]
    assert len(notes) == 2
    assert all(text.endswith("(signed)") for text in notes)


@quiet
@pytest.mark.parametrize("model", MODELS)
def test_a_message_that_is_filled_in_as_the_model_is_called_goes_out_as_it_is(stage, model):
    provider = stage.begin(loopback.echo)
    config = programs.llm_config(provider, model, tags=["x"])
    desk = programs._Desk({**config, "allow_format_str_template": True}, programs.TASK)
    writer, critic = desk.agent("writer"), desk.agent("critic")
    agentcache.wrap([writer, critic], layout="tail")

    asked = {"content": "Write about {year}.", "context": {"year": "1999"}}
    writer.initiate_chat(critic, message=asked, max_turns=2, silent=True)

    first, *_ = measure.calls(provider)
    assert not wire.is_forked(first.body)
    assert "Write about 1999." in wire.texts(first.body)
    rows = agentcache.report(writer).passed_through
    assert "template" in {row.reason.partition(":")[0] for row in rows}


def test_calls_of_functions_as_of_2023_go_out_as_they_are(stage):
    provider = stage.begin(loopback.echo)
    desk = programs._Desk(programs.llm_config(provider, "gpt-6-luna"), programs.TASK)
    writer, critic = desk.agent("writer"), desk.agent("critic")
    agentcache.wrap([writer, critic], layout="tail")
    call = {"name": "look_up", "arguments": "{}"}
    said = [
        {"role": "user", "content": programs.TASK},
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "look_up", "content": "Three notes."},
    ]

    critic.generate_reply(said, sender=writer)

    (request,) = measure.calls(provider)
    assert request.body["messages"][1:] == said
    (row,) = agentcache.report(writer).passed_through
    assert row.reason.startswith("function_call")


class Own:
    """A model client of the program's own."""

    def __init__(self, config, **_more):
        self.config = config

    def create(self, params):
        message = SimpleNamespace(content="My own words.", function_call=None, tool_calls=None)
        choice = SimpleNamespace(message=message)
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return SimpleNamespace(id="own", model="own", cost=0, choices=[choice], usage=usage)

    def message_retrieval(self, response):
        return [choice.message.content for choice in response.choices]

    def cost(self, response):
        return 0

    @staticmethod
    def get_usage(response):
        return {**response.usage, "cost": 0, "model": response.model}


def with_own_client(config, *, task=programs.TASK):
    desk = programs._Desk(config, task)
    talking = [desk.agent("planner"), desk.agent("writer")]
    desk.config = {"config_list": [{"model": "own", "model_client_cls": "Own"}]}
    critic = desk.agent("critic")
    critic.register_model_client(model_client_cls=Own)
    desk.config = config
    manager = desk.manager([*talking, critic], 6, speaker_selection_method="round_robin")
    return desk.program(manager, desk.user())


@pytest.mark.parametrize("model", MODELS)
def test_an_agent_with_a_client_of_its_own_speaks_among_forks(stage, model):
    plain = measure.run(with_own_client, model, stage=stage)
    run = measure.run(with_own_client, model, tail, stage=stage)

    assert run.transcript == plain.transcript
    assert not plain_ones(run)
    assert "[critic]: My own words." in wire.chat(run.bodies[-1])
    notes = agentcache.report(run.program.root).notes
    assert any(note.startswith("Not forked: critic: its client is a Own") for note in notes)


def falling_back(config, *, task=programs.TASK):
    programs.check_retries()
    first = config["config_list"][0]
    other = {**first, "model": OTHER[first["model"]]}
    listed = [{**first, "max_retries": 0}, other]
    return programs.round_robin({"config_list": listed}, task=task)


def test_where_the_first_model_fails_the_next_one_is_asked_as_it_always_was(stage):
    def failing(program):
        tail(program)
        stage.provider.fail("500", at=5)

    run = measure.run(falling_back, "gpt-6-luna", failing, stage=stage)

    (request,) = [r for r in run.log if r.model == "gpt-4.1-mini"]
    assert not wire.is_forked(request.body)
    assert len(run.outcome.said) == programs.TURNS + 1
    assert passed(run) == {("writer", "fallback"): 1}
    assert agentcache.report(run.program.root).errors == 1


def two_models(config, *, task=programs.TASK):
    """Two agents on one model, two on another; a round without a model to choose."""
    first = config["config_list"][0]
    desk = programs._Desk(config, task)
    talking = [desk.agent("planner"), desk.agent("writer")]
    desk.config = {"config_list": [{**first, "model": OTHER[first["model"]]}]}
    talking += [desk.agent("critic"), desk.agent("checker")]
    manager = desk.manager(talking, 9, speaker_selection_method="round_robin")
    manager = GroupChatManager(manager.groupchat, llm_config=False, silent=True)
    return desk.program(manager, desk.user())


@pytest.mark.parametrize("model", MODELS)
def test_each_model_has_a_session_of_its_own_and_shares_within_it(stage, model):
    run = measure.run(two_models, model, tail, stage=stage)

    for one in (model, OTHER[model]):
        bodies = [body for body in run.bodies if body["model"] == one]
        assert agentcache.session(run.program.root, model=one).domain.model == one
        known = wire.shared(bodies[0])
        assert all(wire.shared(body)[: len(known)] == known for body in bodies)
    assert any("2 sessions" in note for note in agentcache.report(run.program.root).notes)


def test_as_is_changes_nothing_and_keeps_the_ledger(ran):
    plain, run = (ran(programs.auto_tools_summary, "gpt-6-luna", lay) for lay in ("", "as_is"))

    assert [wire.without_ids(r.raw.decode()) for r in run.log] == [
        wire.without_ids(r.raw.decode()) for r in plain.log
    ]
    assert agentcache.report(run.program.root).total.calls == len(run.log)


def test_an_agent_without_a_model_is_left_alone(stage):
    program = shapes.with_user(programs.llm_config(stage.begin(), "gpt-6-luna"))
    stranger = ConversableAgent("stranger", llm_config=False)

    agentcache.wrap([program.root, stranger])

    assert stranger.client is None
    assert program.team["user"].client is None
