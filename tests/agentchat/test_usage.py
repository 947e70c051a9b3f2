"""What a call used is said where AutoGen says it, with what was read from the cache."""

import logging

import pytest
from autogen_agentchat.messages import TextMessage
from autogen_core import EVENT_LOGGER_NAME
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent
from autogen_core.models import RequestUsage

import agentcache
from agentcache_autogen.agentchat import CachedUsage

from . import play, programs
from .measure import MODELS, calls

ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
models = pytest.mark.parametrize("model", MODELS)


def used(result):
    """The usage on messages, one for each call of an agent."""
    held = [m.models_usage for m in result.messages if m.source != "user"]
    return [usage for usage in held if usage is not None]


@models
@ways
async def test_messages_hold_what_was_read_from_the_cache(ran, model, stream):
    run = await ran(programs.round_robin, model, "tail", task=play.BRIEF, stream=stream)

    held = used(run.result)

    assert [type(usage) for usage in held] == [CachedUsage] * len(run.log)
    assert [usage.prompt_tokens for usage in held] == [r.input_tokens for r in run.log]
    assert [usage.cached_tokens for usage in held] == [r.cached_tokens for r in run.log]
    assert [usage.completion_tokens for usage in held] == [r.output_tokens for r in run.log]
    assert sum(usage.cached_tokens for usage in held) > 0
    wrote = [usage.cache_write_tokens for usage in held]
    assert wrote == [r.cache_write_tokens for r in run.log]


@models
async def test_the_usage_of_a_program_left_as_it_is_is_said_too(ran, model):
    run = await ran(programs.round_robin, model, "as_is", task=play.BRIEF)

    assert [usage.cached_tokens for usage in used(run.result)] == [r.cached_tokens for r in run.log]


def test_cached_usage_is_a_usage_as_autogen_knows_it():
    usage = CachedUsage(1200, 30, 1024)

    assert isinstance(usage, RequestUsage)
    assert (usage.prompt_tokens, usage.completion_tokens) == (1200, 30)
    assert usage.cache_write_tokens is None


@models
async def test_messages_with_their_usage_are_dumped_and_loaded(ran, model):
    run = await ran(programs.round_robin, model, "tail", task=play.BRIEF)

    for message in run.result.messages[1:]:
        loaded = TextMessage.load(message.dump())
        assert loaded.content == message.content
        assert loaded.models_usage.prompt_tokens == message.models_usage.prompt_tokens
        assert TextMessage.model_validate_json(message.model_dump_json()).id == message.id


@models
@ways
async def test_the_programs_own_client_counts_the_calls_of_all_agents(desk, model, stream):
    client = desk.client(model)
    team = agentcache.wrap(desk.team(programs.selector, client, stream=stream), layout="tail")

    await team.run(task=play.BRIEF)

    log = calls(desk.provider)
    total = client.total_usage()
    assert total == client.actual_usage()
    assert total.completion_tokens == sum(r.output_tokens for r in log)
    if not model.startswith("claude"):  # AutoGen's client leaves out what Anthropic read or wrote
        assert total.prompt_tokens == sum(r.input_tokens for r in log)


async def test_a_plain_client_that_streams_is_not_told_what_it_used_and_a_wrapped_one_is(ran):
    plain = await ran(programs.round_robin, "gpt-6-luna", stream=True)
    wrapped = await ran(programs.round_robin, "gpt-6-luna", "tail", stream=True)

    assert sum(usage.prompt_tokens for usage in used(plain.result)) == 0
    assert all(usage.prompt_tokens > 0 for usage in used(wrapped.result))
    assert all(body["stream_options"]["include_usage"] for body in wrapped.bodies)


@models
@ways
async def test_every_call_is_logged_as_autogen_logs_it(desk, caplog, model, stream):
    caplog.set_level(logging.INFO, EVENT_LOGGER_NAME)
    client = desk.client(model)
    team = agentcache.wrap(desk.team(programs.round_robin, client, stream=stream), layout="tail")

    await team.run(task=play.TASK)

    kind = LLMStreamEndEvent if stream else LLMCallEvent
    events = [r.msg for r in caplog.records if isinstance(r.msg, kind)]
    assert len(events) == programs.TURNS
    if not model.startswith("claude"):
        assert [e.prompt_tokens for e in events] == [r.input_tokens for r in calls(desk.provider)]


@models
@ways
async def test_the_report_counts_what_the_provider_counted(ran, model, stream):
    run = await ran(programs.selector, model, "tail", task=play.BRIEF, stream=stream)

    report = agentcache.report(run.program.root)
    total, cached, _ = run.tokens
    assert (report.total.calls, report.total.input_tokens) == (len(run.log), total)
    assert report.total.cached == cached
    agents = {row.agent for row in report.rows}
    assert agents == {*play.TRIO, run.program.root._group_chat_manager_name}
