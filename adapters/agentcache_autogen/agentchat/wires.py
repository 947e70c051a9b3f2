"""How a model client's requests look on the wire, and whose cache they can share.

The clients of autogen-ext for OpenAI, Azure and Anthropic are forked where they call their SDK. Any
other client is forked in the messages and tools that it is given.
"""

import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from typing import Any, Final, cast

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema

from agentcache.dialects import Json
from agentcache.dialects.base import is_json, is_list
from agentcache.parent import CacheDomain
from agentcache.rules import TEXT_ONLY, Rule, match_route
from agentcache.sdk.turns import Leg, Turn

__all__ = ["Source", "Wire", "inner_of", "is_answer_cache", "wire_of"]

_SDK_CLASSES: Final = (
    ("autogen_ext.models.openai._openai_client", "BaseOpenAIChatCompletionClient", "openai.chat"),
    (
        "autogen_ext.models.anthropic._anthropic_client",
        "BaseAnthropicChatCompletionClient",
        "anthropic.messages",
    ),
)
_VENDOR_URLS: Final = ("https://api.openai.com/v1", "https://api.anthropic.com")
_SECRETS: Final = ("api_key", "auth_token", "organization", "project", "aws_region")
_SOURCE: Final = "source"


@dataclass(frozen=True)
class Wire:
    """How one client's class speaks: `dialect` is that of its requests.

    With `native` the client calls an SDK, where a fork can be written; `module` holds its class.
    """

    dialect: str
    native: bool
    module: str = ""

    def rule(self, client: ChatCompletionClient, provider: str | None) -> Rule:
        """The caching rule that applies to the client, less what this wire cannot send."""
        routes = ("azure",) if "Azure" in type(_sdk(client)).__name__ else ()
        rule = match_route(model_of(client), _url_of(client), routes, provider).rule
        return rule if self.native else rule.model_copy(update=TEXT_ONLY)

    def domain(self, client: ChatCompletionClient, rule: Rule) -> CacheDomain:
        """Whose cache the client's calls can share."""
        sdk = _sdk(client)
        found = [getattr(sdk, name, None) for name in _SECRETS]
        secrets = [str(s) if isinstance(s, str) else f"{s!r}" if s else None for s in found]
        digest = CacheDomain.digest(*secrets)
        return CacheDomain(rule.provider, model_of(client), _url_of(client), digest)

    def params(self, client: ChatCompletionClient) -> Json:
        """The parameters that the client sends with every request."""
        held: Any = getattr(client, "_create_args", None)
        return {**(held if is_json(held) else {}), "model": model_of(client)}

    def tools(self, tools: Sequence[Tool | ToolSchema]) -> list[Json]:
        """Tools as the client's class sends them."""
        if self.native:
            return [dict(tool) for tool in import_module(self.module).convert_tools(tools)]
        return [_tool(tool) for tool in tools]

    async def create(
        self, inner: Any, turn: Turn, messages: Sequence[LLMMessage], kwargs: Mapping[str, Any]
    ) -> CreateResult:
        """Call the class's own `create`."""
        if self.native:
            made: CreateResult = await inner(messages, **kwargs)
            return made
        leg: Leg = turn.leg(_body(turn, messages, kwargs))
        while True:
            said, given = _given(leg, messages, kwargs)
            async with leg.flight.aenter(leg.keys) as held:
                with leg.sending(held):
                    made = await inner(said, **given)
                    leg.notice(made, whole=True)
            again = leg.again(made)
            if again is None:
                return made
            leg = again

    async def create_stream(
        self, inner: Any, turn: Turn, messages: Sequence[LLMMessage], kwargs: Mapping[str, Any]
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call the class's own `create_stream`."""
        if self.native:
            async for piece in inner(messages, **kwargs):
                yield piece
            return
        leg: Leg = turn.leg(_body(turn, messages, kwargs))
        again: Leg | None = leg
        while again is not None:
            leg, again = again, None
            said, given = _given(leg, messages, kwargs)
            async with leg.flight.aenter(leg.keys) as held:
                with leg.sending(held):
                    async for piece in inner(said, **given):
                        leg.notice(piece)
                        again = None if isinstance(piece, str) else leg.again(piece)
                        if again is not None:
                            break
                        leg.spoke = leg.spoke or isinstance(piece, str)
                        yield piece


def wire_of(client: ChatCompletionClient) -> Wire:
    """How this client's class speaks."""
    for module, name, dialect in _SDK_CLASSES:
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None and isinstance(client, cls):
            return Wire(dialect, native=True, module=module)
    return Wire("openai.chat.text", native=False)


def model_of(client: ChatCompletionClient) -> str:
    """The model's name, as the provider knows it."""
    held: Any = getattr(client, "_create_args", None)
    named = held.get("model") if is_json(held) else getattr(client, "model", None)
    return named if isinstance(named, str) and named else type(client).__name__


def _sdk(client: ChatCompletionClient) -> Any:
    return getattr(client, "_client", None)


def _url_of(client: ChatCompletionClient) -> str:
    """The endpoint a client calls; empty for its provider's own."""
    url = str(getattr(_sdk(client), "base_url", "") or "").rstrip("/")
    return "" if url in _VENDOR_URLS else url


def is_answer_cache(client: object) -> bool:
    """Whether this is autogen-ext's client around another one whose answers it keeps."""
    cls = getattr(sys.modules.get("autogen_ext.models.cache"), "ChatCompletionCache", None)
    return cls is not None and isinstance(client, cls)


def inner_of(client: Any) -> Any:
    """The client that calls the provider."""
    return inner_of(client.client) if is_answer_cache(client) else client


class Source:
    """What a JSON message or part was made from; in JSON it is named by its type alone."""

    __slots__ = ("made_of",)

    def __init__(self, made_of: LLMMessage | FunctionExecutionResult | Image) -> None:
        """Keep it."""
        self.made_of = made_of


def _body(turn: Turn, messages: Sequence[LLMMessage], kwargs: Mapping[str, Any]) -> Json:
    """A call as a request, for clients that show none."""
    model = turn.stand.fork.session.domain.model
    asked: Json = {"model": model, "messages": [row for m in messages for row in _rows(m)]}
    if kwargs.get("tools"):
        asked["tools"] = [_tool(tool) for tool in kwargs["tools"]]
    if kwargs.get("json_output"):
        asked["response_format"] = {"type": "json_object"}
    return asked


def _rows(message: LLMMessage) -> list[Json]:
    if isinstance(message, FunctionExecutionResultMessage):
        return [
            {"role": "tool", "tool_call_id": r.call_id, "content": r.content, _SOURCE: Source(r)}
            for r in message.content
        ]
    roles = {"SystemMessage": "system", "UserMessage": "user", "AssistantMessage": "assistant"}
    content: Any = message.content
    text = content if isinstance(content, str) else f"{message.type} {_digestible(content)}"
    row = {"role": roles[message.type], "content": text, _SOURCE: Source(message)}
    calls = [] if isinstance(content, str) else [c for c in content if isinstance(c, FunctionCall)]
    return [{**row, "tool_calls": [_call(call) for call in calls]} if calls else row]


def _call(call: FunctionCall) -> Json:
    asked = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": asked}


def _digestible(content: Sequence[Any]) -> str:
    return "; ".join(part if isinstance(part, str) else repr(part) for part in content)


def _tool(tool: Tool | ToolSchema) -> Json:
    schema: Any = tool.schema if isinstance(tool, Tool) else tool
    return {"type": "function", "function": dict(schema)}


def _given(
    leg: Leg, messages: Sequence[LLMMessage], kwargs: Mapping[str, Any]
) -> tuple[Sequence[LLMMessage], Json]:
    """What the class gets: the fork as its own messages and tools."""
    rewrite = leg.flight.rewrite
    if rewrite is None or not rewrite.changed:
        return messages, dict(kwargs)
    request = rewrite.request
    tools = [tool["function"] for tool in request.get("tools") or ()]
    given = {**kwargs, "tools": tools} if tools else dict(kwargs)
    if tools and not rewrite.allowed:
        given.setdefault("tool_choice", "none")
    return list(_messages(request["messages"])), given


def _messages(sent: Sequence[Json]) -> Iterator[LLMMessage]:
    """Results that follow each other are one message."""
    for is_result, rows in groupby(sent, lambda row: row["role"] == "tool"):
        if is_result:
            yield FunctionExecutionResultMessage(content=[_result(row) for row in rows])
        else:
            yield from map(_message, rows)


def _result(sent: Json) -> FunctionExecutionResult:
    made: FunctionExecutionResult = sent[_SOURCE].made_of
    text: str = sent["content"]
    return made if text == made.content else made.model_copy(update={"content": text})


def _message(sent: Json) -> LLMMessage:
    source = sent.get(_SOURCE)
    if isinstance(source, Source):
        return cast("LLMMessage", source.made_of)
    if is_list(sent["content"]):
        parts = [_part(part) for part in sent["content"]]
        return UserMessage(content=parts, source="user")
    if sent["role"] == "system":
        return SystemMessage(content=sent["content"])
    return UserMessage(content=sent["content"], source="user")


def _part(part: Json) -> str | Image:
    source = part.get(_SOURCE)
    return cast("Image", source.made_of) if isinstance(source, Source) else str(part["text"])
