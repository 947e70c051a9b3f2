"""Real AgentChat programs, each over model clients that a test makes.

A factory takes `make_client()`, asked once for every agent and manager, and gives a `Program`: what
to wrap, how to run it, which agents speak, which tools run. With a `play.Play` for a
provider's script each runs to its end; its task is `play.TASK`, or `play.BRIEF` to be cached.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_core.memory import ListMemory, MemoryContent
from autogen_core.models import ChatCompletionClient, ModelFamily
from autogen_core.tools import FunctionTool
from autogen_ext.models.openai import OpenAIChatCompletionClient

from agentcache import loopback

from .play import OWN, PARTS, PROMPTS, TASK, TRIO

MakeClient = Callable[[], ChatCompletionClient]

TURNS = 7


@dataclass
class Program:
    """A program to run: which `agents` speak, which `tools` run in a whole run, which `ran`.

    Where agents speak at the same time, the messages of a run are not `ordered`.
    """

    root: Any
    arun: Callable[[], Awaitable[TaskResult]]
    agents: tuple[str, ...]
    tools: tuple[str, ...] = ()
    ran: list[str] = field(default_factory=list[str])
    ordered: bool = True


def openai_client(provider: loopback.Loopback, model: str, **info: Any) -> ChatCompletionClient:
    """A client for OpenAI's API, with what AutoGen knows of gpt-4.1 as model info."""
    return OpenAIChatCompletionClient(
        model=model,
        base_url=provider.openai_url,
        api_key="dummy",
        max_retries=0,
        model_info={**_INFO, "family": ModelFamily.GPT_41, **info},  # type: ignore[typeddict-item]
    )


def anthropic_client(provider: loopback.Loopback, model: str, **info: Any) -> ChatCompletionClient:
    """A client for Anthropic's API."""
    anthropic = pytest.importorskip("autogen_ext.models.anthropic")
    told = {**_INFO, "family": ModelFamily.CLAUDE_4_SONNET, "structured_output": False, **info}
    return anthropic.AnthropicChatCompletionClient(
        model=model, base_url=provider.url, api_key="dummy", max_retries=0, model_info=told
    )


_INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "structured_output": True,
    "multiple_system_messages": True,
}


def client(provider: loopback.Loopback, model: str, **info: Any) -> ChatCompletionClient:
    """A model client of this name; `info` overrides what it says about its model."""
    make = anthropic_client if model.startswith("claude") else openai_client
    return make(provider, model, **info)


@dataclass
class Staff:
    """The agents of a program and the note of which tools ran."""

    make_client: MakeClient
    stream: bool = False
    ran: list[str] = field(default_factory=list[str])

    def agent(self, name: str, *, tool: bool = False, **options: Any) -> AssistantAgent:
        if tool:
            options["tools"] = [self.tool(OWN[name])]
        return AssistantAgent(
            name,
            self.make_client(),
            description=f"The {name}: {PARTS[name][0]}.",
            **{"system_message": PROMPTS[name], "model_client_stream": self.stream, **options},
        )

    def trio(self, *own_tool: str, **options: Any) -> list[Any]:
        return [self.agent(name, tool=name in own_tool, **options) for name in TRIO]

    def tool(self, name: str) -> FunctionTool:
        def work(query: str) -> str:
            self.ran.append(name)
            return f"{name} found 3 notes on {query}"

        return FunctionTool(work, f"Use {name} for one query about the Harbour Line.", name=name)

    def program(self, root: Any, task: str, *agents: str, ordered: bool = True) -> Program:
        async def arun() -> TaskResult:
            result: TaskResult = await root.run(task=task)
            return result

        return Program(root, arun, agents or TRIO, (), self.ran, ordered)


def round_robin(
    make_client: MakeClient, *, task: str = TASK, stream: bool = False, **options: Any
) -> Program:
    """Three agents in turn; `options` are the agents'."""
    staff = Staff(make_client, stream)
    return staff.program(RoundRobinGroupChat(staff.trio(**options), max_turns=TURNS), task)


def round_robin_tools(
    make_client: MakeClient,
    *,
    task: str = TASK,
    stream: bool = False,
    own_tool: Sequence[str] = ("writer",),
    reflect: bool = True,
) -> Program:
    """The same, where some look something up before they speak."""
    staff = Staff(make_client, stream)
    agents = staff.trio(*own_tool, reflect_on_tool_use=reflect)
    program = staff.program(RoundRobinGroupChat(agents, max_turns=TURNS), task)
    program.tools = tuple(OWN[name] for name in own_tool)
    return program


