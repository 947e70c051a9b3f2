"""A house with a table that only one may drop, and a model to be reckless."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ToolCallExecutionEvent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.tools import FunctionTool, StaticStreamWorkbench

from agentcache import loopback

from . import play

TOLD = "Nothing was executed."


class Hiding(StaticStreamWorkbench):
    """Offers one of its tools to a model, and knows all when one is to be run.

    AgentChat itself runs no tool that a workbench does not list by then.
    """

    asked = 0

    async def list_tools(self) -> Any:
        """The first one and all, by turns."""
        self.asked += 1
        every = await super().list_tools()
        return every[:1] if self.asked % 2 else every


class House:
    """A reader who may only read, a keeper who may drop the table, and a model to be reckless."""

    def __init__(self, client: Any, *, stream: bool = False, tools: bool = True) -> None:
        self.ran: list[str] = []
        self.client, self.stream = client, stream
        read, drop = self.tool("read_table"), self.tool("drop_table")
        bench = {"workbench": Hiding([read, drop])} if tools else {}
        self.planner = self.agent("planner", **bench)
        self.writer = self.agent("writer", tools=[drop])

    def agent(self, name: str, **options: Any) -> AssistantAgent:
        return AssistantAgent(
            name,
            self.client,
            system_message=play.PROMPTS[name],
            model_client_stream=self.stream,
            **options,
        )

    def tool(self, name: str) -> FunctionTool:
        def work(query: str) -> str:
            self.ran.append(name)
            return f"{name} did {query}"

        return FunctionTool(work, f"Use {name}.", name=name)

    def team(self, turns: int = 1) -> RoundRobinGroupChat:
        return RoundRobinGroupChat([self.planner, self.writer], max_turns=turns)


def reckless(*, insists: bool, name: str = "drop_table", who: str = "planner") -> loopback.Script:
    """One calls a tool that is shown to it, until it is told or for ever."""

    def script(turn: loopback.Turn) -> loopback.Answer:
        told = any(TOLD in said.text for said in turn.texts)
        if play.speaker(turn) == who and name in turn.tools and (insists or not told):
            return loopback.Answer("", (loopback.ToolCall(name, {"query": "users"}),))
        return loopback.Answer(f"Said by the {play.speaker(turn)}.")

    return script


def said(result: Any) -> list[Any]:
    """What was said in a run."""
    return [m.content for m in result.messages if m.type == "TextMessage"]


def results(result: Any) -> list[str]:
    """What came of the tools that were called in a run."""
    events = [m for m in result.messages if isinstance(m, ToolCallExecutionEvent)]
    return [each.content for event in events for each in event.content]
