"""CrewAI: every agent of a crew becomes a fork, through its own model object.

`agentcache.wrap(crew)` finds this module by its entry point. Works with crewai >= 1.14.5, < 2.

PYTEST_DONT_REWRITE: it holds no test's asserts, and our plugin is loaded before pytest's.
"""

try:
    import crewai as _crewai
except ImportError as error:
    from agentcache.errors import MissingExtraError

    raise MissingExtraError("crewai", "crewai") from error

from agentcache_crewai.parallels import in_parallel
from agentcache_crewai.running import runner
from agentcache_crewai.wrapping import attachments, unwrap, wrap

del _crewai

__all__ = ["attachments", "in_parallel", "runner", "unwrap", "wrap"]
