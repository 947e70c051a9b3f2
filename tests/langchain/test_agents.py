"""Agents share their prefix on the wire, and run as they would without it."""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os.path import commonprefix
from typing import Annotated, Any, TypedDict

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    trim_messages,
)
from langchain_core.tools import BaseTool, StructuredTool

import agentcache
from agentcache import Ledger, loopback
from agentcache.loopback.scripts import _listed_tools

from . import programs
from .programs import BRIEF, ROLES, react_worker
from .test_models import APIS, call, model_of, one_loop

__all__ = ["one_loop"]

CALLS = ("invoke", "ainvoke", "stream", "astream")
SUPERVISED = ("gpt-6-luna", "claude-haiku-5-5")
SHARED = "one worker of a team"
"""From the system text that only a fork carries."""


def once(turn: loopback.Turn) -> loopback.Answer:
    """Call the first tool it may, once in a conversation, then end."""
    mine = _listed_tools(turn)
    if mine and not turn.tool_results:
        return loopback.Answer(tool_calls=(loopback.ToolCall(mine[0], {"query": "tea"}),))
    return loopback.Answer("The memo is done.")


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=once) as made:
        yield made


def tool_of(name: str, ran: list[str] | None = None) -> BaseTool:
    def work(query: str) -> str:
        if ran is not None:
            ran.append(name)
        return f"{name} found 3 notes on {query}"

    return StructuredTool.from_function(work, name=name, description=f"Use {name} on a query.")


def sent(provider: loopback.Loopback) -> list[loopback.Logged]:
    return [request for request in provider.log if request.api != "other"]


def rendered(body: Any) -> str:
    """A request in the order in which the provider reads it: tools, system, messages."""
    parts = [body.get(key) for key in ("tools", "system", "messages", "input")]
    return json.dumps([part for part in parts if part is not None], ensure_ascii=False)


def shares(bodies: Sequence[Any]) -> float:
    """The common beginning of these requests, as a share of the longest."""
    texts = [rendered(body) for body in bodies]
    return len(commonprefix(texts)) / max(map(len, texts))  # noqa: RUF071  (characters are meant)


def uncached(provider: loopback.Loopback) -> int:
    return sum((r.input_tokens or 0) - (r.cached_tokens or 0) for r in sent(provider))


def ask(text: str = BRIEF) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def answers(state: Any) -> list[tuple[str, str, str]]:
    """What a run said, without what differs from run to run."""
    return [(m.type, str(m.name or ""), _text(m)) for m in state["messages"]]


def _text(message: BaseMessage) -> str:
    content: Any = message.content
    blocks = content if isinstance(content, list) else [{"text": content}]
    said = [block.get("text", "") if isinstance(block, dict) else block for block in blocks]
    calls = [f"{c['name']}{c['args']}" for c in getattr(message, "tool_calls", ())]
    return "".join([*said, *calls])


def three(make: Callable[[], Any], **options: Any) -> dict[str, Any]:
    """Three create_agent agents with a prompt and a tool of their own, each on its own model."""
    agents = pytest.importorskip("langchain.agents")
    return {
        name: agents.create_agent(
            make(), [tool_of(own)], system_prompt=prompt, name=name, **options
        )
        for name, (prompt, own) in ROLES.items()
    }


async def run(agent: Any, way: str) -> None:
    if way in ("stream", "astream"):  # messages mode streams the model as well
        options: dict[str, Any] = {"stream_mode": "messages"}
        if way == "stream":
            list(agent.stream(ask(LONG), **options))
        else:
            _ = [piece async for piece in agent.astream(ask(LONG), **options)]
    else:
        await call(agent, way, ask(LONG))


LONG = "\n".join(f"Part {n}.\n{BRIEF}" for n in range(3))
"""About 7,500 tokens: the own part of an agent is small beside it."""


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("api", APIS)
async def test_three_agents_share_their_prefix(
    provider: loopback.Loopback, api: str, way: str
) -> None:
    agents = three(lambda: model_of(provider, api))
    for agent in agents.values():
        await run(agent, way)
    first = [request.body for request in sent(provider)[::2]]
    assert len(first) == 3
    assert shares(first) < 0.2
    provider.reset()
    agentcache.wrap(list(agents.values()))
    for agent in agents.values():
        await run(agent, way)
    first = [request.body for request in sent(provider)[::2]]
    assert len(first) == 3
    assert shares(first) >= 0.95
    assert all((r.cached_tokens or 0) / (r.input_tokens or 1) > 0.9 for r in sent(provider)[1:])


