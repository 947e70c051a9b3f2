"""Forks of one parent, and fork and fork again, between which the shared part broke."""

from typing import Any

from . import chat, claude, responses
from .editing import Json, pick, put
from .pair import Expect, Pair
from .prose_code import BRIEF, PERSONA_ANALYST, PERSONA_RESEARCHER, PERSONA_WRITER
from .talks import CODE_TALK

TASK = "Say what the board should know about returns."
ONCE = {"prompt_cache_options": {"mode": "explicit"}}
READ = f"{BRIEF}\nRead at 2026-11-23T09:14:07Z."
READ_AGAIN = f"{BRIEF}\nRead at 2026-11-23T09:14:31Z."
STYLE = "Style guide: short sentences, no slides, amounts in EUR of 2026."
STEPS = CODE_TALK[1:5]


def _chat(name: str, persona: str, brief: str = BRIEF, **params: Any) -> Json:
    said = [*chat.trunk(marked=True, brief=brief), chat.tail(name, persona, TASK)]
    return chat.fork(said, **{**ONCE, **params})


def _responses(name: str, persona: str, brief: str = BRIEF, **params: Any) -> Json:
    said = [*responses.trunk(marked=True, brief=brief), responses.tail(name, persona, TASK)]
    return responses.fork(said, **{**ONCE, **params})


def _claude(name: str, persona: str, **params: Any) -> Json:
    return claude.fork([claude.tail(name, persona, TASK)], **params)


def _chat_loop(time: str, steps: int) -> Json:
    """A fork in its own loop; its tail says what time it is."""
    who = chat.tail("analyst", f"{PERSONA_ANALYST}\nCurrent time: {time}", TASK)
    return chat.fork([*chat.trunk(marked=True), who, *chat.messages(STEPS[:steps])])


def _responses_loop(time: str, steps: int) -> Json:
    """A fork in its own loop; its tail says what time it is."""
    who = responses.tail("analyst", f"{PERSONA_ANALYST}\nCurrent time: {time}", TASK)
    return responses.fork([*responses.trunk(marked=True), who, *responses.items(STEPS[:steps])])


def _shared(name: str, persona: str, *texts: str) -> Json:
    """A fork whose shared message holds these texts, the last of them marked."""
    parts: list[Json] = [{"type": "text", "text": text} for text in texts]
    parts[-1]["prompt_cache_breakpoint"] = chat.MARK
    return put(_chat(name, persona), "messages", 1, "content", value=parts)


PAIRS = (
    Pair(
        "chat: the time in the tail of a fork that loops",
        "openai.chat",
        _chat_loop("09:14:07", 2),
        _chat_loop("09:14:33", 4),
        Expect(
            "timestamp", "messages", "messages[2].content[0].text", offset=239, relation="follows"
        ),
    ),
    Pair(
        "responses: the time in the tail of a fork that loops",
        "openai.responses",
        _responses_loop("09:14:07", 2),
        _responses_loop("09:14:33", 4),
        Expect("timestamp", "messages", "input[2].content[0].text", offset=239, relation="follows"),
    ),
    Pair(
        "chat: two forks whose shared brief says when it was read",
        "openai.chat",
        _chat("analyst", PERSONA_ANALYST, READ),
        _chat("writer", PERSONA_WRITER, READ_AGAIN),
        Expect(
            "timestamp", "messages", "messages[1].content[0].text", offset=4832, relation="sibling"
        ),
    ),
    Pair(
        "responses: two forks whose shared brief says when it was read",
        "openai.responses",
        _responses("analyst", PERSONA_ANALYST, READ),
        _responses("writer", PERSONA_WRITER, READ_AGAIN),
        Expect(
            "timestamp", "messages", "input[1].content[0].text", offset=4832, relation="sibling"
        ),
    ),
    Pair(
        "chat: two forks whose shared texts stand in another order",
        "openai.chat",
        _shared("analyst", PERSONA_ANALYST, STYLE, BRIEF),
        _shared("writer", PERSONA_WRITER, BRIEF, STYLE),
        Expect("order", "messages", "messages[1].content[0]", relation="sibling"),
    ),
    Pair(
        "chat: two forks with their tools in another order",
        "openai.chat",
        _chat("analyst", PERSONA_ANALYST),
        pick(_chat("writer", PERSONA_WRITER), "tools", order=(1, 4, 0, 3, 2)),
        Expect("order", "tools", "tools[0]", relation="sibling", level="all"),
    ),
    Pair(
        "responses: two forks with their tools in another order",
        "openai.responses",
        _responses("analyst", PERSONA_ANALYST),
        pick(_responses("writer", PERSONA_WRITER), "tools", order=(0, 1, 3, 2, 4)),
        Expect("order", "tools", "tools[2]", relation="sibling", level="all"),
    ),
    Pair(
        "anthropic: two forks with their tools in another order",
        "anthropic.messages",
        _claude("analyst", PERSONA_ANALYST),
        pick(_claude("writer", PERSONA_WRITER), "tools", order=(4, 0, 1, 2, 3)),
        Expect("order", "tools", "tools[0]", relation="sibling", level="all"),
    ),
    Pair(
        "chat: a fork at another model",
        "openai.chat",
        _chat("analyst", PERSONA_ANALYST),
        _chat("writer", PERSONA_WRITER, model="gpt-6-astra"),
        Expect("model", "params", "model", param="model", relation="sibling", level="all"),
    ),
    Pair(
        "anthropic: a fork at another model",
        "anthropic.messages",
        _claude("researcher", PERSONA_RESEARCHER),
        _claude("writer", PERSONA_WRITER, model="claude-sonnet-5-5"),
        Expect("model", "params", "model", param="model", relation="sibling", level="all"),
    ),
    Pair(
        "responses: a fork that thinks harder",
        "openai.responses",
        _responses("researcher", PERSONA_RESEARCHER, reasoning={"effort": "low"}),
        _responses("analyst", PERSONA_ANALYST, reasoning={"effort": "high"}),
        Expect("param", "params", param="reasoning", relation="sibling", level="all"),
    ),
    Pair(
        "chat: a fork with an output schema of its own",
        "openai.chat",
        _chat("researcher", PERSONA_RESEARCHER),
        _chat("analyst", PERSONA_ANALYST, response_format={"type": "json_object"}),
        Expect("param", "params", param="response_format", relation="sibling", level="all"),
    ),
    Pair(
        "chat: each fork has a prompt_cache_key of its own",
        "openai.chat",
        _chat("researcher", PERSONA_RESEARCHER, prompt_cache_key="researcher"),
        _chat("analyst", PERSONA_ANALYST, prompt_cache_key="analyst"),
        Expect("affinity", "headers", "prompt_cache_key", relation="sibling"),
    ),
    Pair(
        "responses: each fork has a prompt_cache_key of its own",
        "openai.responses",
        _responses("researcher", PERSONA_RESEARCHER, prompt_cache_key="researcher"),
        _responses("analyst", PERSONA_ANALYST, prompt_cache_key="analyst"),
        Expect("affinity", "headers", "prompt_cache_key", relation="sibling"),
    ),
)
