"""`agentcache demo autogen`: two AgentChat teams with model-selected speakers, on one brief."""

import asyncio
import warnings
from collections.abc import Sequence
from typing import Any, Final

from agentcache.demo import office
from agentcache.demo.needs import check_below, needed
from agentcache.demo.scenario import Endpoint
from agentcache.errors import MissingExtraError


def missing(package: str) -> MissingExtraError:
    """What the demo needs, with the line that installs it."""
    return needed(package, "autogen", "'autogen-ext[anthropic]'", "'anthropic<1'")


try:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.conditions import SourceMatchTermination
    from autogen_agentchat.messages import BaseChatMessage, TextMessage
    from autogen_agentchat.teams import SelectorGroupChat
    from autogen_core.models import ChatCompletionClient, ModelFamily, ModelInfo
except ImportError as _error:
    raise missing(_error.name or "autogen_agentchat") from _error

__all__ = [
    "AUTOGENS_OWN",
    "AssistantAgent",
    "build",
    "client_at",
    "engine_note",
    "missing",
    "reading",
    "run",
    "tool_calls",
]

tool_calls: Final = office.tool_calls

reading: Final = office.reading
engine_note: Final = "The engine's model cannot choose who speaks, so that here a rota does."

_TURNS: Final = 8
_INFO: Final = ModelInfo(
    vision=False,
    function_calling=True,
    json_output=True,
    family=ModelFamily.UNKNOWN,
    structured_output=True,
    multiple_system_messages=True,
)
AUTOGENS_OWN: Final = ("Resolved model mismatch", "Pydantic serializer warnings")


class _Chats(list[SelectorGroupChat]):
    """Two teams, and how they are asked about one brief."""

    def __init__(
        self,
        teams: Sequence[SelectorGroupChat],
        client: ChatCompletionClient,
        brief: str,
        *,
        parallel: bool,
    ) -> None:
        super().__init__(teams)
        self.client, self.brief, self.parallel = client, brief, parallel

    async def talk(self) -> str:
        asked = list(zip(self, office.questions, strict=True))
        try:
            if self.parallel:
                pages = await asyncio.gather(*(self._ask(*each) for each in asked))
            else:
                pages = [await self._ask(*each) for each in asked]
        finally:
            await self.client.close()
        return "\n\n".join(pages)

    async def _ask(self, team: SelectorGroupChat, question: str) -> str:
        task = [TextMessage(content=text, source="user") for text in (self.brief, question)]
        result = await team.run(task=task)
        return next(m.content for m in reversed(result.messages) if isinstance(m, TextMessage))


def build(endpoint: Endpoint, brief: str, *, parallel: bool) -> list[SelectorGroupChat]:
    """Two teams as their user wrote them: one client, a question each, a model that selects."""
    client = client_at(endpoint)
    teams = [_team(client, chooses=endpoint.chooses) for _ in office.questions]
    return _Chats(teams, client, brief, parallel=parallel)


def run(program: object) -> str:
    """Run both teams and return what their writers wrote."""
    chats: Any = program
    with warnings.catch_warnings():
        for message in AUTOGENS_OWN:
            warnings.filterwarnings("ignore", message)
        return str(asyncio.run(chats.talk()))


def _team(client: ChatCompletionClient, *, chooses: bool) -> SelectorGroupChat:
    agents = [
        AssistantAgent(
            speaker.name,
            client,
            description=speaker.description,
            system_message=speaker.prompt,
            tools=[speaker.tool] if speaker.tool else None,
            reflect_on_tool_use=speaker.tool is not None,
            model_client_stream=True,
        )
        for speaker in office.speakers
    ]
    return SelectorGroupChat(
        list(agents),
        client,
        termination_condition=SourceMatchTermination([office.speakers[-1].name]),
        max_turns=_TURNS,
        selector_func=None if chooses else _rota,
        model_client_streaming=True,
    )


def _rota(messages: Sequence[object]) -> str:
    """Whose turn it is where no model can tell."""
    said = [m for m in messages if isinstance(m, BaseChatMessage) and m.source != "user"]
    return office.speakers[len(said) % len(office.speakers)].name


def client_at(endpoint: Endpoint) -> ChatCompletionClient:
    """A client of AutoGen's that calls there."""
    options: dict[str, Any] = {
        "model": endpoint.model,
        "api_key": endpoint.api_key,
        "base_url": endpoint.base_url or None,
    }
    if endpoint.max_tokens is not None:
        options["max_tokens"] = endpoint.max_tokens
    try:
        if endpoint.anthropic:
            return _anthropic(options)
        from autogen_ext.models.openai import OpenAIChatCompletionClient  # noqa: PLC0415 - seconds

        options["stream_options"] = {"include_usage": True}
        return OpenAIChatCompletionClient(**options, model_info=_INFO)
    except ImportError as error:
        raise missing(error.name or "autogen_ext") from error


def _anthropic(options: dict[str, Any]) -> ChatCompletionClient:
    from autogen_ext.models.anthropic import AnthropicChatCompletionClient  # noqa: PLC0415 - extra

    check_below("anthropic", 1, because="AutoGen's client passes what later SDKs refuse")
    return AnthropicChatCompletionClient(**options, model_info=_INFO)