@pytest.mark.parametrize("name", SUPERVISED)
def test_a_supervisors_crew_pays_for_a_third_of_what_it_paid(name: str) -> None:
    with loopback.serve(script=programs.script) as provider:
        api = "anthropic" if name.startswith("claude") else "chat"
        plain, forked = (
            programs.supervisor(lambda: model_of(provider, api, name)) for _ in range(2)
        )
        before = plain.run()
        alone, requests = uncached(provider), len(sent(provider))
        provider.reset()
        agentcache.wrap(forked.root)
        after = forked.run()
        assert len(sent(provider)) == requests
        assert uncached(provider) <= 0.35 * alone
        assert answers(after) == answers(before)
        assert forked.ran == plain.ran == list(plain.tools)


PLAYS = [programs.supervisor, programs.swarm, programs.agents, programs.react]
MODELS = {"gpt-4.1-mini": "chat", "gpt-6-luna": "responses", "claude-haiku-5-5": "anthropic"}


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_a_wrapped_program_says_and_does_the_same(play: Any, name: str) -> None:
    with loopback.serve(script=programs.script) as provider:
        plain, forked = (play(lambda: model_of(provider, MODELS[name], name)) for _ in range(2))
        before = plain.run()
        agentcache.wrap(forked.root)
        after = forked.run()
        assert answers(after) == answers(before)
        assert forked.ran == plain.ran
        again = forked.run()
        assert answers(again) == answers(before)


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_unwrapping_restores_every_request_to_the_byte(play: Any, name: str) -> None:
    with loopback.serve(script=programs.script) as provider:
        program = play(lambda: model_of(provider, MODELS[name], name))
        program.run()
        before = [_without_ids(request.raw) for request in sent(provider)]
        agentcache.unwrap(agentcache.wrap(program.root, layout="fork"))
        provider.reset()
        program.run()
        assert [_without_ids(request.raw) for request in sent(provider)] == before


def _without_ids(raw: bytes) -> str:
    """A request, with its ids numbered in the order in which they occur."""
    found: dict[str, str] = {}
    return _ID.sub(lambda m: found.setdefault(m[0], f"id{len(found)}"), raw.decode())


_ID = re.compile(r"(call|toolu|msg|fc|resp|rs|lc_run)_+[-0-9a-f_]{4,}|[0-9a-f-]{36}")


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_wrapping_twice_sends_the_same_bytes_as_once(play: Any) -> None:
    runs = []
    for times in (1, 2):
        with loopback.serve(script=programs.script) as provider:
            program = play(lambda p=provider: model_of(p, "chat", "gpt-4.1-mini"))
            for _ in range(times):
                agentcache.wrap(program.root)
            program.run()
            port = str(provider.port)
            runs.append([_AFFINITY.sub("ac-", _without_ids(r.raw)) for r in sent(provider)])
            assert not any(port in request for request in runs[-1])
    assert runs[0] == runs[1]


_AFFINITY = re.compile(r"ac-[0-9a-f]{20}")


@pytest.mark.parametrize("api", APIS)
def test_checkpoints_never_hold_the_prefix_and_restarts_go_on(
    provider: loopback.Loopback, api: str
) -> None:
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    saver = memory.MemorySaver()

    def desk() -> Any:
        tools = [tool_of("search_archive")]
        made = react_worker("researcher", model_of(provider, api), tools, checkpointer=saver)
        return agentcache.wrap(made, layout="fork")

    config = {"configurable": {"thread_id": "1"}}
    desk().invoke(ask(), config)
    agent = desk()  # as after a restart: another object, another model, the same thread
    state = agent.invoke(ask("Go on."), config)
    assert [m.content for m in state["messages"] if m.type == "human"] == [BRIEF, "Go on."]
    assert any(SHARED in request.raw.decode() for request in sent(provider))
    kept = str([saved.checkpoint for saved in saver.list(None)]) + str(agent.get_state(config))
    assert SHARED not in kept
    assert "<agent name" not in kept
    last = sent(provider)[-1]
    assert (last.cached_tokens or 0) / (last.input_tokens or 1) > 0.9


@pytest.mark.parametrize("api", APIS)
def test_a_context_is_told_to_every_agent_of_a_program(
    provider: loopback.Loopback, api: str
) -> None:
    """It may be news to them: that sending it costs more is no reason to keep it from them."""
    agents = [
        react_worker(name, model_of(provider, api), [tool_of(ROLES[name][1])])
        for name in ("researcher", "writer")
    ]
    agentcache.wrap(agents, context=[BRIEF])
    for agent in agents:
        agent.invoke(ask("Go on."))
    assert len(sent(provider)) == 4
    assert all(BRIEF[-80:] in request.raw.decode() for request in sent(provider))


@dataclass
class FannedOut:
    """What a fan-out said, and how many of its four calls found a cold cache."""

    memo: str
    cold: int


