"""A provider on this machine that emulates prompt caching by the published rules.

`with serve() as provider:` speaks OpenAI Chat Completions, OpenAI Responses and Anthropic
Messages on 127.0.0.1; the model's name chooses whose caching rules it follows. Everything
it reports is emulated.
"""

from agentcache.loopback.faults import Fault, FaultKind
from agentcache.loopback.scripts import agent, by_text, echo, scripted
from agentcache.loopback.serving import Loopback, serve
from agentcache.loopback.tokens import Token, Tokenizer, pieces
from agentcache.loopback.values import (
    Answer,
    Api,
    Family,
    Latency,
    Logged,
    Said,
    Script,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)

__all__ = [
    "Answer",
    "Api",
    "Family",
    "Fault",
    "FaultKind",
    "Latency",
    "Logged",
    "Loopback",
    "Said",
    "Script",
    "Token",
    "Tokenizer",
    "Tool",
    "ToolCall",
    "ToolResult",
    "Turn",
    "agent",
    "by_text",
    "echo",
    "pieces",
    "scripted",
    "serve",
]
