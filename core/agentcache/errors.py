"""Every error and warning agentcache raises, in one tree.

AgentcacheError
├── MissingExtraError   (ImportError)      an optional package is not installed
├── UnknownObjectError  (TypeError)        wrap() was given something no adapter takes
├── NothingToForkError  (ValueError)       no agents, or no agent with a model
├── ToolConflictError   (ValueError)       one tool name, two schemas
├── FrozenError         (ValueError)       a request differs from what the parent froze
├── ForeignToolError    (PermissionError)  an agent insists on a tool that is not its own
├── OptionError         (ValueError)       an option that cannot be had
│   └── GraphError                         a task graph that cannot run: a cycle, an unknown name
├── OutputError         (ValueError)       an answer that does not fit the type asked for
├── BudgetError         (RuntimeError)     a budget is spent: nothing more was sent
├── TaskError           (RuntimeError)     tasks of a graph failed
├── EndpointError       (ConnectionError)  an endpoint that does not answer
└── EngineError         (RuntimeError)     the embedded engine or its model cannot be used

AgentcacheWarning (UserWarning)
└── CacheBreakWarning   a call could not read what an earlier one wrote
"""

__all__ = [
    "AgentcacheError",
    "AgentcacheWarning",
    "BudgetError",
    "CacheBreakWarning",
    "EndpointError",
    "EngineError",
    "ForeignToolError",
    "FrozenError",
    "GraphError",
    "MissingExtraError",
    "NothingToForkError",
    "OptionError",
    "OutputError",
    "TaskError",
    "ToolConflictError",
    "UnknownObjectError",
]


class AgentcacheError(Exception):
    """Root of every error that agentcache raises on purpose."""


class MissingExtraError(AgentcacheError, ImportError):
    """An optional package is missing; the message holds the install line."""

    def __init__(self, extra: str, package: str) -> None:
        """Name the extra to install and the package whose import failed."""
        super().__init__(
            f"{package!r} is not installed. Install it with the extra {extra!r}, "
            f"from a checkout of agentcache: pip install '.[{extra}]'",
            name=package,
        )


class UnknownObjectError(AgentcacheError, TypeError):
    """No installed adapter takes this object."""


class NothingToForkError(AgentcacheError, ValueError):
    """The object holds no agent whose model could be forked."""


class ToolConflictError(AgentcacheError, ValueError):
    """Two agents offer different tools under one name."""


class FrozenError(AgentcacheError, ValueError):
    """A request differs from its frozen parent in something that renders."""


class ForeignToolError(AgentcacheError, PermissionError):
    """A model keeps calling a tool that is not on the agent's own list."""


class OptionError(AgentcacheError, ValueError):
    """An option, or a combination of options, cannot be had."""


class GraphError(OptionError):
    """A task graph that cannot run; the message names the tasks."""


class OutputError(AgentcacheError, ValueError):
    """A model's answer does not fit the type that was asked for."""


class BudgetError(AgentcacheError, RuntimeError):
    """The budget is spent; what was asked for was not sent."""


class TaskError(AgentcacheError, RuntimeError):
    """Tasks of a graph failed; the message names each with its error."""


class EndpointError(AgentcacheError, ConnectionError):
    """An endpoint cannot be reached or does not speak the expected API."""


class EngineError(AgentcacheError, RuntimeError):
    """The embedded engine, or the model file it needs, cannot be used."""


class AgentcacheWarning(UserWarning):
    """Something was decided for the user, or cannot be done; the message says what."""


class CacheBreakWarning(AgentcacheWarning):
    """A cached prefix broke; the message names what moved, what it cost, and the cure."""
