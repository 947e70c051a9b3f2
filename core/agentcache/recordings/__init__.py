"""Recordings: calls that another tool has written down, compared as if agentcache had seen them."""

from agentcache.recordings.forms import Form
from agentcache.recordings.reading import read
from agentcache.recordings.values import Recorded, Recording

__all__ = ["Form", "Recorded", "Recording", "read"]