def fan_out(api: str, **options: Any) -> tuple[FannedOut, FannedOut]:
    """Four reviews at once, left alone and wrapped."""
    runs = []
    with loopback.serve(script=programs.script, latency=loopback.Latency(base_s=0.05)) as provider:
        for wrapped in (False, True):
            provider.reset()
            program = programs.send_map_reduce(lambda: model_of(provider, api))
            if wrapped:
                agentcache.wrap(program.root, **options)
            memo = program.run()["memo"]
            reviews = [r for r in sent(provider) if "You review one pier" in r.raw.decode()]
            assert len(reviews) == 4
            runs.append(FannedOut(memo, sum(not r.cached_tokens for r in reviews)))
    return runs[0], runs[1]


@pytest.mark.parametrize("api", APIS)
def test_a_fan_out_by_send_has_one_cold_call(api: str) -> None:
    alone, wrapped = fan_out(api, context=[BRIEF])
    assert wrapped.memo == alone.memo
    assert wrapped.cold == 1
    assert alone.cold == 4  # the control: all at once, so nobody can read what another writes


@pytest.mark.parametrize("api", APIS)
def test_a_fan_out_by_send_finds_its_brief(api: str) -> None:
    """Nobody named the brief: that it is shared is known from the second call on."""
    alone, wrapped = fan_out(api)
    assert wrapped.memo == alone.memo
    assert wrapped.cold <= 2


@pytest.mark.parametrize("api", APIS)
def test_one_agent_in_two_threads_at_once_keeps_both_apart(
    provider: loopback.Loopback, api: str
) -> None:
    agent = react_worker("researcher", model_of(provider, api), [tool_of("search_archive")])
    other = react_worker("writer", model_of(provider, api), [tool_of("draft_memo")])
    ledger = Ledger()
    agentcache.wrap([agent, other], ledger=ledger)
    questions = [f"{BRIEF}\n\nQuestion {n}." for n in range(12)]
    with ThreadPoolExecutor(6) as pool:
        states = list(pool.map(lambda text: agent.invoke(ask(text)), questions))
    assert [state["messages"][0].content for state in states] == questions
    assert all(len(state["messages"]) == 4 for state in states)
    assert len(ledger.calls) == 24 == len(sent(provider))
    for request in sent(provider):
        assert sum(f"Question {n}." in request.raw.decode() for n in range(12)) == 1


def reckless_loop(turns: int) -> Callable[[loopback.Turn], loopback.Answer]:
    """Call a tool that many times in a row, each call unlike the one before."""

    def script(turn: loopback.Turn) -> loopback.Answer:
        mine, made = _listed_tools(turn), str(turn.body).count("found 3 notes on")
        if mine and made < turns:
            return loopback.Answer(tool_calls=(loopback.ToolCall(mine[0], {"query": f"n{made}"}),))
        return loopback.Answer("The memo is done.")

    return script


@pytest.mark.parametrize("api", APIS)
def test_a_loop_of_forty_turns_goes_on_reading_its_own_turns(api: str) -> None:
    with loopback.serve(script=reckless_loop(40)) as provider:
        agents = [
            react_worker(name, model_of(provider, api), [tool_of(ROLES[name][1])])
            for name in ("researcher", "writer")
        ]
        agentcache.wrap(agents)
        for agent in agents:
            state = agent.invoke(ask(), {"recursion_limit": 200})
            assert len(state["messages"]) == 82
        followers = sent(provider)[1:]
        assert all((r.cached_tokens or 0) / (r.input_tokens or 1) > 0.85 for r in followers)
        if api == "anthropic":
            marks = max(request.raw.decode().count("cache_control") for request in followers)
            assert marks <= 4


@pytest.mark.parametrize("api", APIS)
def test_agents_as_tools_of_an_agent_run_and_share(provider: loopback.Loopback, api: str) -> None:
    """The inner call happens inside a tool of the outer agent, not inside its model call."""
    inner = react_worker("writer", model_of(provider, api), [tool_of("draft_memo")])

    def delegate(query: str) -> str:
        """Ask the writer."""
        return str(inner.invoke(ask(f"{BRIEF}\n\n{query}"))["messages"][-1].content)

    outer = react_worker(
        "researcher", model_of(provider, api), [StructuredTool.from_function(delegate)]
    )
    agentcache.wrap(outer)
    state = outer.invoke(ask())
    assert len(sent(provider)) == 4
    assert "The memo is done." in str(state["messages"][-1].content)
    shared = [(r.cached_tokens or 0) / (r.input_tokens or 1) > 0.5 for r in sent(provider)]
    assert shared.count(True) >= 2


