"""Prefix locks: fingerprints of what a program's agents share, so that reviews see it change.

A lock holds no prompt: for each block its place, a digest and its estimated tokens; tools by name.
The first words of texts stand in it only on request.
"""

from agentcache.locks.changes import changes
from agentcache.locks.files import LockFile, Program
from agentcache.locks.fingerprints import Piece, Shared, attached, fingerprint

__all__ = ["LockFile", "Piece", "Program", "Shared", "attached", "changes", "fingerprint"]
