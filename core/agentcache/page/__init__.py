"""One page that shows a ledger: the prefix tree drawn to scale, every call, and what broke."""

from agentcache.page.document import page_of, write_page

__all__ = ["page_of", "write_page"]
