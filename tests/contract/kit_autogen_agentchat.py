"""AgentChat's kit for the contract suite: three agents in a graph."""

import asyncio
import atexit
import warnings
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow
from autogen_core.models import ChatCompletionClient, ModelFamily
from autogen_core.tools import FunctionTool, StaticStreamWorkbench
from autogen_ext.models.openai import OpenAIChatCompletionClient

from agentcache.demo.scenario import Endpoint

executed: list[str] = []
"""Names of the tools that really ran."""

_briefs: WeakKeyDictionary[GraphFlow, str] = WeakKeyDictionary()
_loop = asyncio.new_event_loop()  # a team stays on the event loop of its first run
atexit.register(_loop.close)


def search_notes(query: str) -> str:
    """Search the notes."""
    executed.append("search_notes")
    return f"note on {query}"


def delete_everything(confirm: str) -> str:
    """Delete all notes; only the analyst may."""
    executed.append("delete_everything")
    return f"deleted ({confirm})"


PROMPTS = {
    "researcher": "You are the researcher. Thorough, you find facts.",
    "analyst": "You are the analyst. Strict, you clean up.",
    "writer": "You are the writer. Eloquent, you write.",
}


def program(
    endpoint: Endpoint, brief: str, *, parallel: bool = False, stream: bool = False
) -> GraphFlow:
    """Three workers on one brief: a researcher, an analyst with other tools, a writer without."""
    client = _client(endpoint)
    tools = {"researcher": [search_notes], "analyst": [delete_everything], "writer": []}
    researcher, analyst, writer = (
        AssistantAgent(
            name,
            client,
            tools=_tools(tools[name]),
            system_message=PROMPTS[name],
            reflect_on_tool_use=True,
            model_client_stream=stream,
        )
        for name in PROMPTS
    )
    builder = DiGraphBuilder().add_node(researcher).add_node(analyst).add_node(writer)
    if parallel:
        builder.add_edge(researcher, writer)
    else:
        builder.add_edge(researcher, analyst)
    builder.add_edge(analyst, writer)
    team = GraphFlow(builder.get_participants(), graph=builder.build())
    _briefs[team] = brief
    return team


def run(team: GraphFlow) -> str:
    """Run the program and return its answer."""
    with warnings.catch_warnings():
        # The client expects OpenAI's dated name; the loopback answers with the one asked.
        warnings.filterwarnings("ignore", "Resolved model mismatch", UserWarning)
        return _loop.run_until_complete(_run(team))


def give_all_tools_to_everyone(team: GraphFlow) -> None:
    """The naive union: what a guard protects from."""
    for agent in team._participants:
        agent._workbench = [StaticStreamWorkbench(_tools([search_notes, delete_everything]))]


async def _run(team: GraphFlow) -> str:
    await team.reset()
    result = await team.run(task=_briefs[team])
    await asyncio.sleep(0)  # lets the last connection close
    said = [m for m in result.messages if isinstance(m, TextMessage) and m.source == "writer"]
    return said[-1].content


def _tools(functions: Sequence[Any]) -> list[Any]:
    return [FunctionTool(work, work.__doc__, strict=False) for work in functions]


def _client(endpoint: Endpoint) -> ChatCompletionClient:
    info: dict[str, Any] = {
        "vision": False,
        "function_calling": True,
        "json_output": True,
        "structured_output": True,
        "family": ModelFamily.UNKNOWN,
    }
    options: dict[str, Any] = {
        "model": endpoint.model,
        "base_url": endpoint.base_url,
        "api_key": endpoint.api_key,
        "max_retries": 0,
        # No idle connection outlives a run: nobody closes a kit's client.
        "default_headers": {"Connection": "close"},
        "model_info": info,
    }
    if endpoint.anthropic:
        clients = pytest.importorskip("autogen_ext.models.anthropic")
        made: ChatCompletionClient = clients.AnthropicChatCompletionClient(**options)
        return made
    return OpenAIChatCompletionClient(**options)
