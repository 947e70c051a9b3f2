"""recall_result for AgentChat's agents: a real tool, among those that an agent offers its model."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, SocietyOfMindAgent
from autogen_agentchat.base import Team
from autogen_core import CancellationToken
from autogen_core.tools import BaseTool, ParametersSchema, StaticWorkbench, ToolSchema
from pydantic import BaseModel, ConfigDict

from agentcache.compaction import RECALL, ContentStore, recall, recall_tool
from agentcache.dialects.base import is_json

__all__ = ["Recall", "equip", "may_recall", "strip", "why_not"]


class Asked(BaseModel):
    """What a model may ask for: whatever it says is answered, be it by how to say it."""

    model_config = ConfigDict(extra="ignore")

    id: Any = ""
    lines: Any = None
    pattern: Any = None


class Recall(BaseTool[Asked, Any]):
    """The tool by which a model reads again what a placeholder stands for."""

    def __init__(self, store: ContentStore) -> None:
        """Read from this store."""
        told = recall_tool("openai.chat")["function"]
        super().__init__(Asked, str, RECALL, told["description"])
        self._store = store
        self._parameters = cast("ParametersSchema", told["parameters"])

    @property
    def schema(self) -> ToolSchema:
        """The definition that every adapter sends."""
        return ToolSchema(
            name=self.name, description=self.description, parameters=self._parameters, strict=False
        )

    async def run(self, args: Asked, cancellation_token: CancellationToken) -> str:  # noqa: ARG002
        """Answer; a store that fails is told to the model, and not raised into the program."""
        try:
            return recall(self._store, args.model_dump())
        except Exception as error:  # noqa: BLE001 - reading again never breaks the host
            return f"Error: this result cannot be read again: {error}. Call its tool again."

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken,
        call_id: str | None = None,
    ) -> Any:
        """Answer, whatever a model has written as arguments."""
        asked = args if is_json(args) else {}
        return await super().run_json(asked, cancellation_token, call_id=call_id)


def equip(agent: Any, tool: Recall) -> None:
    """Give an agent the tool.

    Beside its handoffs: there an agent offers and runs tools whatever workbench it has, and of them
    a dumped component has its handoffs only.
    """
    agent._handoff_tools.append(tool)


def strip(agent: Any) -> None:
    """Take the tool out of an agent."""
    held: Any = getattr(agent, "_handoff_tools", None) or []
    held[:] = [tool for tool in held if not isinstance(tool, Recall)]


def may_recall(agent: object, tools: Sequence[Any]) -> bool:
    """Whether an agent can be given the tool and may need it; `tools` are what it is known to have.

    What a workbench offers that is no static one is known when it is asked.
    """
    if not isinstance(agent, AssistantAgent) or why_not(agent, tools):
        return False
    kept: Any = agent
    asked = (bench for bench in kept._workbench if not isinstance(bench, StaticWorkbench))
    return bool(tools) or any(True for _ in asked)


def why_not(agent: object, tools: Sequence[Any]) -> str:
    """Why what an agent's tools answer cannot be compacted; empty if it can, or it has none."""
    if isinstance(agent, AssistantAgent):
        taken = any(tool.name == RECALL for tool in tools)
        return f"it has a tool of its own that is named {RECALL}" if taken else ""
    if isinstance(agent, Team | CodeExecutorAgent | SocietyOfMindAgent):
        return ""  # they offer their model none
    return f"a {type(agent).__name__} has no place for {RECALL}"
