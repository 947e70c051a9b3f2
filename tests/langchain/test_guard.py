"""A tool that a request did not offer is never executed, though the union shows it to the model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from typing import Any

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool
from pydantic import BaseModel

import agentcache
from agentcache import Ledger, loopback
from agentcache.loopback.scripts import _listed_tools

from .programs import BRIEF, quietly
from .test_models import APIS, call, model_of, one_loop
from .test_models import pytestmark as quiet

__all__ = ["one_loop"]

pytestmark = quiet
CALLS = ("invoke", "ainvoke", "stream", "astream")


def reckless(turn: loopback.Turn) -> loopback.Answer:
    """A model that drops the table whenever it is shown how, whatever its prompt says."""
    if turn.response_schema is not None:
        return loopback.Answer('{"fit": true}')
    if turn.forced_tool:
        return loopback.agent(turn)
    tried = str(turn.body).count("drop_table") - turn.tools.count("drop_table")
    if "drop_table" in turn.tools and tried < 8:
        return loopback.Answer("I will.", (loopback.ToolCall("drop_table", {"name": "users"}),))
    return loopback.Answer("All is done.")


@dataclass
class Desk:
    """A provider, a model, and the note of which tools really ran."""

    provider: loopback.Loopback
    api: str
    ran: list[str] = field(default_factory=list[str])

    @property
    def sent(self) -> list[loopback.Logged]:
        return [request for request in self.provider.log if request.api != "other"]

    def model(self, **given: Any) -> Any:
        return model_of(self.provider, self.api, **given)

    def tool(self, name: str, about: str = "") -> StructuredTool:
        ran = self.ran

        def work(name_or_query: str = "", **_more: Any) -> str:
            ran.append(name)
            return f"{name} ran"

        class Given(BaseModel):
            name_or_query: str = ""

        return StructuredTool.from_function(
            work, name=name, description=about or f"Use {name}.", args_schema=Given
        )

    def react(self, tools: list[str], model: Any = None, **options: Any) -> Any:
        prebuilt = pytest.importorskip("langgraph.prebuilt")
        made = [self.tool(name) for name in tools]
        options = {"prompt": "You are the keeper.", "name": "keeper", **options}
        return quietly(prebuilt.create_react_agent, model or self.model(), made, **options)


@pytest.fixture(params=APIS)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with loopback.serve(script=reckless) as provider:
        yield Desk(provider, request.param)


def hiding(desk: Desk) -> Any:
    """Two agents: one may drop tables; a middleware hides that from the other for each request."""
    agents = pytest.importorskip("langchain.agents")
    middleware = pytest.importorskip("langchain.agents.middleware")

    class Hide(middleware.AgentMiddleware):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(self.hidden(request))

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            return await handler(self.hidden(request))

        def hidden(self, request: Any) -> Any:
            return request.override(tools=[t for t in request.tools if t.name != "drop_table"])

    tools = [desk.tool("search_web"), desk.tool("drop_table")]
    return agents.create_agent(
        desk.model(),
        tools,
        system_prompt="You are the reader.",
        middleware=[Hide()],
        name="reader",
    )


async def play(agent: Any, way: str) -> Any:
    """Run an agent on the brief in one of four ways, and return its last message."""
    given, config = {"messages": [HumanMessage(BRIEF)]}, {"recursion_limit": 30}
    if way in ("invoke", "ainvoke"):
        run = agent.with_config(config)
        return (await call(run, way, given))["messages"][-1]
    if way == "stream":
        seen = [message for message, _ in agent.stream(given, config, stream_mode="messages")]
    else:
        stream = agent.astream(given, config, stream_mode="messages")
        seen = [message async for message, _ in stream]
    return reduce(add, [message for message in seen if message.id == seen[-1].id])


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("tools", ["union", "auto"])
async def test_a_hidden_tool_is_never_executed(desk: Desk, way: str, tools: str) -> None:
    agent = hiding(desk)
    agentcache.wrap(agent, layout="fork", **tools_as(tools))
    last = await play(agent, way)
    assert "drop_table" not in desk.ran
    assert desk.sent
    assert last.content


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS)
async def test_without_the_guard_the_hidden_tool_is_executed(desk: Desk, way: str) -> None:
    """The positive control: the union really shows the tool, and the model really calls it."""
    agent = hiding(desk)
    agentcache.wrap(agent, layout="fork", guard=False, **tools_as("union"))
    await play(agent, way)
    assert "drop_table" in desk.ran


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS)
async def test_a_hidden_tool_is_not_shown_without_wrapping(desk: Desk, way: str) -> None:
    await play(hiding(desk), way)
    assert desk.ran == []


def tools_as(wish: str) -> dict[str, Any]:
    """How tools reach the model: as a union in front, or as the model's profile allows."""
    import inspect

    known = "tools" in inspect.signature(agentcache.wrap).parameters
    return {"tools": wish} if known else {}


