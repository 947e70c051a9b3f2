"""Compaction of AgentChat's agents: what arrives on the wire, and what an agent reads again."""

import json
import re
from itertools import pairwise

import pytest
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_core import FunctionCall
from autogen_core.tools import FunctionTool, StaticWorkbench

import agentcache
from agentcache import loopback
from agentcache.compaction import RECALL, MemoryStore, SqliteStore
from agentcache_autogen.agentchat.recalling import Recall

from . import measure, play, wire
from .scribe import Scribe

MODELS = ("gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5")
models = pytest.mark.parametrize("model", MODELS)
ID = re.compile(r"\[compacted tool result (\w+)\]")


def log(day=0):
    """About 40 kB that say something once."""
    lines = [f"{n:04} pier {n % 7}: ferry {day} at {n * 37 % 60:02} past, ok" for n in range(1000)]
    lines[517] += " é ERROR the winter timetable was lost"
    return "\n".join(lines)


def shelf(ran=None):
    """A tool that hands out the log of a day."""

    def read_log(day: int) -> str:
        if ran is not None:
            ran.append(day)
        return log(day)

    return FunctionTool(read_log, "Read the log of a day.", name="read_log")


def writer(client, tools=None, name="writer", **options):
    options = {"max_tool_iterations": 30, "tools": tools or [shelf()], **options}
    return AssistantAgent(name, client, system_message=play.PROMPTS[name], **options)


def critic(client, **options):
    return AssistantAgent("critic", client, system_message=play.PROMPTS["critic"], **options)


def duo(client, **options):
    """One who reads logs, and one who has no tools."""
    return RoundRobinGroupChat([writer(client, **options), critic(client)], max_turns=2)


def reads(days=1, *, again=True):
    """A model that reads logs, then one of them again by its placeholder, then answers."""

    def script(turn):
        if play.speaker(turn) != "writer":
            return loopback.Answer("writer" if play.speaker(turn) == "selector" else "Fine.")
        results = turn.tool_results
        if len(results) < days:
            call = loopback.ToolCall("read_log", {"day": len(results)})
        elif again and len(results) == days and RECALL in turn.tools:
            call = loopback.ToolCall(RECALL, {"id": ID.search(results[0].text)[1]})
        else:
            return loopback.Answer("The log is read.")
        return loopback.Answer(tool_calls=(call,))

    return script


def results(body):
    """What tools have answered, as a request holds it."""
    texts = []
    for message in body["messages"]:
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        texts += [part["content"] for part in parts if part.get("type") == "tool_result"]
        texts += [content] if message["role"] == "tool" else []
    return [t if isinstance(t, str) else "".join(p["text"] for p in t) for t in texts]


def extends(bodies):
    """Whether each request begins with all of the one before."""
    every = [wire.blocks(body) for body in bodies]
    return all(after[: len(before)] == before for before, after in pairwise(every))


def of(bodies, name):
    return [body for body in bodies if wire.is_forked(body) and wire.who(body) == name]


@pytest.fixture
def ledger():
    return agentcache.Ledger()


def quiet(ledger):
    """Whether nothing moved: no step was taken, and no prefix broke."""
    return not any(call.moved or call.broke for call in ledger.calls)


def without_ids(raw):
    """A request without the ids that the provider gave to calls of tools."""
    return re.sub(rb"(call|toolu)_\d+", b"id", raw)


@models
async def test_a_large_result_goes_out_as_a_placeholder_and_is_read_again_in_full(
    desk, ledger, model
):
    desk.begin(reads())
    team = agentcache.wrap(duo(desk.client(model)), layout="tail", compact=True, ledger=ledger)

    await team.run(task=play.BRIEF)

    mine = of(desk.bodies, "writer")
    held = [results(body) for body in mine]
    assert [len(texts) for texts in held] == [0, 1, 2]
    assert held[1][0].startswith("[compacted tool result ")
    assert "518: 0517 pier 6" in held[1][0], "the line that tells how it went"
    assert held[2] == [held[1][0], log()], "byte for byte"
    assert extends(mine)
    assert all(RECALL in wire.names(body) for body in desk.bodies)
    assert quiet(ledger)


