"""A model client of a program's own, of no class that the adapter knows."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)


class Scribe(ChatCompletionClient):
    """Notes what it is given, and numbers its answers; `answers` come first."""

    def __init__(self, *answers: Any, vision: bool = False) -> None:
        self.heard: list[tuple[list[LLMMessage], list[str], Any]] = []
        self.answers, self.answered, self.vision = list(answers), 0, vision

    async def create(
        self, messages: Sequence[LLMMessage], *, tools: Any = (), **kwargs: Any
    ) -> CreateResult:
        names = [tool["name"] if isinstance(tool, dict) else tool.name for tool in tools]
        self.heard.append((list(messages), names, kwargs.get("tool_choice", "auto")))
        self.answered += 1
        said = self.answers.pop(0) if self.answers else f"Answer {self.answered}."
        used = RequestUsage(100, 10)
        kind = "stop" if isinstance(said, str) else "function_calls"
        return CreateResult(finish_reason=kind, content=said, usage=used, cached=False)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **kwargs: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        made = await self.create(messages, **kwargs)
        for word in made.content.split() if isinstance(made.content, str) else ():
            yield f"{word} "
        yield made

    async def close(self) -> None:
        """Nothing is open."""

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Any, *, tools: Any = ()) -> int:
        return len(str(messages)) // 4

    def remaining_tokens(self, messages: Any, *, tools: Any = ()) -> int:
        return 100_000

    @property
    def capabilities(self) -> Any:
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=self.vision,
            function_calling=True,
            json_output=True,
            family=ModelFamily.UNKNOWN,
            structured_output=False,
            multiple_system_messages=True,
        )
