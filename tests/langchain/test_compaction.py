"""Compaction under LangGraph: what arrives on the wire, what is read again, what stays."""

import inspect
import json
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool

import agentcache
from agentcache import Compaction, MemoryStore, SqliteStore, loopback
from agentcache.compaction import RECALL
from agentcache.dialects import dialect_of
from agentcache.errors import OptionError
from agentcache.loopback.scripts import _listed_tools
from agentcache_langchain.recalling import recall_tool
from agentcache_langchain.summing import hook, summed_now, unhook

from .programs import BRIEF
from .test_models import APIS, model_of, one_loop

__all__ = ["one_loop"]


def log_of(n: int, lines: int) -> str:
    rows = [f"tests/test_{n}_{k}.py::test_case_{k} PASSED in {k % 7}.{n} s" for k in range(lines)]
    rows[lines // 2] = f"tests/test_{n}.py::test_it FAILED: AssertionError: {n} != {n + 1}"
    return "\n".join(rows)


def rounds(
    turns: int, then: Callable[[loopback.Turn], loopback.Answer | None] = lambda _: None
) -> Any:
    """Run the tests so many times, do something else, then end."""

    def script(turn: loopback.Turn) -> loopback.Answer:
        made = len(turn.tool_results)
        if made < turns and "run_tests" in _listed_tools(turn):
            return loopback.Answer(tool_calls=(loopback.ToolCall("run_tests", {"n": made}),))
        return then(turn) or loopback.Answer("Nothing fails any more.")

    return script


def recalling(turn: loopback.Turn) -> loopback.Answer | None:
    """Ask for the first result that was replaced, once."""
    told = json.dumps(turn.body)
    if '"name":"recall_result","arguments"' in told.replace(" ", "") or (
        "toolu" in told and '"name": "recall_result", "input"' in told
    ):
        return None
    name = told.partition("[compacted tool result ")[2][:16]
    known = sum(
        "[compacted" not in str(one) and "AssertionError" in str(one) for one in turn.tool_results
    )
    return None if known else loopback.Answer(tool_calls=(loopback.ToolCall(RECALL, {"id": name}),))


@pytest.fixture
def serve() -> Iterator[Callable[..., loopback.Loopback]]:
    running: list[Any] = []

    def start(script: Any) -> loopback.Loopback:
        running.append(loopback.serve(script=script))
        return running[-1].__enter__()

    yield start
    for one in running:
        one.__exit__(None, None, None)


def pasted(sent: loopback.Logged) -> bool:
    """Whether a request holds a conversation as a text to sum up."""
    said = sent.raw.decode()
    return "Messages to summarize" in said and "(the conversation above)" not in said


def agent_of(provider: loopback.Loopback, api: str, lines: int = 300, **options: Any) -> Any:
    agents = pytest.importorskip("langchain.agents")

    def run_tests(n: int) -> str:
        """Run the tests."""
        return log_of(n, lines)

    tool = StructuredTool.from_function(run_tests)
    return agents.create_agent(
        model_of(provider, api), [tool], system_prompt="You fix builds.", name="fixer", **options
    )


def ask(agent: Any, text: str = "Find out why the build fails.") -> Any:
    return agent.invoke({"messages": [HumanMessage(text)]}, {"recursion_limit": 999})


def bodies(provider: loopback.Loopback) -> list[Any]:
    return [json.loads(one.raw) for one in provider.log if one.api != "other"]


def texts(body: Any) -> list[str]:
    blocks = dialect_of(body).hashed(body)
    return [b.json for b in blocks if b.section != "params"]


def moves(provider: loopback.Loopback) -> int:
    """How many requests do not begin with all of the one before."""
    sent = [texts(body) for body in bodies(provider)]
    return sum(now[: len(was)] != was for was, now in pairwise(sent))


@pytest.mark.parametrize("api", APIS)
def test_a_large_result_never_goes_out_and_is_read_again_on_request(serve, api) -> None:
    provider = serve(rounds(1, recalling))
    agent = agentcache.wrap(agent_of(provider, api), compact=True)

    state = ask(agent)

    first, second, third = bodies(provider)
    assert RECALL in json.dumps(first["tools"])
    assert first["tools"] == second["tools"] == third["tools"]
    assert "[compacted tool result" in json.dumps(second)
    assert "test_case_99 " not in json.dumps(second)
    results = [m for m in state["messages"] if isinstance(m, ToolMessage)]
    assert [m.name for m in results] == ["run_tests", RECALL]
    assert results[0].content == results[1].content == log_of(0, 300)
    assert json.dumps(log_of(0, 300))[1:-1] in json.dumps(third)
    assert moves(provider) == 0


def test_without_it_the_result_goes_out_in_full(serve) -> None:
    """Positive control."""
    provider = serve(rounds(1))
    ask(agentcache.wrap(agent_of(provider, "chat")))
    assert "test_case_99 " in json.dumps(bodies(provider)[-1])
    assert RECALL not in json.dumps(bodies(provider))


@pytest.mark.parametrize("api", APIS)
def test_twelve_turns_move_nothing_and_the_report_says_what_was_saved(serve, api) -> None:
    provider = serve(rounds(12))
    agent = agentcache.wrap(agent_of(provider, api), compact=True)

    ask(agent)

    assert len(bodies(provider)) == 13
    assert moves(provider) == 0
    calls = (
        agentcache.report(agent).ledger.calls if hasattr(agentcache.report(agent), "ledger") else []
    )
    assert all(call.broke is None for call in calls)


@pytest.mark.parametrize("api", APIS)
def test_a_step_is_announced_and_no_break_is_told(serve, api) -> None:
    provider = serve(rounds(20))
    found: list[Any] = []
    book = agentcache.Ledger()
    agent = agentcache.wrap(
        agent_of(provider, api, lines=30),
        layout="fork",
        context=[BRIEF],
        compact=Compaction(large=1_000, high=9_000),
        on_break=found.append,
        ledger=book,
    )

    ask(agent)

    steps = [note for note in book.notes if note.startswith("Compaction step")]
    assert len(steps) in (1, 2)
    assert moves(provider) == len(steps)
    assert found == []
    assert sum(bool(call.moved) for call in book.calls) == len(steps)


@pytest.mark.parametrize("api", APIS)
def test_unwrap_restores_every_byte(serve, api) -> None:
    plain, again = serve(rounds(2)), serve(rounds(2))
    ask(agent_of(plain, api))
    agent = agentcache.wrap(agent_of(again, api), compact=True)
    assert agentcache.wrap(agent, compact=True) is agent
    ask(agentcache.unwrap(agent))
    assert [one.raw for one in plain.log] == [one.raw for one in again.log]


def test_what_another_process_decided_is_kept(serve, tmp_path) -> None:
    sent: list[Any] = []
    for _ in range(2):
        store = SqliteStore(tmp_path / "results.db")
        provider = serve(rounds(2))
        ask(agentcache.wrap(agent_of(provider, "chat"), compact=True, store=store))
        sent.append(bodies(provider)[-1]["messages"])
        assert len(store) == 2
        store.close()
    assert sent[0][-1]["content"] == sent[1][-1]["content"]


def test_a_prefix_that_has_run_out_is_compacted(serve, mocker) -> None:
    clock = mocker.patch("agentcache.compaction.live.time.monotonic", return_value=1_000.0)

    def late(turn: loopback.Turn) -> None:
        clock.return_value += 4_000 if len(turn.tool_results) == 6 else 1

    provider = serve(rounds(6, late))
    book = agentcache.Ledger()
    wish = Compaction(large=None)
    agent = agentcache.wrap(agent_of(provider, "chat", lines=40), compact=wish, ledger=book)

    state = ask(agent)
    agent.invoke({"messages": [*state["messages"], HumanMessage("And now?")]})

    assert "No provider holds the prefix" in " ".join(book.notes)
    assert "[compacted" in json.dumps(bodies(provider)[-1])


@pytest.mark.parametrize("api", APIS)
def test_context_editing_leaves_clearing_to_compaction(serve, api) -> None:
    editing = pytest.importorskip("langchain.agents.middleware")
    edit = editing.ClearToolUsesEdit(trigger=12_000, keep=2)

    # Before langchain 1.1 it clears in the program's own state, once and for all.
    kept = "deepcopy" in inspect.getsource(inspect.getmodule(editing.ContextEditingMiddleware))

    def run(**options: Any) -> tuple[int, int]:
        provider = serve(rounds(40))
        middleware = [editing.ContextEditingMiddleware(edits=[edit])]
        agent = agent_of(provider, api, lines=30, middleware=middleware)
        ask(agentcache.wrap(agent, **options))
        if options:
            agentcache.unwrap(agent)
        assert middleware[0].edits == [edit]
        return moves(provider), max(one.input_tokens or 0 for one in provider.log)

    moved, longest = run()
    steadily, at_most = run(compact=True)

    assert moved >= (9 if kept else 1)
    assert steadily <= 4
    assert at_most <= longest


@pytest.mark.parametrize("api", APIS)
def test_a_summary_is_a_fork_of_its_agents_conversation(serve, api) -> None:
    editing = pytest.importorskip("langchain.agents.middleware")

    def scripted() -> Any:
        left = iter(range(10))

        def script(turn: loopback.Turn) -> loopback.Answer:
            said = json.dumps(turn.body)
            if "conversation above" in said or "Messages to summarize" in said:
                return loopback.Answer("They ran tests; one fails.")
            n = next(left, None)
            call = loopback.ToolCall("run_tests", {"n": n})
            return loopback.Answer("Done.") if n is None else loopback.Answer(tool_calls=(call,))

        return script

    def run(**options: Any) -> tuple[loopback.Loopback, agentcache.Ledger]:
        provider, book = serve(scripted()), agentcache.Ledger()
        made = editing.SummarizationMiddleware
        newer = "trigger" in inspect.signature(made).parameters  # langchain >= 1.1
        at = (
            {"trigger": ("messages", 12), "keep": ("messages", 4)}
            if newer
            else {"max_tokens_before_summary": 3_000, "messages_to_keep": 4}
        )
        summing = made(model=model_of(provider, api), **at)
        agent = agent_of(provider, api, lines=40, middleware=[summing])
        ask(agentcache.wrap(agent, ledger=book, layout="fork", context=[BRIEF], **options))
        agentcache.unwrap(agent)
        assert "_create_summary" not in vars(summing)
        return provider, book

    plain, _ = run()
    made, book = run(compact=Compaction(large=None))

    before = [one for one in plain.log if pasted(one)]
    calls = [c for c in book.calls if "Summarization" in c.agent]
    assert len(calls) == len(before) > 0
    shares = [(c.usage.cached_tokens or 0) / (c.usage.input_tokens or 1) for c in calls]
    assert min(shares) > max((one.cached_tokens or 0) / (one.input_tokens or 1) for one in before)
    assert min(shares) > 0.6
    assert not any(map(pasted, made.log))
    assert "begins anew behind the summary" in " ".join(book.notes)
    assert all(call.broke is None for call in book.calls)


def test_the_middleware_compacts_as_wrap_does(serve) -> None:
    pytest.importorskip("langchain.agents")
    module = pytest.importorskip("agentcache_langchain.middleware")
    provider = serve(rounds(1, recalling))
    share = module.PrefixForkMiddleware(compact=True)
    state = ask(agent_of(provider, "chat", middleware=[share]))
    results = [m for m in state["messages"] if isinstance(m, ToolMessage)]
    assert results[1].content == log_of(0, 300)
    assert "test_case_99 " not in json.dumps(bodies(provider)[1])


def test_an_older_agent_reads_again_too(serve) -> None:
    prebuilt = pytest.importorskip("langgraph.prebuilt")
    provider = serve(rounds(1, recalling))

    def run_tests(n: int) -> str:
        """Run the tests."""
        return log_of(n, 300)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent = prebuilt.create_react_agent(model_of(provider, "chat"), [run_tests])
        state = ask(agentcache.wrap(agent, compact=True))
    results = [m for m in state["messages"] if isinstance(m, ToolMessage)]
    assert [m.name for m in results] == ["run_tests", RECALL]
    assert results[1].content == log_of(0, 300)


def summing_of(provider: loopback.Loopback) -> Any:
    editing = pytest.importorskip("langchain.agents.middleware")
    return editing.SummarizationMiddleware(model=model_of(provider, "chat"))


@pytest.mark.parametrize("when", ["before", "after"])
def test_unwrap_leaves_a_way_to_sum_up_that_the_program_has_set(serve, when) -> None:
    summing = summing_of(serve(rounds(0)))

    def mine(messages: Any) -> str:
        return f"mine of {len(messages)}"

    if when == "before":
        summing._create_summary = mine
    hook(summing)
    if when == "after":
        summing._create_summary = mine
    unhook(summing)
    assert summing._create_summary is mine
    assert [name for name in vars(summing) if "create_summary" in name] == ["_create_summary"]


def test_a_middleware_that_is_hooked_twice_notes_its_messages_once(serve) -> None:
    provider = serve(rounds(0))
    summing = summing_of(provider)
    hook(summing)
    once = summing._create_summary
    hook(summing)
    assert summing._create_summary is once
    heard: list[Any] = []

    class Heard(type(summing)):  # type: ignore[misc]
        def _create_summary(self, messages: Any) -> str:
            heard.append(summed_now())
            return "said"

    other = Heard(model=model_of(provider, "chat"))
    hook(other)
    assert other._create_summary(["one"]) == "said"
    assert heard == [["one"]]
    assert summed_now() is None
    unhook(other)
    assert "_create_summary" not in vars(other)


def two_of(provider: loopback.Loopback, *given: Any) -> tuple[Any, Any]:
    """Two agents, the tools of which one node runs."""
    prebuilt = pytest.importorskip("langgraph.prebuilt")

    def run_tests(n: int) -> str:
        """Run the tests."""
        return log_of(n, 300)

    node = prebuilt.ToolNode([run_tests, *given])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [prebuilt.create_react_agent(model_of(provider, "chat"), node) for _ in range(2)]
    return made[0], made[1]


def test_a_node_that_two_agents_share_reads_from_one_store(serve) -> None:
    provider = serve(rounds(1, recalling))
    first, second = two_of(provider)
    store = MemoryStore()
    agentcache.wrap(first, compact=True, store=store)
    with pytest.raises(OptionError, match="Pass the same store= to every wrap"):
        agentcache.wrap(second, compact=True)
    agentcache.wrap(second, compact=True, store=store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ask(second)
    results = [one["content"] for one in bodies(provider)[-1]["messages"] if one["role"] == "tool"]
    assert results[1] == log_of(0, 300)


def test_a_recall_tool_of_the_programs_own_reads_from_the_store_of_wrap(serve) -> None:
    first, _ = two_of(serve(rounds(0)), recall_tool(MemoryStore()))
    with pytest.raises(OptionError, match="already reads recall_result from another"):
        agentcache.wrap(first, compact=True)


def test_an_agent_that_brings_the_tool_itself_keeps_it(serve) -> None:
    lang = pytest.importorskip("agentcache_langchain")
    agents = pytest.importorskip("langchain.agents")
    provider, store = serve(rounds(1, recalling)), agentcache.MemoryStore()

    def run_tests(n: int) -> str:
        """Run the tests."""
        return log_of(n, 300)

    agent = agents.create_agent(
        model_of(provider, "chat"), [run_tests, lang.recall_tool(store)], system_prompt="Fix."
    )
    state = ask(agentcache.wrap(agent, compact=True, store=store))
    results = [m for m in state["messages"] if isinstance(m, ToolMessage)]
    assert results[1].content == log_of(0, 300)
    tools = json.dumps(bodies(provider)[0]["tools"])
    assert tools.count('"recall_result"') == 1
    ask(agentcache.unwrap(agent))
    assert '"recall_result"' in json.dumps(bodies(provider)[-1]["tools"])