@models
async def test_a_streamed_agent_reads_it_again_too(desk, model):
    desk.begin(reads())
    team = duo(desk.client(model), model_client_stream=True)
    agentcache.wrap(team, layout="tail", compact=True)

    await team.run(task=play.BRIEF)

    held = [results(body) for body in of(desk.bodies, "writer")]
    assert held[1][0].startswith("[compacted tool result ")
    assert held[2] == [held[1][0], log()]


@models
async def test_without_compaction_the_full_text_goes_out(desk, model):
    desk.begin(reads())
    team = agentcache.wrap(duo(desk.client(model)), layout="tail")

    await team.run(task=play.BRIEF)

    assert results(of(desk.bodies, "writer")[-1]) == [log()]
    assert not any(RECALL in wire.texts(body) for body in desk.bodies)


@models
async def test_the_framework_keeps_what_its_tools_have_said(desk, model):
    desk.begin(reads())
    team = agentcache.wrap(duo(desk.client(model)), layout="tail", compact=True)

    told = await team.run(task=play.BRIEF)

    said = [m.content for m in told.messages if m.type == "ToolCallExecutionEvent"]
    assert [[result.content for result in each] for each in said] == [[log()], [log()]]


@models
async def test_a_loop_of_twelve_turns_moves_nothing(desk, ledger, model):
    desk.begin(reads(12, again=False))
    team = agentcache.wrap(duo(desk.client(model)), layout="tail", compact=True, ledger=ledger)

    await team.run(task=play.BRIEF)

    mine = of(desk.bodies, "writer")
    assert len(mine) == 13
    assert extends(mine)
    assert [text[:23] for text in results(mine[-1])] == ["[compacted tool result "] * 12
    assert len(set(results(mine[-1]))) == 12
    assert quiet(ledger)
    assert agentcache.session(team).compactor.log.steps == 0


async def test_a_bound_to_what_is_sent_moves_in_few_announced_steps(desk, ledger):
    """With nothing replaced beforehand, and a limit that is reached again and again."""
    desk.begin(reads(12, again=False))
    steps = agentcache.Compaction(large=None, high=40_000, low=15_000, limit=40_000, keep=1)
    team = agentcache.wrap(duo(desk.client()), layout="tail", compact=steps, ledger=ledger)

    await team.run(task=play.BRIEF)

    moved = [call.moved for call in ledger.calls if call.moved]
    assert 1 <= len(moved) <= 6
    assert not any(call.broke for call in ledger.calls)
    assert set(moved) <= set(ledger.notes)


@models
async def test_unwrapped_the_team_sends_what_it_sent_before(desk, model):
    desk.begin(reads())
    team = duo(desk.client(model))
    lists = [id(agent._handoff_tools) for agent in team._participants]
    dumped = [agent.dump_component() for agent in team._participants]
    await team.run(task=play.BRIEF)
    before = list(map(without_ids, desk.raw))
    await team.reset()

    agentcache.wrap(team, layout="tail", compact=True)
    assert [agent.dump_component() for agent in team._participants] == dumped
    agentcache.unwrap(team)

    desk.begin(reads())
    await team.run(task=play.BRIEF)
    assert list(map(without_ids, desk.raw)) == before
    assert [id(agent._handoff_tools) for agent in team._participants] == lists


async def test_wrapping_twice_gives_the_tool_once(desk):
    team = duo(desk.client())
    agentcache.wrap(agentcache.wrap(team, layout="tail", compact=True))

    assert [type(tool) for tool in team._participants[0]._handoff_tools] == [Recall]


async def test_what_went_on_while_it_was_wrapped_is_there_in_full_after(desk):
    desk.begin(reads(again=False))
    team = agentcache.wrap(duo(desk.client()), layout="tail", compact=True)
    await team.run(task=play.BRIEF)
    agentcache.unwrap(team)

    desk.begin(lambda _turn: loopback.Answer("Fine."))
    await team.run(task="Go on.")

    assert results(desk.bodies[0]) == [log()]