def pair(desk: Desk, **kept: Any) -> tuple[Any, Any]:
    """Two agents in one union: the keeper may drop tables, the guest has other tools or none."""
    keeper = desk.react(["drop_table"])
    guest = desk.react(kept.pop("tools", []), prompt="You are the guest.", name="guest")
    agentcache.wrap([keeper, guest], **{"layout": "fork", **tools_as("union"), **kept})
    return keeper, guest


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("tools", [[], ["search_web"]], ids=["no tools", "own tools"])
async def test_another_agents_tool_is_refused_and_the_agent_recovers(
    desk: Desk, way: str, tools: list[str]
) -> None:
    keeper, guest = pair(desk, tools=tools)
    last = await play(guest, way)
    assert desk.ran == []
    assert "drop_table" in desk.sent[-1].raw.decode()
    assert not getattr(last, "tool_calls", None)
    assert last.content
    await play(keeper, way)
    assert "drop_table" in desk.ran


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_model_without_tools_that_insists_ends_in_a_text(desk: Desk, way: str) -> None:
    """Nobody could answer the call, so the caller must not get one."""
    forked = agentcache.wrap(desk.model(), layout="fork", **tools_as("union"))
    keeper = forked.bind_tools([desk.tool("drop_table")])
    assert keeper.invoke([("system", "You are the keeper."), ("user", BRIEF)]).tool_calls
    asked = [("system", "You are the guest."), ("user", BRIEF)]
    answers = [forked.invoke(asked)] if way == "invoke" else list(forked.stream(asked))
    assert not any(answer.tool_calls or answer.invalid_tool_calls for answer in answers)
    assert not any(getattr(answer, "tool_call_chunks", None) for answer in answers)
    assert not any("tool_use" in str(answer.content) for answer in answers)
    assert not any("function_call" in str(answer.content) for answer in answers)
    assert any(answer.content for answer in answers)


def test_a_refused_call_is_told_and_keeps_its_id(desk: Desk) -> None:
    """The tool runner answers under the same id, so the next request is a valid one."""
    _, guest = pair(desk, tools=["search_web"])
    messages = guest.invoke({"messages": [HumanMessage(BRIEF)]}, {"recursion_limit": 30})[
        "messages"
    ]
    (called, *_) = [m for m in messages if isinstance(m, AIMessage) and m.tool_calls]
    (refused, *_) = [m for m in messages if isinstance(m, ToolMessage)]
    assert called.tool_calls[0]["id"] == refused.tool_call_id
    assert called.tool_calls[0]["name"] != "drop_table"
    assert refused.status == "error"
    assert all(request.status == 200 for request in desk.sent)


def chatty(turn: loopback.Turn) -> loopback.Answer:
    """A model that calls two tools at once, unless the wire forbids it."""
    if turn.tool_results:
        return loopback.Answer("All is done.")
    mine = _listed_tools(turn)
    choice = turn.body.get("tool_choice")
    kept = isinstance(choice, dict) and choice.get("disable_parallel_tool_use")
    one = turn.body.get("parallel_tool_calls") is False or kept
    calls = [loopback.ToolCall(name, {"name_or_query": "x"}) for name in (*mine, *mine)]
    return loopback.Answer(tool_calls=tuple(calls[: 1 if one else 2]))


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("one", [True, False], ids=["one at a time", "control"])
@pytest.mark.parametrize("api", APIS)
async def test_parallel_tool_calls_false_is_kept(api: str, way: str, *, one: bool) -> None:
    with loopback.serve(script=chatty) as provider:
        desk = Desk(provider, api)
        asked = [("system", "You are the keeper."), ("user", BRIEF)]
        tools = [desk.tool("search_web"), desk.tool("read_page")]
        kept: dict[str, Any] = {"parallel_tool_calls": False} if one else {}
        ledger = Ledger()
        forked = agentcache.wrap(desk.model(), layout="fork", ledger=ledger)
        forked.bind_tools([*tools, desk.tool("drop_table")])
        answer = await call(forked.bind_tools(tools, **kept), way, asked)
        assert len({str(called) for called in answer.tool_calls}) == (1 if one else 2)
        assert {called["name"] for called in answer.tool_calls} <= {"search_web", "read_page"}
        assert all(called["args"] == {"name_or_query": "x"} for called in answer.tool_calls)
        assert not answer.invalid_tool_calls
        assert ledger.calls[0].forked


