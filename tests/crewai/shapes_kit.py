"""Run one crew shape plain and wrapped against the same script, and keep all that can be seen."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from typing import Any

from crewai import LLM
from crewai.events import crewai_event_bus
from crewai.events.base_events import BaseEvent
from crewai.hooks import (
    clear_all_llm_call_hooks,
    register_after_llm_call_hook,
    register_before_llm_call_hook,
)

import agentcache
from agentcache import loopback
from agentcache.dialects import dialect_of
from agentcache_crewai import attachments

__all__ = [
    "BRIEF",
    "CREWAI",
    "Bench",
    "Ran",
    "Row",
    "Shape",
    "markdown",
    "measure",
    "row_of",
    "speaker",
    "staff",
]

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(600)
)
_OWN = ("search_notes", "count_words", "late_lookup", "look_at")
_ONLY = re.compile(r"You may call only these tools: ([^.]*)\.")
CREWAI = tuple(int(n) for n in version("crewai").split(".")[:3])
_ONCE = ("default_env", "codex_env", "cursor_env", "cc_env")
_MARKS = ("cache_control", "prompt_cache_breakpoint")


def speaker(turn: loopback.Turn) -> str:
    """The role that a request names last, wherever it stands in the request."""
    return _speaker(said.text for said in turn.texts)


def _speaker(texts: Iterable[str]) -> str:
    found = re.findall(r"You are ([A-Z][\w ]*)\.", "\n".join(texts))
    return found[-1] if found else "?"


def staff(turn: loopback.Turn) -> loopback.Answer:
    """Call one own tool, obey schemas, then answer by role: the same plain and forked."""
    told = _ONLY.search("\n".join(said.text for said in turn.texts))
    listed = re.findall(r"`([^`]+)`", told.group(1)) if told else turn.callable_tools
    mine = [n for n in _OWN if n in turn.callable_tools and n in listed]
    answer = loopback.agent(replace(turn, callable_tools=tuple(mine or turn.callable_tools)))
    if turn.forced_tool is not None or turn.response_schema:
        return loopback.agent(replace(turn, tool_results=()) if not mine else turn)
    if mine and not turn.tool_results:
        return answer
    return loopback.Answer(f"The {speaker(turn)} is done.")


@dataclass(frozen=True)
class Bench:
    """A fresh provider, and models that call it."""

    provider: loopback.Loopback
    folder: Any = None

    def llm(self, model: str = "gpt-6-luna", **options: Any) -> Any:
        """A model of this provider."""
        anthropic = model.startswith("claude")
        url = self.provider.url if anthropic else self.provider.openai_url
        vendor = "anthropic" if anthropic else "openai"
        return LLM(model=model, provider=vendor, base_url=url, api_key="dummy", **options)


def _itself(program: Any) -> list[Any]:
    return [program]


@dataclass(frozen=True)
class Shape:
    """One row: how the program is built and run, and what is special about it.

    `wraps` are the objects in it to wrap. `parallel` programs send and emit in no fixed order.
    `passed` calls are no forks, with a reason in the report; `outside` ones CrewAI makes past its
    own model objects. A fork shares `least` with another agent's: less where its own words are
    many, and `anew` of them start over, as a note says. `unmetered` says why CrewAI's own
    counters miss something, `lacks` why this version has no such shape.
    """

    name: str
    build: Callable[[Bench], Any]
    run: Callable[[Any], Any] = lambda crew: crew.kickoff()
    script: loopback.Script = staff
    wraps: Callable[[Any], Sequence[Any]] = _itself
    parallel: bool = False
    passed: int = 0
    outside: int = 0
    least: float = 0.95
    anew: int = 0
    notes: str = ""
    unmetered: str = ""
    lacks: str = ""


@dataclass(kw_only=True)
class Ran:
    """What one run showed.

    `heard` is what hooks and listeners saw before each call, `shown` after it; `kept` what the
    program remembers of its own conversations.
    """

    outputs: list[str]
    events: list[str]
    heard: list[str]
    shown: list[str]
    kept: list[str]
    requests: list[loopback.Logged]
    event_tokens: int
    metered: tuple[int, int, int, int] | None
    reports: list[Any]
    sessions: list[Any]

    @property
    def billed(self) -> tuple[int, int, int, int]:
        """Requests and input, cached and output tokens, as the provider counted them."""
        mine = [r for r in self.requests if not _past_crewai(r)]
        return (
            len(mine),
            sum(r.input_tokens or 0 for r in mine),
            sum(r.cached_tokens or 0 for r in mine),
            sum(r.output_tokens or 0 for r in mine),
        )

    @property
    def shares(self) -> list[float | None]:
        """For each request: the share of it that an earlier request of another agent began with."""
        said = [(_role(r), _hashed(r.body)) for r in self.requests]
        return [
            max((_shared(text, t) for who, t in said[:n] if who != role), default=None)
            for n, (role, text) in enumerate(said)
        ]

    @property
    def forks(self) -> list[bool]:
        """For each request: does it start with all of a parent's blocks?"""
        return [any(_stands_on(s, r.body) for s in self.sessions) for r in self.requests]

    @property
    def reported(self) -> tuple[int, int]:
        """Calls in the report, and those of them that it lists as passed through."""
        total = sum(report.total.calls for report in self.reports)
        return total, sum(p.calls for report in self.reports for p in report.passed_through)

    def of_forks(self) -> list[float]:
        """Shares of the forks with an earlier fork of another agent on the same parent."""
        found: list[float] = []
        for session in self.sessions:
            mine = [r for r in self.requests if _stands_on(session, r.body)]
            said = [(_role(r), _hashed(r.body)) for r in mine]
            for n, (role, text) in enumerate(said):
                others = [_shared(text, t) for who, t in said[:n] if who != role]
                found += [max(others)] if others else []
        return found


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    shape: str
    calls: str = "-"
    forks: str = "-"
    shared_before: str = "-"
    forks_share: str = "-"
    outputs: str = "-"
    events: str = "-"
    usage: str = "-"


