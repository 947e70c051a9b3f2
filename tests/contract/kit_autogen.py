"""Classic AutoGen's kit for the contract suite: a user who asks three agents, chat by chat."""

import asyncio
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from agentcache.demo.scenario import Endpoint

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # pyautogen 0.9 warns of itself
    from autogen import ConversableAgent
    from autogen.oai.client import OpenAIClient

executed: list[str] = []
"""Names of the tools that really ran."""

STREAMS = hasattr(OpenAIClient, "_add_streaming_usage_to_params")
"""Before, a streamed answer was counted with a vocabulary that is downloaded."""

_chats: WeakKeyDictionary[Any, Callable[[], str]] = WeakKeyDictionary()


def search_notes(query: str) -> str:
    """Search the notes."""
    executed.append("search_notes")
    return f"note on {query}"


def delete_everything(confirm: str) -> str:
    """Delete all notes; only the analyst may."""
    executed.append("delete_everything")
    return f"deleted ({confirm})"


TOOLS = {tool.__name__: tool for tool in (search_notes, delete_everything)}

PROMPTS = {
    "researcher": "You are the researcher. Thorough, you find facts.",
    "analyst": "You are the analyst. Strict, you clean up.",
    "writer": "You are the writer. Eloquent, you write.",
}


def program(endpoint: Endpoint, brief: str, *, parallel: bool = False, stream: bool = False) -> Any:
    """Three workers on one brief: a researcher, an analyst with other tools, a writer without."""
    config = _config(endpoint, stream=stream)
    with _quietly():
        user = ConversableAgent(
            "user",
            llm_config=False,
            human_input_mode="NEVER",
            is_termination_msg=lambda message: not message.get("tool_calls"),
            function_map=dict(TOOLS),
        )
        agents = [
            ConversableAgent(name, prompt, llm_config=config, human_input_mode="NEVER")
            for name, prompt in PROMPTS.items()
        ]
        _offer(agents[0], "search_notes")
        _offer(agents[1], "delete_everything")
    tasks = [f"{brief}\n\nFind facts.", f"{brief}\n\nClean up.", f"{brief}\n\nWrite it."]
    chats = [
        {"chat_id": n, "recipient": agent, "message": task, "silent": True, "prerequisites": []}
        for n, (agent, task) in enumerate(zip(agents, tasks, strict=True))
    ]
    chats[1]["finished_chat_indexes_to_exclude_from_carryover"] = [0]
    chats[2]["prerequisites"] = [0, 1]

    def ask() -> str:
        queue = [dict(chat) for chat in chats]
        if parallel:
            return str(asyncio.run(user.a_initiate_chats(queue))[2].summary)
        for chat in queue:
            del chat["prerequisites"]
        return str(user.initiate_chats(queue)[-1].summary)

    _chats[agents[0]] = ask
    return agents


def run(agents: Any) -> str:
    """Run the program and return its answer."""
    with _quietly():
        return _chats[agents[0]]()


def give_all_tools_to_everyone(agents: Any) -> None:
    """The naive union: what a guard protects from."""
    with _quietly():
        for agent in agents:
            for name in TOOLS:
                _offer(agent, name)


def _offer(agent: ConversableAgent, name: str) -> None:
    schemas: Any = agent.llm_config.get("tools", [])
    if name not in [schema["function"]["name"] for schema in schemas]:
        tool = TOOLS[name]
        agent.register_for_llm(name=name, description=tool.__doc__)(tool)


def _config(endpoint: Endpoint, *, stream: bool) -> dict[str, Any]:
    if endpoint.anthropic:
        pytest.importorskip("anthropic")
    entry: dict[str, Any] = {
        "api_type": "anthropic" if endpoint.anthropic else "openai",
        "model": endpoint.model,
        "base_url": endpoint.base_url,
        "api_key": endpoint.api_key,
    }
    return {"config_list": [{**entry, "stream": True} if stream and STREAMS else entry]}


@contextmanager
def _quietly() -> Generator[None]:
    """Let AutoGen warn of itself, and of models whose price it does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Cost calculation not available", UserWarning)
        yield