@pytest.mark.parametrize("api", APIS)
def test_a_prompt_with_a_clock_in_it_does_not_move_the_prefix(
    provider: loopback.Loopback, api: str
) -> None:
    ticks = iter(range(1000))

    def prompt(state: Any) -> list[BaseMessage]:
        return [SystemMessage(f"It is {next(ticks)} s past noon."), *state["messages"]]

    tools = [tool_of("search_archive")]
    agent = react_worker("researcher", model_of(provider, api), tools, prompt=prompt)
    other = react_worker("writer", model_of(provider, api), tools)
    agentcache.wrap([agent, other])
    for each in (other, agent, agent):
        each.invoke(ask())
    assert all((r.cached_tokens or 0) / (r.input_tokens or 1) > 0.7 for r in sent(provider)[1:])


@pytest.mark.parametrize("api", APIS)
def test_histories_that_are_cut_are_sent_as_they_were_cut(
    provider: loopback.Loopback, api: str
) -> None:
    """Trimmed, summarised, or with messages removed: what is gone is gone, and nothing breaks."""

    def prompt(state: Any) -> list[BaseMessage]:
        kept = trim_messages(
            state["messages"],
            max_tokens=3,
            token_counter=len,
            strategy="last",
            start_on="human",
            allow_partial=False,
        )
        return [SystemMessage("You are the researcher."), *(kept or state["messages"][-1:])]

    memory = pytest.importorskip("langgraph.checkpoint.memory").MemorySaver()
    agent = react_worker(
        "researcher", model_of(provider, api), [], prompt=prompt, checkpointer=memory
    )
    other = react_worker("writer", model_of(provider, api), [])
    agentcache.wrap([agent, other], layout="fork")
    config = {"configurable": {"thread_id": "1"}}
    for n in range(4):
        state = agent.invoke(ask(f"Question {n}. {BRIEF}"), config)
    last = sent(provider)[-1].raw.decode()
    assert "Question 3." in last
    assert "Question 1." not in last
    removed = [RemoveMessage(m.id) for m in state["messages"][:-2] if m.id]
    agent.update_state(config, {"messages": removed})
    state = agent.invoke(ask("Question 9."), config)
    assert len(state["messages"]) == 4
    assert "Question 0." not in sent(provider)[-1].raw.decode()
    assert isinstance(state["messages"][-1], AIMessage)
    assert all(request.status == 200 for request in sent(provider))


def test_a_summarising_middleware_forks_and_its_summary_is_kept(
    provider: loopback.Loopback,
) -> None:
    agents = pytest.importorskip("langchain.agents")
    middleware = pytest.importorskip("langchain.agents.middleware")
    if not hasattr(middleware, "SummarizationMiddleware"):
        pytest.skip("this langchain has none")
    maker = middleware.SummarizationMiddleware
    sizes: dict[str, Any] = {"trigger": ("messages", 4), "keep": ("messages", 2)}
    if "trigger" not in inspect.signature(maker).parameters:
        sizes = {"max_tokens_before_summary": 4, "messages_to_keep": 2}
    small = maker(model=model_of(provider, "chat"), token_counter=len, **sizes)
    agent = agents.create_agent(
        model_of(provider, "chat"), [tool_of("search_archive")], middleware=[small], name="reader"
    )
    other = react_worker("writer", model_of(provider, "chat"), [tool_of("draft_memo")])
    ledger = Ledger()
    agentcache.wrap([agent, other], ledger=ledger, layout="fork")
    messages: list[Any] = [HumanMessage(BRIEF)]
    for n in range(3):
        messages = agent.invoke({"messages": [*messages, HumanMessage(f"Question {n}.")]})[
            "messages"
        ]
    assert "summary" in str(messages[0].content).lower()
    assert len(ledger.calls) == len(sent(provider))
    assert SHARED not in str(messages)


class _Talk(TypedDict):
    messages: Annotated[list[Any], lambda old, new: [*old, *new]]


def test_a_node_that_streams_shows_the_pieces_it_would_show(provider: loopback.Loopback) -> None:
    """`stream_mode="messages"` sees the pieces of a fork under the node's own name."""
    graphs = pytest.importorskip("langgraph.graph")

    def seen(wrapped: bool) -> list[Any]:
        model = model_of(provider, "chat")

        def scribe(state: _Talk) -> Any:
            return {"messages": [model.invoke(state["messages"])]}

        graph = graphs.StateGraph(_Talk)
        graph.add_node("scribe", scribe)
        graph.add_edge(graphs.START, "scribe")
        made = graph.compile()
        if wrapped:
            agentcache.wrap(made, layout="fork")
        pieces = made.stream(ask(), stream_mode="messages")
        return [(piece.content, told["langgraph_node"]) for piece, told in pieces if piece.content]

    assert seen(wrapped=True) == seen(wrapped=False)
