"""Classic AutoGen (`import autogen`): every agent of a chat becomes a fork of the chat they share.

`agentcache.wrap` finds this module by its entry point. Takes ag2 0.6 to 0.14, autogen 0.14 and
pyautogen 0.9, whichever of them provides the package `autogen`.
"""

try:
    import autogen as _autogen
except ImportError as error:
    from agentcache.errors import MissingExtraError

    raise MissingExtraError("autogen-classic", "autogen") from error

from agentcache_autogen.classic.running import in_parallel, runner
from agentcache_autogen.classic.wrapping import attachments, unwrap, wrap

del _autogen

__all__ = ["CHATS", "attachments", "in_parallel", "runner", "unwrap", "wrap"]

CHATS = True
"""This adapter takes wishes about group chats."""
