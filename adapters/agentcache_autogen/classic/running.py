"""Agents as tasks: each prompt is a chat of its own with the agent."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from autogen import ConversableAgent, GroupChat, GroupChatManager

from agentcache.copies import Copies
from agentcache.errors import OptionError, UnknownObjectError

__all__ = ["in_parallel", "runner"]

_ASKER: Final = "user"


def runner(agent: object) -> Callable[[str], Any]:
    """How an agent answers a prompt: the text that it ends the chat with, its tools run before.

    No copies are made: an agent keeps each chat apart by whom it is with, and each task asks in
    another's name. Tools that another agent was to run are run by that one who asks.
    """
    if isinstance(agent, GroupChatManager | GroupChat):
        raise OptionError(
            f"A {type(agent).__name__} keeps one chat for all that ask: pass a function that makes "
            "one and starts its chat."
        )
    if not isinstance(agent, ConversableAgent):
        raise UnknownObjectError(
            f"A task of a graph can be a ConversableAgent, not {type(agent).__qualname__}."
        )
    askers = Copies(lambda: _asker(agent))

    def ask(prompt: str) -> str:
        with askers.lent() as asker:
            chat: Any = asker.initiate_chat(agent, message=prompt, silent=True)
        said = chat.chat_history[-1].get("content")
        return "" if said is None else str(said)

    return ask


def in_parallel(x: object, _inputs: object, _run: object) -> Any:
    """Refuse, with what to do instead."""
    raise OptionError(
        f"{type(x).__name__} cannot run in parallel: a chat goes from turn to turn. In a graph an "
        "agent is a task itself: TaskGraph().add(name, agent, prompt)."
    )


def _asker(agent: Any) -> Any:
    """Who asks, runs the agent's tools, and ends the chat with the first text."""
    asker: Any = ConversableAgent(
        _ASKER,
        llm_config=False,
        human_input_mode="NEVER",
        code_execution_config=False,
        is_termination_msg=_is_text,
    )
    for tool in getattr(agent, "tools", ()):  # known from ag2 0.7 on
        asker.register_for_execution()(tool)
    asker.register_function(dict(agent.function_map), silent_override=True)
    return asker


def _is_text(message: Mapping[str, Any]) -> bool:
    return not message.get("tool_calls") and not message.get("function_call")
