"""Clients of other classes are forked as far as they let themselves be, and that is said."""

from itertools import pairwise

import pytest
from autogen_agentchat.messages import MultiModalMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import FunctionCall, Image
from autogen_core.models import UserMessage
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.openai import AzureOpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient
from openai import DefaultAsyncHttpxClient

import agentcache
from agentcache import AgentcacheWarning

from . import play, programs, wire
from .measure import transcript
from .scribe import Scribe

ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
unknown = pytest.mark.filterwarnings("ignore:No caching rule:agentcache.AgentcacheWarning")


def texts(messages):
    """Who speaks and what, of the messages that a client was given."""
    return [(type(message).__name__, message.content) for message in messages]


def shared(messages):
    """What stands before the agent's own text."""
    lines = texts(messages)
    return lines[: next(n for n, line in enumerate(lines) if "<agent name=" in line[1])]


async def run(client, factory=programs.round_robin, *, wrap=True, **options):
    team = factory(lambda: client, **options).root
    if wrap:
        agentcache.wrap(team, layout="tail")
    return team, await team.run(task=play.TASK)


async def test_a_client_of_an_unknown_model_is_warned_of():
    with pytest.warns(AgentcacheWarning, match="No caching rule"):
        await run(Scribe())


@unknown
@ways
async def test_a_client_of_the_programs_own_is_forked_in_its_messages(stream):
    client = Scribe()

    team, _ = await run(client, stream=stream)

    assert len(client.heard) == programs.TURNS
    for (before, *_), (after, *_) in pairwise(client.heard):
        known = shared(before)
        assert shared(after)[: len(known)] == known
    notes = " ".join(agentcache.report(team).notes)
    assert "forked in the messages only" in notes


@unknown
@ways
@pytest.mark.parametrize("factory", [programs.round_robin, programs.every_tool, programs.swarm])
async def test_a_client_that_counts_its_answers_goes_on_counting(factory, stream):
    def client():
        call = FunctionCall(id="1", name="read_calendar", arguments='{"query": "tides"}')
        return Scribe(*([[call]] if factory is programs.every_tool else []))

    _, plain = await run(client(), factory, wrap=False, stream=stream)
    _, wrapped = await run(client(), factory, stream=stream)

    assert transcript(wrapped) == transcript(plain)


@unknown
async def test_a_client_of_the_programs_own_gets_the_tools_of_all():
    client = Scribe()

    await run(client, programs.round_robin_tools)

    assert all(names == ["search_archive"] for _, names, _ in client.heard)
    choices = [choice for _, _, choice in client.heard]
    assert choices == ["none", "auto", "none", "none", "auto", "none", "none"]


@unknown
@ways
async def test_an_agent_whose_own_client_calls_anothers_tool_is_told(stream):
    wrong = [FunctionCall(id="1", name="search_archive", arguments='{"query": "tides"}')]
    client = Scribe(wrong)

    _, result = await run(client, programs.round_robin_tools, stream=stream)

    assert "Nothing was executed" in str(client.heard[1][0][-1].content)
    assert result.messages[1].content == "Answer 2."


@unknown
@ways
async def test_replayed_answers_come_in_their_order(stream):
    def client():
        return ReplayChatCompletionClient([f"Line {n}." for n in range(programs.TURNS)])

    _, plain = await run(client(), wrap=False, stream=stream)
    _, wrapped = await run(client(), stream=stream)

    assert transcript(wrapped) == transcript(plain)


@unknown
async def test_answers_that_were_kept_are_given_again_without_a_call(desk):
    inner = desk.client()
    kept = ChatCompletionCache(inner)

    team, first = await run(kept)
    calls = len(desk.bodies)
    await team.reset()
    again = await team.run(task=play.TASK)

    assert calls == len(desk.bodies) == programs.TURNS
    assert transcript(again) == transcript(first)


@unknown
async def test_what_a_kept_answer_used_is_not_counted_again(desk):
    team, _ = await run(ChatCompletionCache(desk.client()))
    total = agentcache.report(team).total
    await team.reset()

    await team.run(task=play.TASK)

    assert agentcache.report(team).total.input_tokens == total.input_tokens


@unknown
async def test_a_client_inside_one_that_keeps_answers_sends_forks(desk):
    await run(ChatCompletionCache(desk.client()))

    for before, body in pairwise(desk.bodies):
        assert wire.is_forked(body)
        known = wire.shared(before)
        assert wire.shared(body)[: len(known)] == known


async def to_the_loopback(request):
    """Azure's addresses name a deployment, which the loopback provider does not know."""
    assert request.url.path.startswith("/openai/deployments/mine/")
    request.url = request.url.copy_with(path="/v1/chat/completions")


@ways
async def test_azures_client_is_forked_as_openais_is(desk, stream):
    client = AzureOpenAIChatCompletionClient(
        model="gpt-4.1-mini",
        azure_endpoint=desk.provider.url,
        azure_deployment="mine",
        api_version="2025-03-01-preview",
        api_key="dummy",
        max_retries=0,
        model_info={**programs._INFO, "family": "gpt-41"},
        http_client=DefaultAsyncHttpxClient(event_hooks={"request": [to_the_loopback]}),
    )
    desk.clients.append(client)

    team, _ = await run(client, programs.selector, stream=stream)

    assert agentcache.session(team).domain.provider == "azure"
    assert len(desk.bodies) == 2 * programs.TURNS
    assert all(wire.is_forked(body) for body in desk.bodies)


@unknown
@pytest.mark.parametrize("vision", [False, True])
async def test_a_client_of_the_programs_own_sees_an_image_if_it_can(vision):
    client = Scribe(vision=vision)
    team = RoundRobinGroupChat(programs.Staff(lambda: client).trio(), max_turns=2)
    agentcache.wrap(team, layout="tail")
    dot = Image.from_uri(play.DOT)

    await team.run(task=MultiModalMessage(content=["Look at this pier.", dot], source="user"))

    for messages, _, _ in client.heard:
        parts = [p for m in messages if isinstance(m, UserMessage) for p in parts_of(m)]
        assert any(isinstance(part, Image) for part in parts) == vision
        assert any("Look at this pier." in part for part in parts if isinstance(part, str))


def parts_of(message):
    return message.content if isinstance(message.content, list) else [message.content]