@models
async def test_in_a_selector_group_chat_nothing_moves_either(desk, ledger, model):
    desk.begin(reads(2))
    client = desk.client(model)
    members = [writer(client), critic(client)]
    team = SelectorGroupChat(members, client, max_turns=3, allow_repeated_speaker=True)
    agentcache.wrap(team, layout="tail", compact=True, ledger=ledger)

    await team.run(task=play.BRIEF)

    mine = of(desk.bodies, "writer")
    assert results(mine[-1]).count(log()) == 1, "the one that was read again"
    assert all(wire.is_forked(body) for body in desk.bodies)
    shared = [wire.shared(body) for body in desk.bodies]
    assert all(after[: len(known)] == known for known, after in pairwise(shared))
    assert quiet(ledger)


async def test_a_handoff_beside_the_tool_works_as_before(desk):
    def script(turn):
        if play.speaker(turn) == "critic":
            return loopback.Answer("Fine.")
        if not turn.tool_results:
            return loopback.Answer(tool_calls=(loopback.ToolCall("read_log", {"day": 0}),))
        return loopback.Answer(tool_calls=(loopback.ToolCall("transfer_to_critic"),))

    desk.begin(script)
    client = desk.client()
    team = Swarm([writer(client, handoffs=["critic"]), critic(client)], max_turns=3)
    agentcache.wrap(team, layout="tail", compact=True)

    told = await team.run(task=play.BRIEF)

    assert [m.target for m in told.messages if m.type == "HandoffMessage"] == ["critic"]
    assert set(wire.names(desk.bodies[0])) == {"read_log", "transfer_to_critic", RECALL}
    assert extends(of(desk.bodies, "writer"))


async def test_a_workbench_of_the_users_is_left_alone(desk):
    desk.begin(reads())
    bench = [StaticWorkbench([shelf()])]
    client = desk.client()
    agent = AssistantAgent(
        "writer",
        client,
        system_message=play.PROMPTS["writer"],
        workbench=bench,
        max_tool_iterations=5,
    )
    team = RoundRobinGroupChat([agent, critic(client)], max_turns=2)
    dumped = agent.dump_component()
    agentcache.wrap(team, layout="tail", compact=True)

    await team.run(task=play.BRIEF)

    assert agent._workbench is bench
    assert [len(one._tools) for one in bench] == [1]
    assert agent.dump_component() == dumped
    assert results(of(desk.bodies, "writer")[-1])[-1] == log()


async def test_an_agent_without_tools_is_given_none(desk):
    desk.begin(reads())
    team = agentcache.wrap(duo(desk.client()), layout="tail", compact=True)

    await team.run(task=play.BRIEF)

    assert team._participants[1]._handoff_tools == []
    assert of(desk.bodies, "critic")[0]["tool_choice"] == "none"


async def test_a_tool_of_that_name_is_the_agents_own(desk):
    def recall_result(day: int) -> str:
        return log(day)

    desk.begin(lambda _turn: loopback.Answer("Fine."))
    own = FunctionTool(recall_result, "Another matter.", name=RECALL)
    team = agentcache.wrap(duo(desk.client(), tools=[own]), layout="tail", compact=True)

    await team.run(task=play.BRIEF)

    assert team._participants[0]._handoff_tools == []
    notes = agentcache.report(team).notes
    assert any("a tool of its own that is named recall_result" in note for note in notes)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ('{"id": "gone"}', "Error: no result 'gone' is kept. Call its tool again."),
        ("{}", "Error: id is missing. Give the id in the placeholder."),
        ("[3]", "Error: id is missing. Give the id in the placeholder."),
        ('{"id": 7, "lines": {"from": 1}}', "Error: no result '7' is kept. Call its tool again."),
    ],
)
async def test_whatever_a_model_asks_for_it_is_told_how(desk, arguments, answer):
    """AgentChat runs the tools beside its workbenches without a net."""
    agent = writer(desk.client())
    agentcache.wrap(RoundRobinGroupChat([agent, critic(desk.client())]), compact=True)

    call = FunctionCall(id="call_1", name=RECALL, arguments=arguments)
    _, told = await agent._execute_tool_call(
        call, agent._workbench, agent._handoff_tools, "writer", None, None
    )

    assert (told.content, told.is_error) == (answer, False)


