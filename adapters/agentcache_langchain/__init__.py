"""LangChain and LangGraph: every chat model call of a program becomes a fork of one prefix.

`agentcache.wrap` finds this module by its entry point. Works with langchain-core >= 0.3.49, < 2.

PYTEST_DONT_REWRITE: it holds no test's asserts, and our plugin is loaded before pytest's.
"""

try:
    import langchain_core as _langchain_core
except ImportError as error:
    from agentcache.errors import MissingExtraError

    raise MissingExtraError("langchain", "langchain_core") from error

from agentcache_langchain.recalling import recall_tool
from agentcache_langchain.running import in_parallel, runner
from agentcache_langchain.wrapping import attachments, unwrap, wrap

del _langchain_core

__all__ = ["attachments", "in_parallel", "recall_tool", "runner", "unwrap", "wrap"]
