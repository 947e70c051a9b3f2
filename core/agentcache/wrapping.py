"""wrap, unwrap, wrapped, report, session: one call for every framework."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from importlib import import_module
from importlib.metadata import entry_points
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from agentcache.attach import (
    CHAT_LAYOUTS,
    CHAT_OPTIONS,
    Adapter,
    Attachment,
    Layout,
    Options,
)
from agentcache.breaks import CacheBreak
from agentcache.compaction import Compaction, ContentStore, MemoryStore
from agentcache.errors import NothingToForkError, OptionError, UnknownObjectError
from agentcache.gate import Gate
from agentcache.ledger import Ledger
from agentcache.parent import checked_context
from agentcache.sessions import Session

if TYPE_CHECKING:
    from agentcache.reports import Report

__all__ = ["adapter_for", "observe", "report", "session", "unwrap", "wrap", "wrapped"]

T = TypeVar("T")
GROUP = "agentcache.adapters"
DEFAULT_SYSTEM = (
    "You are one worker of a team. Everything up to here is shared by all of you; "
    "who you are and what you have to do follows."
)


def wrap(  # noqa: PLR0913 - one call holds every wish
    x: T,
    *,
    system: str | None = None,
    context: Sequence[str] = (),
    session: Session | None = None,
    layout: Layout = "auto",
    strict: bool = False,
    guard: bool = True,
    provider: str | None = None,
    ttl: str | None = None,
    hoist: bool = True,
    preflight: Literal["ask", "local"] = "ask",
    tools: Literal["auto", "union"] = "auto",
    history: Literal["own", "group"] = "own",
    private_traces: Literal["tail", "drop"] = "tail",
    private_prompts: bool = False,
    gate: Gate | None = None,
    ledger: Ledger | str | PathLike[str] | None = None,
    on_break: Callable[[CacheBreak], object] | Literal["warn"] | None = None,
    diagnostics: bool = False,
    compact: Compaction | bool = False,
    store: ContentStore | None = None,
) -> T:
    """Make every agent of `x` a fork of one shared, frozen parent.

    A crew, team, manager or an SDK's client is changed in place and returned; a model comes back as
    a forked copy. Wrapping twice changes nothing.

    Args:
        x: An object of a framework that has an adapter, such as a `crewai.Crew`, or a client of
            `openai` or `anthropic`. Where the adapter takes several, a list of them shares one
            parent.
        system: Shared system text; a neutral sentence by default. Each agent keeps its own text,
            verbatim, in its own tail.
        context: Texts that all agents share, such as a brief. Where a program carries one of them
            verbatim in its own prompts, it is sent once, in the shared trunk.
        session: Join an existing parent instead of making one.
        layout: `auto` forks unless it is estimated to cost more than leaving the program alone;
            `fork` forks in any case; `as_is` changes nothing and only keeps the ledger. For group
            chats also `tail`: each agent's own text follows all that was said so far, at every
            turn and from the first one on; and `roster`: the texts of all agents stand in front,
            for all to read.
        strict: Raise where a request differs from what the parent froze, instead of sending it
            unchanged; a late tool raises too. Calls that are not an agent's own conversation, and
            what is too small or would cost more, are reported in any case.
        guard: Turn a call to another agent's tool into an error the model can recover from.
        provider: Row id or provider name in the rules, e.g. `llama.cpp`, where endpoint and model
            name do not tell.
        ttl: Name of the entry's lifetime, e.g. `1h`; the provider's default otherwise.
        hoist: Find texts that several agents or tasks carry verbatim, be it a brief in every task
            or an answer handed on, and share each among those that carry it. Off, only `context`
            is shared.
        preflight: `local` answers the framework's own token count before a call by an estimate,
            scaled to what the provider last counted, and asks only within 20 % of the threshold.
        tools: `auto` offers each agent its own tools in its own part of the request, where its
            model is known to take tools in mid-conversation; elsewhere, and with `union`, the tools
            of all agents stand in front and each agent is held to its own.
        history: For group chats: `own` sends an agent what its framework gives it; `group` sends
            the whole chat, also to one that joined late.
        private_traces: For group chats: an agent's own earlier calls of tools stand in its `tail`,
            or `drop` leaves them out once the answer was said to all.
        private_prompts: For group chats: agents must not read each other's prompts; no layout
            may show them.
        gate: A gate to share between several wrapped programs.
        ledger: A ledger, or a path to append JSON lines to.
        on_break: Called with every `CacheBreak`, as its call ends; or `warn`: a `CacheBreakWarning`
            each, which `-W error` turns into errors of your program.
        diagnostics: Ask Claude's API, and OpenAI's Responses from GPT-5.6 on, why a fork did not
            read what the call before it wrote, and hold that beside what the bytes say. Nothing is
            asked at other hosts, which refuse the question, unless `provider` names one of the two.
        compact: Put placeholders in the place of large and old tool results: `True`, or a
            `Compaction` that says when. Agents are given a tool, `recall_result`, to read again
            what was replaced. Nothing is lost, and the prefix moves in rare, announced steps.
        store: Where compaction keeps the originals and what it decided: in memory by default, or a
            `SqliteStore`, which outlives the process.

    Raises:
        UnknownObjectError: no installed adapter takes `x`.
        NothingToForkError: `x` has no agent with a model.
        ToolConflictError: two agents define one tool name differently.
        OptionError: an option that cannot be had.

    """
    options = options_of(
        system=system,
        context=context,
        session=session,
        layout=layout,
        strict=strict,
        guard=guard,
        provider=provider,
        ttl=ttl,
        hoist=hoist,
        preflight=preflight,
        tools=tools,
        history=history,
        private_traces=private_traces,
        private_prompts=private_prompts,
        gate=gate,
        ledger=ledger,
        on_break=on_break,
        diagnostics=diagnostics,
        compact=compact,
        store=store,
    )
    adapter = adapter_for(x)
    _check_chats(x, adapter, options)
    for earlier in adapter.attachments(x):
        _check_same(x, earlier.options, options, own_ledger=ledger is not None)
    return cast("T", adapter.wrap(x, options))


def options_of(  # noqa: PLR0913 - one for each wish
    *,
    system: str | None = None,
    context: Sequence[str] = (),
    session: Session | None = None,
    layout: Layout = "auto",
    strict: bool = False,
    guard: bool = True,
    provider: str | None = None,
    ttl: str | None = None,
    hoist: bool = True,
    preflight: Literal["ask", "local"] = "ask",
    tools: Literal["auto", "union"] = "auto",
    history: Literal["own", "group"] = "own",
    private_traces: Literal["tail", "drop"] = "tail",
    private_prompts: bool = False,
    gate: Gate | None = None,
    ledger: Ledger | str | PathLike[str] | None = None,
    on_break: Callable[[CacheBreak], object] | Literal["warn"] | None = None,
    diagnostics: bool = False,
    compact: Compaction | bool = False,
    store: ContentStore | None = None,
) -> Options:
    """The options of `wrap`, checked."""
    _check_choice("layout", layout, get_args(Layout))
    for name, value in (("hoist", hoist), ("diagnostics", diagnostics)):
        if not isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise OptionError(f"{name}={value!r} is neither True nor False.")
    _check_choice("preflight", preflight, ("ask", "local"))
    _check_choice("tools", tools, ("auto", "union"))
    if on_break is not None and on_break != "warn" and not callable(on_break):
        raise OptionError(f"on_break={on_break!r} is neither a function nor 'warn'.")
    _check_choice("history", history, ("own", "group"))
    _check_choice("private_traces", private_traces, ("tail", "drop"))
    if layout == "roster" and private_prompts:
        raise OptionError(
            "layout='roster' shows every agent the prompts of all, and private_prompts=True "
            "forbids that. Drop one of them."
        )
    texts = checked_context(context)
    if session is not None and (system is not None or context or ttl is not None):
        raise OptionError("session= already has its system, context and ttl; drop those options.")
    book = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
    return Options(
        DEFAULT_SYSTEM if system is None else system,
        texts,
        session,
        layout,
        strict,
        guard,
        provider,
        ttl,
        hoist,
        preflight,
        tools,
        history,
        private_traces,
        private_prompts,
        Gate() if gate is None else gate,
        book,
        on_break,
        diagnostics,
        *_compaction(compact, store, layout),
    )


def _compaction(
    compact: Compaction | bool, store: ContentStore | None, layout: Layout
) -> tuple[Compaction | None, ContentStore]:
    """The wish to compact, checked, and the store."""
    wish = Compaction() if compact is True else compact or None
    if wish is not None and not isinstance(wish, Compaction):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionError(f"compact={compact!r:.60} is neither True, False nor a Compaction.")
    if wish is None and store is not None:
        raise OptionError("store= keeps what compaction replaced: pass compact=True with it.")
    if wish is not None and layout == "as_is":
        raise OptionError("layout='as_is' changes no request, and compact= would. Drop one.")
    return wish, MemoryStore() if store is None else _checked_store(store)


def _checked_store(store: ContentStore) -> ContentStore:
    """Refuse what could not keep anything now, and not at the first call."""
    verbs = [getattr(store, name, None) for name in ("put", "get", "decided")]
    if isinstance(store, type) or not all(map(callable, verbs)):
        raise OptionError(
            f"store={store!r:.60} is no store. Pass a MemoryStore(), a SqliteStore(path), or an "
            "object with put, get and decided."
        )
    return store


def _check_choice(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        words = f"{', '.join(map(repr, known[:-1]))} or {known[-1]!r}"
        raise OptionError(f"{name}={value!r} does not exist. Choose {words}.")


def _check_chats(x: object, adapter: Adapter, options: Options) -> None:
    """Refuse wishes about group chats where the framework has none."""
    plain = Options(DEFAULT_SYSTEM)
    asked = [name for name in CHAT_OPTIONS if getattr(options, name) != getattr(plain, name)]
    asked += ["layout"] if options.layout in CHAT_LAYOUTS else []
    if asked and not getattr(adapter, "CHATS", False):
        wishes = ", ".join(f"{name}={getattr(options, name)!r}" for name in asked)
        raise OptionError(
            f"{wishes}: a wish about group chats, and {type(x).__name__} is none. Drop it."
        )


def _check_same(x: object, before: Options, now: Options, *, own_ledger: bool) -> None:
    """Refuse wishes that wrapping again would drop: the options of the first time stay."""
    plain = Options(DEFAULT_SYSTEM)
    wishes = [
        f.name for f in fields(Options) if f.name not in ("gate", "ledger", "on_break", "store")
    ]
    lost = [
        name
        for name in wishes
        if getattr(now, name) not in (getattr(before, name), getattr(plain, name))
    ]
    paths = (before.ledger.path, now.ledger.path)
    if own_ledger and now.ledger is not before.ledger and len(set(paths)) > 1:
        lost.append("ledger")
    if before.layout == "as_is" and now.layout != "as_is":
        raise OptionError(
            f"This {type(x).__name__} is observed, and stays as it is. To fork its agents, "
            "agentcache.unwrap it first."
        )
    if lost:
        raise OptionError(
            f"This {type(x).__name__} is wrapped already, with other options than "
            f"{', '.join(f'{name}=' for name in lost)}. Unwrap it first."
        )


def observe(
    x: T,
    *,
    provider: str | None = None,
    ledger: Ledger | str | PathLike[str] | None = None,
    on_break: Callable[[CacheBreak], object] | Literal["warn"] | None = None,
) -> T:
    """Record what a program or a plain SDK client sends, and change nothing of it.

    Takes what `wrap` takes. `report` and `unwrap` work as after `wrap`. Raises as `wrap` does.
    """
    return wrap(x, layout="as_is", provider=provider, ledger=ledger, on_break=on_break)


def unwrap(x: T) -> T:
    """Restore `x` exactly as it was before `wrap`; does nothing if it is not wrapped."""
    return cast("T", adapter_for(x).unwrap(x))


@contextmanager
def wrapped(x: T, **options: Any) -> Generator[T]:
    """Wrap `x` for a `with` block and restore it after; takes the options of `wrap`."""
    forked = wrap(x, **options)
    try:
        yield forked
    finally:
        unwrap(forked)


def report(x: object) -> "Report":
    """Report on the calls of a wrapped object, of a Ledger, or of a recording's file.

    A path may name a ledger's file or whatever else `agentcache.recordings.read` takes.
    """
    from agentcache.reports import report_on  # noqa: PLC0415 - rich loads when it is needed

    if isinstance(x, Ledger):
        return report_on(x)
    if isinstance(x, str | PathLike):
        from agentcache.recordings import read  # noqa: PLC0415 - few programs read one

        return report_on(read(cast("str | PathLike[str]", x)).ledger())
    return report_on(_attached(x)[-1].ledger)


def session(x: object, *, model: str | None = None) -> Session:
    """Return the session of a wrapped object, or the one of its agents that use `model`.

    Raises OptionError if it has not exactly one: there is one per cache domain.
    """
    every = [s for a in _attached(x) for s in a.sessions]
    found = [s for s in every if model in (None, s.domain.model)]
    if len(found) != 1:
        domains = "; ".join(str(s.domain) for s in every)
        of = "" if model is None else f" for model={model!r}"
        raise OptionError(
            f"{type(x).__name__} has {len(found)} sessions{of}, not one. It has one per cache "
            f"domain: {domains}. Choose with session(x, model=...)."
        )
    return found[0]


def _attached(x: object) -> Sequence[Attachment]:
    found = adapter_for(x).attachments(x)
    if not found:
        raise NothingToForkError(
            f"This {type(x).__name__} is not wrapped. Call agentcache.wrap first; after unwrap, "
            "report(ledger) still works on the ledger you passed to wrap."
        )
    return found


def _several(x: object) -> list[object]:
    return list(cast("Sequence[object]", x)) if isinstance(x, list | tuple) else []


def adapter_for(x: object) -> Adapter:
    """The adapter that takes an object; raises UnknownObjectError for one that none takes."""
    known = {e.name: e.value for e in entry_points(group=GROUP)}
    several = _several(x)
    if several:
        first, *others = (adapter_for(one) for one in several)
        if all(other is first for other in others):
            return first
    for cls in type(x).__mro__:
        package = cls.__module__.partition(".")[0]
        if package in known:
            return cast("Adapter", import_module(known[package]))
    names = ", ".join(sorted(known)) or "no framework"
    raise UnknownObjectError(
        f"agentcache has no adapter for {type(x).__module__}.{type(x).__qualname__} ({x!r:.80}). "
        f"It knows objects of: {names}."
    )
