"""What `agentcache demo breaks` prints: breaks as they happen, and what forking does to them."""

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentcache.demo.breaks import DEFAULT, Act, Cause, Verb, act, check, moving, other_model

__all__ = ["run"]

_VERBS: Final[Sequence[Verb]] = ("observe", "wrap")
_TITLES: Final[Mapping[Verb, str]] = {
    "observe": "As it is (agentcache.observe: not a byte is changed)",
    "wrap": "Wrapped (agentcache.wrap: every agent a fork)",
}
_RIGHT: Final = ("tokens lost", "$ lost", "as it is", "wrapped")


def run(args: Namespace) -> int:
    """Run the demo; what breaks is printed as its call ends."""
    check(args)
    console = Console(stderr=args.json, highlight=False)
    model = args.emulate or DEFAULT
    scenario = moving(model)
    moved = "; ".join(f"{cause.agent}: {cause.what}" for cause in scenario.causes)
    _say(console, f"One crew, run twice on {model} (emulated). What moves: {moved}.", "bold")
    acts: list[Act] = []
    for verb in _VERBS:
        _say(console, f"\n{_TITLES[verb]}", "bold")
        path = args.ledger if verb == "observe" else None
        played = act(scenario, model, verb, lambda text: _say(console, f"  {text}"), path)
        acts.append(played)
    if args.html is not None:
        from agentcache.page import write_page  # noqa: PLC0415 - only a page needs it

        write_page(args.html, acts[0].ledger, title="Three breaks")
    if args.json:
        print(json.dumps(_as_json(model, scenario.causes, acts), indent=1))
        return 0
    console.print("", _named(acts[0]), "", _compared(scenario.causes, acts), "", sep="\n")
    for line in _last(args):
        _say(console, line, "dim")
    return 0


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), soft_wrap=not console.is_terminal)


def _named(played: Act) -> Table:
    table = _table(
        "What broke, as it is (tokens and dollars emulated)",
        ("agent", "kind", "where", "tokens lost", "$ lost", "cure"),
    )
    for one in played.ledger.breaks:
        at = "" if one.offset is None else f" character {one.offset:,}"
        lost = "?" if one.tokens_lost is None else f"{one.tokens_lost:,}"
        money = "n/a" if one.money_lost is None else f"{one.money_lost:.5f}"
        table.add_row(one.agent, one.kind, Text(f"{one.path}{at}"), lost, money, one.cure)
    return table


def _compared(causes: Sequence[Cause], acts: Sequence[Act]) -> Table:
    """What each cause made its agent's first call send anew, as it is and as a fork."""
    table = _table(
        "Tokens sent anew by each agent's first call of the second run (emulated)",
        ("agent", "moved", "as it is", "wrapped", "wrapped, because"),
    )
    for cause in causes:
        plain, forked = (_opening(one, cause.agent) for one in acts)
        why = cause.forked
        if forked["reason"]:
            why += f" Not forked: {forked['reason'].partition(':')[0]}."
        cells = (_cell(plain, plain), _cell(forked, plain))
        table.add_row(cause.agent, cause.what, *cells, why)
    return table


def _opening(played: Act, agent: str) -> dict[str, Any]:
    """The first call of an agent in the second run, and what broke with it."""
    call = played.opening(agent)
    usage = call.usage if call is not None else None
    sent, read = (usage.input_tokens, usage.cached_tokens) if usage is not None else (None, None)
    return {
        "agent": agent,
        "kind": None if call is None or call.broke is None else call.broke.kind,
        "anew": None if sent is None or read is None else sent - read,
        "forked": call is not None and call.forked,
        "reason": "" if call is None or played.verb == "observe" else call.reason,
    }


def _cell(opening: Mapping[str, Any], plain: Mapping[str, Any]) -> str:
    anew, before = opening["anew"], plain["anew"]
    if anew is None or before is None:
        return "?"
    return f"{anew:,}\n{opening['kind'] or ('healed' if 2 * anew < before else 'not named')}"


def _table(title: str, names: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False
    )
    for name in names:
        right = name in _RIGHT
        table.add_column(
            name.replace(" lost", "\nlost") if right else name,
            justify="right" if right else "left",
            no_wrap=name in ("agent", "kind"),
            overflow="fold",
        )
    return table


def _as_json(model: str, causes: Sequence[Cause], acts: Sequence[Act]) -> dict[str, Any]:
    return {
        "model": model,
        "other_model": other_model(model),
        "source": "emulated",
        "runs": [
            {
                "verb": one.verb,
                "calls": len(one.ledger.calls),
                "breaks": [
                    {**b.model_dump(mode="json"), "cure": b.cure, "text": str(b)}
                    for b in one.ledger.breaks
                ],
                "second": [{"moved": c.what, **_opening(one, c.agent)} for c in causes],
            }
            for one in acts
        ],
    }


def _last(args: Namespace) -> list[str]:
    again = f"agentcache demo {args.name}" + (f" --emulate {args.emulate}" if args.emulate else "")
    if args.html is None and args.ledger is None:
        return [
            f"The page and the ledger of the crew as it is: {again} --html P.html --ledger L.jsonl"
        ]
    page = [] if args.html is None else [f"The page of the crew as it is: {args.html}"]
    return [
        *page,
        *([] if args.ledger is None else [f"The same breaks: agentcache breaks {args.ledger}"]),
    ]