async def test_a_store_that_fails_breaks_no_run(desk):
    class Broken(MemoryStore):
        def get(self, content_id):
            raise OSError("the disk is gone")

    agent = writer(desk.client())
    team = RoundRobinGroupChat([agent, critic(desk.client())])
    agentcache.wrap(team, compact=True, store=Broken())

    call = FunctionCall(id="call_1", name=RECALL, arguments='{"id": "x"}')
    _, told = await agent._execute_tool_call(
        call, agent._workbench, agent._handoff_tools, "writer", None, None
    )

    assert "cannot be read now" in told.content


@models
async def test_a_store_on_disk_outlives_the_process(desk, tmp_path, model):
    desk.begin(reads(again=False))
    first = duo(desk.client(model))
    store = SqliteStore(tmp_path / "store.db")
    agentcache.wrap(first, layout="tail", compact=True, store=store)
    await first.run(task=play.BRIEF)
    state = json.loads(json.dumps(await first.save_state(), default=str))
    was = of(desk.bodies, "writer")
    store.close()

    desk.begin(reads(1))
    second = duo(desk.client(model))
    await second.load_state(state)
    store = SqliteStore(tmp_path / "store.db")
    agentcache.wrap(second, layout="tail", compact=True, store=store)
    await second.run(task="Read it again.")
    store.close()

    now = of(desk.bodies, "writer")
    assert results(now[0]) == results(was[-1]), "decided once"
    assert wire.shared(now[0])[: len(wire.shared(was[-1]))] == wire.shared(was[-1])


@pytest.mark.filterwarnings("ignore:No caching rule:agentcache.AgentcacheWarning")
async def test_a_client_of_no_known_class_is_compacted_in_its_messages():
    call = FunctionCall(id="c1", name="read_log", arguments='{"day": 0}')
    client = Scribe([call], "Done.", "Fine.")
    team = agentcache.wrap(duo(client), layout="tail", compact=True)

    await team.run(task=play.BRIEF)

    said = [m for m in client.heard[1][0] if m.type == "FunctionExecutionResultMessage"]
    (result,) = said[0].content
    assert result.content.startswith("[compacted tool result ")
    assert (result.call_id, result.name) == ("c1", "read_log")
    assert RECALL in client.heard[0][1]


@pytest.mark.filterwarnings("ignore:No caching rule:agentcache.AgentcacheWarning")
async def test_a_client_of_no_known_class_gets_the_full_text_without_compaction():
    call = FunctionCall(id="c1", name="read_log", arguments='{"day": 0}')
    client = Scribe([call], "Done.", "Fine.")
    team = agentcache.wrap(duo(client), layout="tail")

    await team.run(task=play.BRIEF)

    said = [m for m in client.heard[1][0] if m.type == "FunctionExecutionResultMessage"]
    assert said[0].content[0].content == log()


async def test_an_agent_without_a_place_for_the_tool_is_told_of(desk, ledger):
    class Own(BaseChatAgent):
        def __init__(self, client):
            super().__init__("surfer", "Runs tools of its own.")
            self._model_client = client

        produced_message_types = ()

        async def on_messages(self, messages, cancellation_token):
            raise NotImplementedError

        async def on_reset(self, cancellation_token):
            raise NotImplementedError

    client = desk.client()
    team = RoundRobinGroupChat([writer(client), Own(client)])
    agentcache.wrap(team, layout="tail", compact=True, ledger=ledger)

    assert "Not compacted: what surfer's tools answer: a Own has no place for recall_result." in (
        ledger.notes
    )
    assert not any("writer" in note for note in ledger.notes if note.startswith("Not compacted"))


def test_measured_alike():
    assert 35_000 < len(log()) < 60_000
    assert measure.MODELS == MODELS
