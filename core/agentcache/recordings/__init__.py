"""Recordings: calls that others have written down, compared as if agentcache had seen them."""

from agentcache.recordings.reading import read
from agentcache.recordings.recording import Recording
from agentcache.recordings.values import FORMS, Form, Recorded

__all__ = ["FORMS", "Form", "Recorded", "Recording", "read"]
