"""langchain-tests' own suites, unchanged, on plain and on forked classes.

A scripted provider answers from schemas: this proves plumbing, such as types, streaming, usage
and serialisation, and says nothing about how a model behaves.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests
from syrupy.assertion import SnapshotAssertion

from agentcache import loopback

pytestmark = [
    pytest.mark.anyio,
    # LangChain's own, in plain classes too.
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    pytest.mark.filterwarnings("ignore:Received a Pydantic BaseModel V1 schema:UserWarning"),
    pytest.mark.filterwarnings("ignore:Unrecognized structured output method:UserWarning"),
    # Each test brings its tools late, to a session that froze those of others.
    pytest.mark.filterwarnings("ignore:Epoch :agentcache.AgentcacheWarning"),
]

LONG = "A long text that is worth keeping. " * 300


class Placed:
    """A suite's model class, as the standing wants it."""

    plain: type[BaseChatModel]
    standing_class: type[BaseChatModel]
    served: dict[str, Any]

    def endpoint(self, provider: loopback.Loopback) -> dict[str, Any]:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def place(
        self,
        placed: Callable[[BaseChatModel], type[BaseChatModel]],
        provider: loopback.Loopback,
    ) -> None:
        self.served = self.endpoint(provider)
        self.standing_class = placed(self.plain(**self.served))

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return self.standing_class


class OpenAIChat(Placed):
    plain = ChatOpenAI
    constant: ClassVar = {"model": "gpt-6-luna", "use_responses_api": False}

    def endpoint(self, provider: loopback.Loopback) -> dict[str, Any]:
        # stream_usage: ChatOpenAI asks for no usage of a stream where it has a base_url.
        served = {"base_url": provider.openai_url, "api_key": "x", "stream_usage": True}
        return {**self.constant, **served}


class OpenAIResponses(OpenAIChat):
    constant: ClassVar = {"model": "gpt-6-luna", "use_responses_api": True}


class Anthropic(Placed):
    plain = ChatAnthropic
    constant: ClassVar = {"model": "claude-haiku-5-5"}

    def endpoint(self, provider: loopback.Loopback) -> dict[str, Any]:
        return {**self.constant, "base_url": provider.url, "api_key": "x"}


class Wired:
    """What an integration suite is told of its model."""

    served: dict[str, Any]
    model_override_value = "gpt-6-sol"
    supports_json_mode = True

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.served

    @property
    def supported_usage_metadata_details(self) -> Any:
        details = ["cache_read_input", "cache_creation_input"]
        return {"invoke": details, "stream": details}

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> AIMessage:
        return self._said({}, stream=stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        self._said({}, stream=stream)
        again = self._said({}, stream=stream)
        assert again.usage_metadata
        assert again.usage_metadata["input_token_details"]["cache_read"] > 1024
        return again

    def _said(self, options: dict[str, Any], *, stream: bool) -> AIMessage:
        model = self.chat_model_class(**self.chat_model_params)  # type: ignore[attr-defined]
        if not stream:
            return model.invoke(LONG, **options)
        chunks = list(model.stream(LONG, **options))
        return sum(chunks[1:], start=chunks[0])


class TestOpenAIChat(Wired, OpenAIChat, ChatModelIntegrationTests):
    pass


class TestOpenAIResponses(Wired, OpenAIResponses, ChatModelIntegrationTests):
    pass


class TestAnthropic(Wired, Anthropic, ChatModelIntegrationTests):
    model_override_value = "claude-haiku-4-5"
    supports_json_mode = False
    supports_anthropic_inputs = True

    def _said(self, options: dict[str, Any], *, stream: bool) -> AIMessage:
        return super()._said({"cache_control": {"type": "ephemeral"}}, stream=stream)


class Built:
    """What a unit suite is told of its model; it sends nothing, so no port is in its snapshot."""

    constant: ClassVar[dict[str, Any]]
    key = "OPENAI_API_KEY"
    attribute = "openai_api_key"

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.constant

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {self.key: "key from env"}, self.constant, {self.attribute: "key from env"}

    def test_a_serialisation_that_differs_fails(
        self, model: BaseChatModel, snapshot: SnapshotAssertion
    ) -> None:
        """Control: the suite's own test fails for a class that names itself otherwise."""
        self.test_serdes(model, snapshot)  # type: ignore[attr-defined]
        self.standing_class = type("Other", (self.standing_class,), {"lc_id": lambda _: ["other"]})
        other = self.standing_class(**model.model_dump(exclude_unset=True))
        with pytest.raises(AssertionError, match="'other'"):
            self.test_serdes(other, snapshot)  # type: ignore[attr-defined]


class TestOpenAIChatUnit(Built, OpenAIChat, ChatModelUnitTests):
    pass


class TestOpenAIResponsesUnit(Built, OpenAIResponses, ChatModelUnitTests):
    pass


class TestAnthropicUnit(Built, Anthropic, ChatModelUnitTests):
    key = "ANTHROPIC_API_KEY"
    attribute = "anthropic_api_key"