def test_two_tools_of_one_name_are_refused_and_both_agents_named(desk: Desk) -> None:
    one = desk.react(["search_web"])
    other = desk.tool("search_web")

    def work(url: str, depth: int = 1) -> str:
        return url

    other = StructuredTool.from_function(work, name="search_web", description="Other.")
    prebuilt = pytest.importorskip("langgraph.prebuilt")
    two = quietly(prebuilt.create_react_agent, desk.model(), [other], name="guest", prompt="Hi.")
    with pytest.raises(agentcache.AgentcacheError) as raised:
        agentcache.wrap([one, two], **tools_as("union"))
    assert "search_web" in str(raised.value)
    assert "keeper" in str(raised.value)
    assert "guest" in str(raised.value)
    before = len(desk.sent)
    one.invoke({"messages": [HumanMessage("?")]})
    assert "one worker of a team" not in desk.sent[before].raw.decode()


class Verdict(BaseModel):
    """What a reader thinks."""

    fit: bool


@pytest.mark.parametrize("strategy", ["ProviderStrategy", "ToolStrategy", "plain"])
@pytest.mark.parametrize("tools", ["union", "auto"])
def test_a_response_format_beside_a_union_does_not_raise(
    desk: Desk, strategy: str, tools: str
) -> None:
    agents = pytest.importorskip("langchain.agents")
    ways = pytest.importorskip("langchain.agents.structured_output")
    wish = Verdict if strategy == "plain" else getattr(ways, strategy)(Verdict)

    def script(turn: loopback.Turn) -> loopback.Answer:
        if turn.response_schema is not None:
            return loopback.Answer('{"fit": true}')
        mine = _listed_tools(turn)
        if "Verdict" in mine and turn.forced_tool is not None:
            return loopback.Answer(tool_calls=(loopback.ToolCall("Verdict", {"fit": True}),))
        return loopback.Answer("Done.")

    with loopback.serve(script=script) as provider:
        desk = Desk(provider, desk.api)
        judge = agents.create_agent(
            desk.model(),
            [desk.tool("read_page")],
            system_prompt="You are the judge.",
            response_format=wish,
            name="judge",
        )
        keeper = desk.react(["search_web", "drop_table"])
        plain = judge.invoke({"messages": [HumanMessage(BRIEF)]})["structured_response"]
        agentcache.wrap([judge, keeper], layout="fork", **tools_as(tools))
        for _ in range(2):
            keeper.invoke({"messages": [HumanMessage(BRIEF)]})
            said = judge.invoke({"messages": [HumanMessage(BRIEF)]})
            assert said["structured_response"] == plain == Verdict(fit=True)


def test_strict_tools_beside_a_union_are_parsed(desk: Desk) -> None:
    """OpenAI's own parser refuses a tool that is not strict beside a response format."""
    if desk.api == "anthropic":
        pytest.skip("OpenAI's")
    forked = agentcache.wrap(desk.model(), layout="fork", **tools_as("union"))
    forked.bind_tools([desk.tool("search_web")])
    made: Callable[..., Any] = partial(
        forked.bind_tools, [desk.tool("read_page")], strict=True, response_format=Verdict
    )
    asked = [("system", "You are the judge."), ("user", BRIEF)]
    answer = made().invoke(asked)
    assert answer.additional_kwargs["parsed"] == Verdict(fit=True)