def measure(shape: Shape, bench: Bench, *, wrapped: bool) -> Ran:
    """Build the program, run it, and gather what everybody can see of it."""
    events: list[Any] = []
    heard: list[str] = []
    shown: list[str] = []
    program = shape.build(bench)
    targets = list(shape.wraps(program))
    if wrapped:
        _wrap_all(targets)
    try:
        _listen(heard, shown)
        with crewai_event_bus.scoped_handlers():
            for kind in _kinds(BaseEvent):
                crewai_event_bus.on(kind)(lambda _source, event: events.append(event))
            result = shape.run(program)
            crewai_event_bus.flush()
    finally:
        clear_all_llm_call_hooks()
    events.sort(key=lambda e: e.timestamp)
    heard += [_plain(e.messages) for e in events if e.type == "llm_call_started"]
    done = [e for e in events if e.type == "llm_call_completed"]
    names = [_named(e) for e in events if e.type not in _ONCE]
    order = sorted if shape.parallel else list
    return Ran(
        outputs=_outputs(result),
        events=order(names),
        heard=order(heard),
        shown=order([*shown, *(_plain(e.messages) for e in done)]),
        kept=_kept(program, result),
        requests=[r for r in bench.provider.log if r.api != "other"],
        event_tokens=sum(_event_tokens(e) for e in done),
        metered=_metered(program, result),
        reports=[agentcache.report(targets[0])] if wrapped else [],
        sessions=_sessions(targets) if wrapped else [],
    )


def _listen(heard: list[str], shown: list[str]) -> None:
    """Hooks as a program registers them: `heard` before a call, `shown` after it."""

    def after(context: Any) -> None:
        heard.append(_plain(f"{context.response!s:.60}"))
        shown.append(_plain(context.messages))

    register_before_llm_call_hook(lambda context: heard.append(_plain(context.messages)))
    if CREWAI >= (1, 15):  # before, a hook after calls makes a tool call the final answer (#6529)
        register_after_llm_call_hook(after)


def _wrap_all(targets: Sequence[Any]) -> None:
    """Wrap the first; the others join its session and its ledger."""
    first = agentcache.wrap(targets[0], context=[BRIEF])
    for target in targets[1:]:
        ledger = attachments(first)[-1].ledger
        agentcache.wrap(target, session=agentcache.session(first), ledger=ledger)


def _sessions(targets: Sequence[Any]) -> list[Any]:
    found = [s for t in targets for a in attachments(t) for s in a.sessions]
    return list({id(s): s for s in found}.values())


def _kinds(cls: type[BaseEvent]) -> list[type[BaseEvent]]:
    return [k for sub in cls.__subclasses__() for k in (sub, *_kinds(sub))]


def _named(event: Any) -> str:
    agent = event.agent_role or getattr(getattr(event, "agent", None), "role", None) or ""
    without = event.type == "llm_call_completed" and not event.usage
    return f"{event.type} {agent}{' (no usage)' * without}".strip()


def _event_tokens(event: Any) -> int:
    usage = event.usage or {}
    return int(usage.get("prompt_tokens") or usage.get("input_tokens") or 0)


