"""The embedded engine: a real LLM server with a real prefix cache, started by you.

    from agentcache.engine import serve

    with serve() as engine:
        client = openai.OpenAI(base_url=engine.openai_url, api_key="none")

Needs the extra `engine`. Importing this package imports none of it.
"""

from agentcache.engine.model import write_agent_model
from agentcache.engine.server import Engine, serve
from agentcache.engine.vocabulary import ToolCue
from agentcache.engine.weights import smollm2

__all__ = ["Engine", "ToolCue", "serve", "smollm2", "write_agent_model"]
