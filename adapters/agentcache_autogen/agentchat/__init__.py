"""AutoGen AgentChat: every agent of a team becomes a fork of the chat that they share.

`agentcache.wrap` finds this module by its entry point. Takes autogen-agentchat 0.6.4 to 0.7.
"""

try:
    import autogen_agentchat as _autogen_agentchat
except ImportError as error:
    from agentcache.errors import MissingExtraError

    raise MissingExtraError("autogen", "autogen_agentchat") from error

from agentcache_autogen.agentchat.clients import CachedUsage
from agentcache_autogen.agentchat.running import in_parallel, runner
from agentcache_autogen.agentchat.wrapping import attachments, unwrap, wrap

del _autogen_agentchat

__all__ = ["CHATS", "CachedUsage", "attachments", "in_parallel", "runner", "unwrap", "wrap"]

CHATS = True
"""This adapter takes wishes about group chats."""
