"""`agentcache compact --dry-run`: what compaction would replace in a recorded run, and what for."""

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentcache.breaks.values import in_dollars
from agentcache.compaction import Compaction
from agentcache.errors import OptionError
from agentcache.recordings import FORMS, Recording, read
from agentcache.replays import Replaced, Replay, Weighed, replay

__all__ = ["add_arguments", "run"]

_OFF: Final = "off"
_PIPE_WIDTH: Final = 160
_USUAL: Final = Compaction()
_REASONS: Final = {
    "unsent": "large, and not sent yet",
    "pays": "stale, and the step pays",
    "cold": "stale, and the cache was cold",
    "limit": "stale, and the limit was reached",
}
_HEAD: Final = ("call", "agent", "tool", "id", "before", "after", "why", "step")
_NUMBERS: Final = ("call", "before", "after", "step")
_NOT_COUNTED: Final = (
    "Estimated: nothing was sent. Tokens are guessed by kinds of characters, what is read and "
    "written by the rules, and each step knew how many calls of its agent still follow in the "
    "recording, itself included, which a running program does not. Not counted: the tool "
    "recall_result, what models would have asked it for, and how else they would have answered."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `agentcache compact`."""
    parser.add_argument("recording", metavar="FILE", help="; ".join(FORMS.values()))
    parser.add_argument("--form", choices=sorted(FORMS), help="what FILE is, if it does not tell")
    parser.add_argument("--provider", help="whose rules hold, if models and hosts do not tell")
    parser.add_argument(
        "--dry-run", action="store_true", help="required: a recording is never rewritten"
    )
    for name, usual, text in _figures():
        parser.add_argument(
            f"--{name}",
            type=_tokens_or_off if name in ("large", "high", "limit") else _number,
            default=usual,
            metavar="N",
            help=text if name == "low" else f"{text} ({_OFF if usual is None else f'{usual:,}'})",
        )
    parser.add_argument(
        "--never",
        action="append",
        default=[],
        metavar="TOOL",
        help="a tool whose results stay; may be given again",
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="KIND",
        help="what else is compacted: input, image, reasoning; may be given again",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def _figures() -> Iterator[tuple[str, int | None, str]]:
    """The options that are figures: their names, the usual figure, and what they say."""
    off = f"or {_OFF!r}"
    yield "large", _USUAL.large, f"tokens from which a result is compacted before it is sent, {off}"
    yield "high", _USUAL.high, f"tokens of a request from which on a step is weighed, {off}"
    yield "low", None, "tokens that a step gets down to if it can: 45 %% of high water by default"
    yield "limit", _USUAL.limit, f"tokens of a request at which a step is taken anyway, {off}"
    yield "keep", _USUAL.keep, "how many of the latest results stay"
    yield "small", _USUAL.small, "tokens under which a result stays"


def _number(text: str) -> int:
    try:
        found = int(text.replace(",", ""))
    except ValueError:
        found = -1
    if found < 0:
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return found


def _tokens_or_off(text: str) -> int | None:
    return None if text == _OFF else _number(text)


def run(args: Namespace) -> int:
    """Say what compaction would have replaced, and what both runs cost.

    Raises:
        OptionError: no `--dry-run`, figures that contradict each other, a file that is no
            recording or holds no content, or a provider that no row names.

    """
    if not args.dry_run:
        raise OptionError(
            "A recording is never rewritten: add --dry-run, and agentcache compact says what "
            "compaction would have replaced in it."
        )
    compaction = _compaction(args)
    recording = read(args.recording, form=args.form)
    found = replay(recording, compaction, args.provider)
    if args.json:
        print(json.dumps(_as_json(recording, compaction, found), indent=1))
    else:
        _show(recording, compaction, found)
    return 0


def _compaction(args: Namespace) -> Compaction:
    figures = {name: getattr(args, name) for name, _, _ in _figures()}
    return Compaction(never=tuple(args.never), also=tuple(args.also), **figures)


def _as_json(recording: Recording, compaction: Compaction, found: Replay) -> dict[str, Any]:
    return {
        "file": str(recording.path),
        "form": recording.form,
        "estimated": True,
        "compaction": asdict(compaction),
        "rules": found.rules,
        "calls": found.calls,
        "agents": found.agents,
        "steps": found.steps,
        "before": asdict(found.before),
        "after": asdict(found.after),
        "replaced": [_one_as_json(one) for one in found.replaced],
        "weighed": [asdict(one) for one in found.weighed],
        "notes": [_NOT_COUNTED, *found.notes],
    }


def _one_as_json(one: Replaced) -> dict[str, Any]:
    made = one.decision
    before, after = made.tokens
    return {
        "call": one.call,
        "agent": one.agent,
        "tool": made.tool,
        "kind": made.kind,
        "id": made.content_id,
        "tokens": {"before": before, "after": after},
        "reason": made.reason,
        "step": one.step,
    }


def _show(recording: Recording, compaction: Compaction, found: Replay) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPE_WIDTH)
    if found.replaced:
        console.print(_table(recording, found))
        console.print(_sides(found))
    for text in _said(compaction, found):
        _say(console, text)
    for text in _remarks(found):
        _say(console, text, "dim")


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), soft_wrap=not console.is_terminal)


def _table(recording: Recording, found: Replay) -> Table:
    name = recording.path.name
    title = Text(f"{name}: what compaction would have replaced (estimated tokens)")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in _HEAD:
        right = name in _NUMBERS
        table.add_column(name, justify="right" if right else "left", no_wrap=right or name == "id")
    for one in found.replaced:
        table.add_row(*map(Text, _cells(one)))
    return table


def _cells(one: Replaced) -> tuple[str, ...]:
    made = one.decision
    before, after = made.tokens
    return (
        str(one.call),
        one.agent,
        (made.tool or "?") if made.kind == "result" else f"{made.tool} ({made.kind})".strip(),
        made.content_id,
        f"{before:,}",
        f"{after:,}",
        _REASONS.get(made.reason, made.reason),
        "-" if one.step is None else str(one.step),
    )


def _sides(found: Replay) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("estimated", no_wrap=True)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    before, after = found.before, found.after
    rows: list[tuple[str, float | None, float | None]] = [
        ("largest request, tokens", before.largest, after.largest),
        ("input sent, tokens", before.sent, after.sent),
        ("of it read from the cache", before.read, after.read),
        ("input bill, in fresh input tokens", before.cost, after.cost),
    ]
    for label, old, new in rows:
        if old is not None and new is not None:
            table.add_row(label, f"{old:,.0f}", f"{new:,.0f}", _change(old, new))
    if before.usd is not None and after.usd is not None:
        money = in_dollars(before.usd), in_dollars(after.usd)
        table.add_row("input bill, in dollars", *money, _change(before.usd, after.usd))
    return table


def _change(old: float, new: float) -> str:
    return f"{new / old - 1:+.0%}" if old else "-"


def _said(compaction: Compaction, found: Replay) -> Iterator[str]:
    """What happened in sentences: the sum of it, each step, and those that were refused."""
    among = f"in {_count(found.calls, 'call')} of {_count(found.agents, 'agent')}"
    if not found.replaced:
        yield f"Nothing to compact {among}. {_why_nothing(compaction, found)}"
    else:
        moved = f"the prefix moved {_count(found.steps, 'time')}"
        what = "result" if all(o.decision.kind == "result" for o in found.replaced) else "piece"
        yield f"{_count(len(found.replaced), what)} replaced {among}; {moved}."
    for one in found.weighed:
        if one.step is not None:
            yield f"Step {one.step}, at call {one.call} (agent {one.agent!r}): {one.why}"
    yield from _refused(found)


def _why_nothing(compaction: Compaction, found: Replay) -> str:
    large, high = compaction.large, compaction.high
    ask = [] if large is None else [f"no new tool result of {large:,} tokens or more to shorten"]
    ask += [] if high is None else [f"no request of {high:,} or more that a step pays for"]
    return (
        f"There was {' and '.join(ask) or 'nothing'} (largest request: {found.before.largest:,})."
    )


def _refused(found: Replay) -> Iterator[str]:
    """The steps that were refused: each agent's latest, and how many there were."""
    whose: dict[str, list[Weighed]] = {}
    for one in found.weighed:
        if one.step is None:
            whose.setdefault(one.agent, []).append(one)
    for agent, every in whose.items():
        last = every[-1]
        more = f", and at {_count(len(every) - 1, 'call')} before" if len(every) > 1 else ""
        yield f"No step at call {last.call}{more} (agent {agent!r}): {last.why}"


def _remarks(found: Replay) -> Iterator[str]:
    yield f"Rules: {'; '.join(found.rules)}."
    if found.before.cost is None:
        yield "No bill: no price per token is known for these rules."
    elif found.before.usd is None:
        yield "No dollars: they need the extra prices, and a known price of each model."
    yield _NOT_COUNTED
    yield from found.notes


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"
