"""`agentcache demo autogen-classic`: two group chats of the classic framework, on one brief."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, Final

from agentcache.demo import office
from agentcache.demo.needs import check_below, needed
from agentcache.demo.scenario import Endpoint
from agentcache.errors import MissingExtraError


def missing(package: str) -> MissingExtraError:
    """What the demo needs, with the line that installs it."""
    return needed(package, "autogen-classic", "'anthropic<1'")


try:
    from autogen import ConversableAgent, GroupChat, GroupChatManager, register_function
    from autogen.io.base import IOStream
    from autogen.oai.client import OpenAIClient
except ImportError as _error:
    raise missing(_error.name or "autogen") from _error

__all__ = [
    "AUTOGENS_OWN",
    "ConversableAgent",
    "IOStream",
    "Silence",
    "build",
    "config_at",
    "engine_note",
    "missing",
    "reading",
    "register_function",
    "run",
    "tool_calls",
]

tool_calls: Final = office.tool_calls

reading: Final = office.reading
engine_note: Final = (
    "The engine's model is asked who speaks next and cannot tell: a rota does what it would."
)

_ROUNDS: Final = 16
_USER: Final = "user"
AUTOGENS_OWN: Final = ("Cost calculation not available for model",)


class _Chats(list[GroupChatManager]):
    """Two group chats, and how they are asked about one brief."""

    def __init__(self, managers: Sequence[GroupChatManager], brief: str, *, parallel: bool) -> None:
        super().__init__(managers)
        self.brief, self.parallel = brief, parallel

    def talk(self) -> str:
        with ThreadPoolExecutor(len(self) if self.parallel else 1) as pool:
            return "\n\n".join(pool.map(self._ask, self, office.questions))

    def _ask(self, manager: GroupChatManager, question: str) -> str:
        user: Any = manager.groupchat.agent_by_name(_USER)
        silence: Any = Silence()
        with IOStream.set_default(silence):
            said = user.initiate_chat(manager, message=f"{self.brief}\n\n{question}", silent=True)
        return str(said.summary)


class _InTurn(GroupChat):
    """A chat whose model is asked who speaks next but cannot tell: it is who has not yet spoken."""

    def select_speaker(self, last_speaker: Any, selector: Any) -> Any:
        """Ask; keep what the chat knows by itself, that is who runs a tool."""
        chosen = super().select_speaker(last_speaker, selector)
        if self.messages[-1].get("tool_calls"):
            return chosen
        spoken = {m.get("name") for m in self.messages if not m.get("tool_calls")}
        return next((a for a in self.agents if a.name not in spoken), chosen)


class Silence:
    """Takes what AutoGen prints."""

    def print(self, *_objects: Any, **_options: Any) -> None:
        """Print nothing."""

    def send(self, _message: object) -> None:
        """Send nothing."""

    def input(self, _prompt: str = "", **_options: Any) -> str:
        """Nobody is there."""
        return ""


def build(endpoint: Endpoint, brief: str, *, parallel: bool) -> list[GroupChatManager]:
    """Two chats as their user wrote them: a question each, a model that selects who speaks."""
    config = config_at(endpoint)
    managers = [_manager(config, chooses=endpoint.chooses) for _ in office.questions]
    return _Chats(managers, brief, parallel=parallel)


def run(program: object) -> str:
    """Hold both chats and return what their writers wrote."""
    chats: Any = program
    with warnings.catch_warnings():
        for message in AUTOGENS_OWN:
            warnings.filterwarnings("ignore", message)
        return str(chats.talk())


def _manager(config: dict[str, Any], *, chooses: bool) -> GroupChatManager:
    user = ConversableAgent(
        _USER,
        description="Runs the tools that others call. Never asked to speak.",
        llm_config=False,
        human_input_mode="NEVER",
    )
    agents: list[Any] = [*(_agent(speaker, config, user) for speaker in office.speakers), user]
    if chooses:
        chat = GroupChat(agents, [], max_round=_ROUNDS, speaker_selection_method="auto")
    else:
        chat = _InTurn(agents, [], max_round=_ROUNDS, max_retries_for_selecting_speaker=0)
    return GroupChatManager(chat, llm_config=config, is_termination_msg=_is_page, silent=True)


def _agent(speaker: office.Speaker, config: dict[str, Any], user: Any) -> ConversableAgent:
    agent = ConversableAgent(
        speaker.name,
        description=speaker.description,
        system_message=speaker.prompt,
        llm_config=config,
        human_input_mode="NEVER",
    )
    if speaker.tool is not None:
        about = speaker.tool.__doc__ or ""
        register_function(speaker.tool, caller=agent, executor=user, description=about)
    return agent


def _is_page(message: dict[str, Any]) -> bool:
    """Whether the writer has spoken."""
    return message.get("name") == office.speakers[-1].name and bool(message.get("content"))


def config_at(endpoint: Endpoint) -> dict[str, Any]:
    """A list of configurations with one entry, of the model that answers there."""
    sdk = "anthropic" if endpoint.anthropic else "openai"
    if find_spec(sdk) is None:
        raise missing(sdk)
    if endpoint.anthropic:
        check_below(sdk, 1, because="AutoGen's client passes what later SDKs refuse")
    entry: dict[str, Any] = {
        "api_type": sdk,
        "model": endpoint.model,
        "api_key": endpoint.api_key,
        "price": [0, 0],  # it knows no price of newer models, and says so at every call
    }
    if hasattr(OpenAIClient, "_add_streaming_usage_to_params"):
        entry["stream"] = True  # older ones count a stream's tokens by tables that they download
    if endpoint.base_url:
        entry["base_url"] = endpoint.base_url
    if endpoint.max_tokens is not None:
        entry["max_tokens"] = endpoint.max_tokens
    return {"config_list": [entry]}
