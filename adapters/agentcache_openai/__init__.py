"""Plain SDK clients of OpenAI and Anthropic: what they send becomes forks, or is recorded only.

`agentcache.wrap` and `agentcache.observe` find this module by its entry point. Takes `openai`
clients, sync and async (Chat Completions and Responses, Azure's too), and `anthropic` clients
(Messages).

PYTEST_DONT_REWRITE: it holds no test's asserts, and our plugin is loaded before pytest's.
"""

from agentcache_openai.observing import attachments, unwrap
from agentcache_openai.wrapping import wrap

__all__ = ["attachments", "unwrap", "wrap"]
