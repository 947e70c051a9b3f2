"""Breaks: what moved a cached prefix, why, and what it cost."""

from agentcache.breaks.finder import find_break
from agentcache.breaks.live import Lookout, Seen
from agentcache.breaks.values import CacheBreak

__all__ = ["CacheBreak", "Lookout", "Seen", "find_break"]