def _plain(value: Any) -> str:
    keep = ("role", "content", "tool_calls", "tool_call_id", "name")
    if isinstance(value, list):
        value = [{k: v for k, v in m.items() if k in keep and v is not None} for m in value]
    return re.sub(r"call_\w+", "call", json.dumps(value, default=str))


def _outputs(result: Any) -> list[str]:
    if isinstance(result, list | tuple):
        return [text for one in result for text in _outputs(one)]
    found = [str(getattr(result, "raw", result))]
    found += [f"{t.agent}: {t.raw} {t.pydantic!r} {t.json_dict!r}" for t in _tasks(result)]
    return [*found, repr(getattr(result, "pydantic", None))]


def _tasks(result: Any) -> Sequence[Any]:
    return getattr(result, "tasks_output", None) or ()


def _kept(program: Any, result: Any) -> list[str]:
    """What the program remembers of its own conversations."""
    results = result if isinstance(result, list | tuple) else [result]
    found = [_plain(list(t.messages)) for one in results for t in _tasks(one)]
    found += [_plain(list(getattr(one, "messages", None) or [])) for one in results]
    agents = getattr(program, "agents", None) or []
    return [*found, *(_plain(list(a.last_messages)) for a in agents)]


def _metered(program: Any, result: Any) -> tuple[int, int, int, int] | None:
    usage = getattr(program, "usage_metrics", None) or getattr(result, "usage_metrics", None)
    if usage is None:
        return None
    if isinstance(usage, dict):
        from crewai.types.usage_metrics import UsageMetrics

        usage = UsageMetrics(**usage)
    return (
        usage.successful_requests,
        usage.prompt_tokens,
        usage.cached_prompt_tokens,
        usage.completion_tokens,
    )


def _past_crewai(request: loopback.Logged) -> bool:
    """A call that CrewAI makes past its own model objects: instructor forces a tool, a schema."""
    return any(t.get("function", t).get("name") == "Page" for t in request.body.get("tools") or ())


def _role(request: loopback.Logged) -> str:
    texts = [json.dumps(request.body.get("system") or "")]
    texts += [
        json.dumps(m["content"]) for m in request.body["messages"] if m["role"] != "assistant"
    ]
    return _speaker(texts)


def _hashed(body: Any) -> str:
    """The request in the order a provider hashes it, without marks."""
    parts = [*(body.get("tools") or ()), body.get("response_format"), body.get("system")]
    return "\n".join(json.dumps(_bare(p)) for p in (*parts, *body["messages"]) if p)


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if k not in _MARKS}
    return [_bare(v) for v in value] if isinstance(value, list) else value


def _shared(text: str, other: str) -> float:
    """The share of a text that another begins with."""
    same, differs = 0, min(len(text), len(other)) + 1
    while differs - same > 1:
        middle = (same + differs) // 2
        alike = text.startswith(other[:middle])
        same, differs = (middle, differs) if alike else (same, middle)
    return same / len(text)


def _stands_on(session: Any, body: Any) -> bool:
    return bool(session.is_fork(dialect_of(body).blocks(body)))


def row_of(shape: Shape, plain: Ran, forked: Ran) -> Row:
    """The line of the table, from the two runs."""
    return Row(
        shape.name,
        str(len(forked.requests)),
        str(sum(forked.forks)),
        _percent(plain.shares),
        _percent(forked.of_forks()),
        "equal" if forked.outputs == plain.outputs else "differ",
        "equal" if forked.events == plain.events else "differ",
        _usage(plain, forked),
    )


def _percent(shares: Sequence[float | None]) -> str:
    known = [s for s in shares if s is not None]
    return f"{sum(known) / len(known):.0%}" if known else "-"


def _usage(plain: Ran, forked: Ran) -> str:
    if forked.metered is None:
        return "-"
    said = "exact" if forked.metered == forked.billed else "differs"
    if plain.metered and plain.metered[0] != plain.billed[0]:
        said += f" (plain: {plain.metered[0]} for {plain.billed[0]} calls)"
    return said


def markdown(rows: Sequence[Row]) -> str:
    """The table, as it stands in the documentation."""
    names = [f.name.replace("_", " ") for f in fields(Row)]
    cells = [[getattr(row, f.name) for f in fields(Row)] for row in rows]
    lines = [names, ["---"] * len(names), *cells]
    head = f"crewai {version('crewai')}, plain and wrapped, on the loopback provider (emulated)\n"
    return "\n".join([head, *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"
