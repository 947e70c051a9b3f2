"""`agentcache demo compaction` under the classic framework: one agent, one tool, many turns."""

import warnings
from collections.abc import Callable
from typing import Any

from agentcache.demo.scenario import Endpoint
from agentcache_autogen.classic_demo import (
    AUTOGENS_OWN,
    ConversableAgent,
    IOStream,
    Silence,
    config_at,
    register_function,
)

__all__ = ["build", "run"]

_EACH = 2
"""Messages of a turn, at most."""


def build(endpoint: Endpoint, tool: Callable[[int], str], system: str, turns: int) -> Any:
    """An engineer, and the user who runs its tool."""

    def run_step(step: int) -> str:
        """Take one step and say what came of it."""
        return tool(step)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # ag2 0.9: a dict will be wanted
        engineer = ConversableAgent(
            "engineer",
            system_message=system,
            llm_config=config_at(endpoint),
            human_input_mode="NEVER",
            max_consecutive_auto_reply=_EACH * turns,
        )
    user = ConversableAgent(
        "user",
        llm_config=False,
        human_input_mode="NEVER",
        max_consecutive_auto_reply=_EACH * turns,
        is_termination_msg=lambda message: not message.get("tool_calls"),
    )
    about = run_step.__doc__ or ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        register_function(run_step, caller=engineer, executor=user, description=about)
    return [engineer, user]


def run(program: object, asked: str) -> str:
    """Let the user ask the engineer."""
    pair: Any = program
    engineer, user = pair
    silence: Any = Silence()
    with warnings.catch_warnings(), IOStream.set_default(silence):
        for message in AUTOGENS_OWN:
            warnings.filterwarnings("ignore", message)
        return str(user.initiate_chat(engineer, message=asked, silent=True).summary)
