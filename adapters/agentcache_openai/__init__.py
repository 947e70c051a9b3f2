"""Plain SDK clients of OpenAI and Anthropic: what they send is recorded, and nothing is changed.

`agentcache.observe` finds this module by its entry point. Takes `openai` clients, sync and async
(Chat Completions and Responses, Azure's too), and `anthropic` clients (Messages).
"""

from agentcache_openai.observing import attachments, unwrap, wrap

__all__ = ["attachments", "unwrap", "wrap"]