def every_tool(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """The same, where everybody has a tool of its own."""
    return round_robin_tools(make_client, task=task, stream=stream, own_tool=TRIO)


def tool_summary(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """The same, where what the writer's tool found is what the writer says."""
    return round_robin_tools(make_client, task=task, stream=stream, reflect=False)


def selector(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """A model selects who speaks, before every turn."""
    staff = Staff(make_client, stream)
    team = SelectorGroupChat(
        staff.trio(), make_client(), max_turns=TURNS, model_client_streaming=stream
    )
    return staff.program(team, task)


def swarm(
    make_client: MakeClient,
    *,
    task: str = TASK,
    stream: bool = False,
    own_tool: Sequence[str] = (),
) -> Program:
    """Each speaks, then hands over to the next; with its tool's result, where it has a tool."""
    staff = Staff(make_client, stream)
    after = dict(zip(TRIO, (*TRIO[1:], TRIO[0]), strict=True))
    agents = [
        staff.agent(name, tool=name in own_tool, handoffs=[following])
        for name, following in after.items()
    ]
    program = staff.program(Swarm(agents, max_turns=TURNS + 1), task)
    program.tools = tuple(OWN[name] for name in own_tool)
    return program


def swarm_tools(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """The same; the writer's tool runs beside its handoff, which carries the result."""
    return swarm(make_client, task=task, stream=stream, own_tool=("writer",))


def graph_flow(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """The planner, then two at the same time."""
    return _graph(make_client, task, stream, ("writer", "critic"), ())


def graph_join(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """The planner, then three at the same time, then the editor."""
    return _graph(make_client, task, stream, ("writer", "critic", "checker"), ("editor",))


def _graph(
    make_client: MakeClient, task: str, stream: bool, wide: Sequence[str], last: Sequence[str]
) -> Program:
    staff, builder = Staff(make_client, stream), DiGraphBuilder()
    names = ("planner", *wide, *last)
    for name in names:
        builder.add_node(staff.agent(name))
    for name in wide:
        builder.add_edge("planner", name)
        for following in last:
            builder.add_edge(name, following)
    team = GraphFlow(builder.get_participants(), graph=builder.build())
    return staff.program(team, task, *names, ordered=False)


def magentic(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """An orchestrator that plans, asks for progress before every turn, and answers in the end."""
    staff = Staff(make_client, stream)
    return staff.program(MagenticOneGroupChat(staff.trio(), make_client()), task)


def nested(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """The planner in turn with a team of writer and critic; teams take teams from 0.7 on."""
    pytest.importorskip("autogen_agentchat", "0.7")
    staff = Staff(make_client, stream)
    planner, *others = staff.trio()
    inner = RoundRobinGroupChat(others, name="drafting_desk", max_turns=2)
    return staff.program(RoundRobinGroupChat([planner, inner], max_turns=4), task)


def single(
    make_client: MakeClient, *, task: str = TASK, stream: bool = False, **options: Any
) -> Program:
    """One agent, asked twice; `options` are the agent's."""
    staff = Staff(make_client, stream)
    agent = staff.agent("writer", **options)

    async def arun() -> TaskResult:
        first = await agent.run(task=task)
        again = await agent.run(task="Make it shorter, please.")
        return TaskResult(messages=[*first.messages, *again.messages])

    return Program(agent, arun, ("writer",), (), staff.ran)


def memory(make_client: MakeClient, *, task: str = TASK, stream: bool = False) -> Program:
    """The round, where the writer remembers: a system message more at each of its turns.

    AutoGen itself refuses this for Anthropic, and for a model without `multiple_system_messages`.
    """
    staff = Staff(make_client, stream)
    texts = ("The board reads one page.", "The Harbour Line has four ferries.")
    contents = [MemoryContent(content=text, mime_type="text/plain") for text in texts]
    planner, _, critic = staff.trio()
    writer = staff.agent("writer", memory=[ListMemory(memory_contents=contents)])
    return staff.program(RoundRobinGroupChat([planner, writer, critic], max_turns=TURNS), task)


PROGRAMS = (
    round_robin,
    round_robin_tools,
    every_tool,
    tool_summary,
    selector,
    swarm,
    swarm_tools,
    graph_flow,
    graph_join,
    magentic,
    nested,
    single,
    memory,
)
