"""Asking without a framework: a session on a plain client, and workers that fork it."""

from agentcache.asking.functions import Tool
from agentcache.asking.loops import Answer
from agentcache.asking.opening import AsyncOpenSession, OpenSession, open_session
from agentcache.asking.workers import AsyncStream, AsyncWorker, Stream, Tap, Worker

__all__ = [
    "Answer",
    "AsyncOpenSession",
    "AsyncStream",
    "AsyncWorker",
    "OpenSession",
    "Stream",
    "Tap",
    "Tool",
    "Worker",
    "open_session",
]
