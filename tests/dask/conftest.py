"""Fixtures of plain clients."""

from tests.plain import api, closed_clients, serve

__all__ = ["api", "closed_clients", "serve"]
