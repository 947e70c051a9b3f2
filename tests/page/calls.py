"""Calls made by hand, for the page: prompts as lists of blocks, and what became of them."""

import hashlib
from collections.abc import Sequence
from typing import Any

from agentcache.breaks import CacheBreak
from agentcache.ledger import Call, Ledger
from agentcache.prints import Print
from agentcache.usage import Usage

__all__ = ["broken", "call", "ledger_of", "many", "prints"]

Block = tuple[str, int]


def prints(*blocks: Block) -> tuple[Print, ...]:
    """Fingerprints of named blocks with their weights; a name is a path or what stands there."""
    made: list[Print] = []
    chain = ""
    for n, (name, weight) in enumerate(blocks):
        chain = hashlib.blake2b(f"{chain} {name}".encode(), digest_size=12).hexdigest()
        section: Any = "tools" if name.startswith("tools") else "messages"
        made.append(Print(section, f"{section}[{n}]", chain, weight, markable=True))
    return tuple(made)


def call(
    agent: str,
    *blocks: Block,
    read: int | None = 0,
    written: int | None = 0,
    total: int | None = None,
    **more: Any,
) -> Call:
    """A call that sent these blocks; its total is their weight if it is not said."""
    sent = prints(*blocks)
    weight = sum(p.weight for p in sent) if total is None else total
    index = more.get("index", 0)
    fields: dict[str, Any] = {
        "model": "gpt-6-luna",
        "rule_id": "openai-breakpoint",
        "session": "ac-1",
        "forked": True,
        "reason": "",
        "place": "follower",
        "usage": Usage(weight, read, written, 10),
        "original": sent,
        "started_s": 100.0 + index,
        "first_event_s": None,
        "ended_s": 100.5 + index,
    }
    return Call(agent=agent, sent=sent, **{**fields, **more})


def ledger_of(calls: Sequence[Call], **options: Any) -> Ledger:
    """A ledger with these calls, numbered in this order."""
    ledger = Ledger(**options)
    ledger.extend(calls)
    return ledger


def broken(agent: str, **more: Any) -> CacheBreak:
    """A break of an agent's prefix, with an excerpt of the prompt."""
    fields: dict[str, Any] = {
        "relation": "follows",
        "section": "messages",
        "path": "messages[1].content",
        "kind": "timestamp",
        "before": "the SECRET before",
        "after": "the SECRET after",
        "tokens_lost": 1_234,
    }
    return CacheBreak(agent=agent, **{**fields, **more})


def many(count: int, *, agents: int, turns: int, every: int = 50) -> Ledger:
    """A ledger of many calls: conversations on one trunk, of which some break now and then."""
    calls: list[Call] = []
    trunk = [(f"tools {n}", 1_000) for n in range(4)] + [(f"brief {n}", 4_000) for n in range(4)]
    talk = 0
    while len(calls) < count:
        name, said, length = f"agent {talk % agents}", list(trunk), 20_000
        for turn in range(min(1 + talk % turns, count - len(calls))):
            number = len(calls)
            said += [(f"{talk} asks {turn}", 60 + 40 * (talk % 9)), (f"{talk} hears {turn}", 200)]
            total = sum(weight for _, weight in said)
            broke = broken(name) if number % every == every - 1 else None
            read = 9_000 if broke else length
            more = {"written": total - read, "index": number, "broke": broke}
            calls.append(call(name, *said, read=read, **more))
            length = total
        talk += 1
    return ledger_of(calls, source="emulated")
