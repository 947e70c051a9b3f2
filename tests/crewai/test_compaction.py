"""Compaction in crews: what goes over the wire, what is read again, what CrewAI leaves to it."""

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from crewai import LLM, Agent, BaseLLM, Crew, Process, Task
from crewai.tools import BaseTool, tool

import agentcache
from agentcache import Compaction, MemoryStore, SqliteStore, loopback
from agentcache.compaction import RECALL
from agentcache.dialects import dialect_of
from agentcache.errors import OptionError
from agentcache_crewai.summing import Summing

BRIEF = "BRIEF\n" + "\n".join(
    f"{n}. The committee met {n} times in the old mill and wrote down what it had decided there."
    for n in range(120)
)
MODELS = ["gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5"]
PLACEHOLDER = re.compile(r"\[compacted tool result (\w+)\]")
COUNTS = hasattr(BaseLLM, "get_input_tokens_count")
counted = pytest.mark.skipif(not COUNTS, reason="from crewai 1.15 on")


def log_of(day: str, lines: int = 800) -> str:
    """A log of some 40 kB: no two days are alike."""
    rows = (
        f"{day} {n:04d} pump {n % 7} ran at {n * 37 % 997} rpm, all is well" for n in range(lines)
    )
    return "\n".join(rows)


@tool
def read_log(day: str) -> str:
    """Read the log of a day."""
    return log_of(day)


@tool
def read_page(day: str) -> str:
    """Read one page of the log of a day."""
    return log_of(day, 90)


Script = Callable[[loopback.Turn], loopback.Answer]


def call(name: str, **arguments: Any) -> loopback.Answer:
    return loopback.Answer(tool_calls=(loopback.ToolCall(name, arguments),))


def is_writer(turn: loopback.Turn) -> bool:
    return any("You are Writer." in said.text for said in turn.texts)


def reader(turn: loopback.Turn) -> loopback.Answer:
    """Read a log, then again what stands behind the placeholder if there is one, then answer."""
    results = turn.tool_results
    if is_writer(turn):
        return loopback.Answer("Final Answer: written.")
    if not results:
        return call("read_log", day="monday")
    found = PLACEHOLDER.search(results[-1].text)
    if found and len(results) == 1:
        return call(RECALL, id=found[1], lines=None, pattern=None)
    return loopback.Answer("Final Answer: read.")


def looper(name: str, turns: int) -> Script:
    """Call a tool so many times, even if what it answered is summed up in between."""
    called = itertools.count()

    def script(turn: loopback.Turn) -> loopback.Answer:
        if any("You are Clerk." in said.text for said in turn.texts) and not is_summary(turn):
            done = next(called)
            if done < turns:
                return call(name, day=f"day {done}")
        return loopback.Answer("Final Answer: d.")

    return script


def is_summary(turn: loopback.Turn) -> bool:
    return any("precise assistant that creates" in said.text for said in turn.texts)


@pytest.fixture
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve(script=reader) as running:
        yield running


def llm(provider: loopback.Loopback, model: str = "gpt-4.1-mini", **options: Any) -> Any:
    anthropic = model.startswith("claude")
    vendor, url = ("anthropic", provider.url) if anthropic else ("openai", provider.openai_url)
    return LLM(model=f"{vendor}/{model}", base_url=url, api_key="dummy", **options)


def clerk_of(model: Any, *tools: Any, **options: Any) -> Agent:
    more: dict[str, Any] = {"max_iter": 40, **options}
    return Agent(role="Clerk", goal="facts", backstory="B.", tools=list(tools), llm=model, **more)


def crew_of(model: Any, *tools: Any, **options: Any) -> Crew:
    """One who reads logs, and one who writes and has no tools."""
    clerk = clerk_of(model, *(tools or (read_log,)))
    writer = Agent(role="Writer", goal="write", backstory="Eloquent.", llm=model)
    tasks = [
        Task(description=f"{BRIEF}\n\n{what}", expected_output="text", agent=agent)
        for what, agent in (("Read.", clerk), ("Write.", writer))
    ]
    return Crew(agents=[clerk, writer], tasks=tasks, **options)


def calls(provider: loopback.Loopback) -> list[loopback.Logged]:
    return [r for r in provider.log if r.api != "other"]


def results_of(request: loopback.Logged) -> list[str]:
    """The texts of all tool results in a request, in order."""
    items = request.body.get("input", ())
    found: list[Any] = [i["output"] for i in items if i.get("type") == "function_call_output"]
    for message in request.body.get("messages", ()):
        parts: Any = message.get("content")
        found += [parts] if message["role"] == "tool" else []
        is_claude = isinstance(parts, list) and message["role"] == "user"
        found += (
            [p["content"] for p in parts if p.get("type") == "tool_result"] if is_claude else []
        )
    return [text_of(content) for content in found]


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def own(provider: loopback.Loopback, role: str = "Clerk") -> list[loopback.Logged]:
    return [r for r in calls(provider) if f"You are {role}." in r.raw.decode()]


def head_moves(requests: list[loopback.Logged]) -> list[int]:
    """Which of these requests do not begin with all of the one before."""
    blocks = [
        [
            b.identity
            for b in dialect_of(r.body).blocks(r.body)
            if b.section not in ("params", "free")
        ]
        for r in requests
    ]
    return [
        n for n, (one, two) in enumerate(itertools.pairwise(blocks), 1) if two[: len(one)] != one
    ]


RUNS: dict[str, Callable[[Crew], Any]] = {
    "kickoff": lambda crew: crew.kickoff(),
    "kickoff_async": lambda crew: asyncio.run(_awaited(crew.kickoff_async)),
    "akickoff": lambda crew: asyncio.run(_awaited(crew.akickoff)),
    "copy": lambda crew: crew.copy().kickoff(),
    "kickoff_for_each": lambda crew: crew.kickoff_for_each([{}])[0],
}


async def _awaited(run: Callable[[], Any]) -> Any:
    return await run()


@pytest.mark.parametrize("model", MODELS)
def test_a_large_result_is_sent_as_a_placeholder_and_read_again_to_the_byte(provider, model):
    crew = agentcache.wrap(crew_of(llm(provider, model)), compact=True)
    assert crew.kickoff().raw == "written."
    first, second, third = own(provider)
    assert results_of(first) == []
    assert PLACEHOLDER.search(results_of(second)[0])
    assert results_of(third) == [results_of(second)[0], log_of("monday")]
    assert head_moves(own(provider)) == []
    assert agentcache.report(crew).passed_through == ()


@counted
def test_responses_are_compacted_too(provider):
    model = llm(provider, "gpt-6-luna", api="responses")
    crew = agentcache.wrap(crew_of(model), compact=True)
    crew.kickoff()
    assert PLACEHOLDER.search(results_of(own(provider)[1])[0])
    assert results_of(own(provider)[2])[1] == log_of("monday")
    assert head_moves(own(provider)) == []


def test_a_users_own_model_is_given_placeholders():
    heard: list[list[str]] = []

    class Own(BaseLLM):
        def call(self, messages: Any, tools: Any = None, **kwargs: Any) -> Any:
            results = [m["content"] for m in messages if m["role"] == "tool"]
            heard.append(results)
            if "You are Writer." in str(messages) or len(results) == 2:
                return "Final Answer: read."
            found = PLACEHOLDER.search("".join(results))
            name, asked = (RECALL, {"id": found[1]}) if found else ("read_log", {"day": "monday"})
            function = {"name": name, "arguments": json.dumps(asked)}
            return [{"id": f"call_{len(results)}", "type": "function", "function": function}]

        def supports_function_calling(self) -> bool:
            return True

        def get_context_window_size(self) -> int:
            return 100_000

    crew = crew_of(Own(model="mine"))
    with pytest.warns(agentcache.AgentcacheWarning, match="safe common denominator"):
        agentcache.wrap(crew, compact=True)
    crew.kickoff()
    assert [len(results) for results in heard] == [0, 1, 2, 0]
    assert PLACEHOLDER.search(heard[1][0])
    assert heard[2] == [heard[1][0], log_of("monday")]
    compactor = agentcache.session(crew).compactor
    assert compactor is not None
    assert len(compactor._tracks) == 2  # one for each agent: what is counted is what is sent


@counted
def test_a_tool_that_was_restored_reads_again_once_its_crew_is_wrapped(provider):
    crew = agentcache.wrap(crew_of(llm(provider)), compact=True)
    kept = crew.agents[0].tools[1].model_dump(mode="json")
    restored = crew_of(llm(provider), read_log, kept)
    assert restored.agents[0].tools[1].run(id="x").startswith("Error: no result 'x' is kept.")
    store = MemoryStore()
    agentcache.wrap(restored, compact=True, store=store)
    assert [t.name for t in restored.agents[0].tools] == ["read_log", RECALL]
    restored.kickoff()
    assert results_of(own(provider)[-1])[1] == log_of("monday")


def test_without_compact_the_whole_text_goes_out(provider):
    crew = agentcache.wrap(crew_of(llm(provider)))
    crew.kickoff()
    assert results_of(own(provider)[-1]) == [log_of("monday")]
    assert RECALL not in calls(provider)[0].raw.decode()
    assert [t.name for t in crew.agents[0].tools] == ["read_log"]


@pytest.mark.parametrize("run", RUNS)
def test_every_way_to_run_a_crew_is_compacted(provider, run):
    crew = agentcache.wrap(crew_of(llm(provider)), compact=True)
    assert RUNS[run](crew).raw == "written."
    assert [len(results_of(r)) for r in own(provider)] == [0, 1, 2]
    assert "pump" not in "".join(results_of(own(provider)[1]))[1_000:]
    assert results_of(own(provider)[2])[1] == log_of("monday")


def test_copies_read_from_the_same_store(provider):
    store = MemoryStore()
    crew = agentcache.wrap(crew_of(llm(provider)), compact=True, store=store)
    crew.kickoff_for_each([{}, {}])
    assert len(own(provider)) == 6
    assert len(store) == 1


def test_an_agent_kicked_off_alone_is_compacted(provider):
    agent = agentcache.wrap(clerk_of(llm(provider), read_log), compact=True)
    agent.kickoff("Read.")
    assert [len(t) for r in own(provider)[-1:] for t in results_of(r)][1] == len(log_of("monday"))
    agentcache.unwrap(agent)
    assert [t.name for t in agent.tools] == ["read_log"]


def test_the_program_keeps_the_whole_text(provider):
    crew = agentcache.wrap(crew_of(llm(provider)), compact=True)
    said = crew.kickoff().tasks_output[0].messages
    assert next(m["content"] for m in said if m.get("role") == "tool") == log_of("monday")


@pytest.mark.parametrize("model", MODELS)
def test_twelve_turns_move_nothing(model):
    with loopback.serve(script=looper("read_log", 12)) as provider:
        crew = agentcache.wrap(crew_of(llm(provider, model)), compact=True)
        crew.kickoff()
        requests = own(provider)
        assert [len(results_of(r)) for r in requests] == [*range(13)]
        assert head_moves(requests) == []
        assert all(PLACEHOLDER.search(text) for text in results_of(requests[-1]))
        assert all((r.cached_tokens or 0) > 2000 for r in requests[1:])


def test_the_same_log_in_another_run_has_the_same_placeholder(provider, tmp_path):
    sent: list[list[str]] = []
    for _ in range(2):
        store = SqliteStore(tmp_path / "results.db")
        provider.reset()
        agentcache.wrap(crew_of(llm(provider)), compact=True, store=store).kickoff()
        sent.append(results_of(own(provider)[-1]))
        store.close()
    assert PLACEHOLDER.search(sent[0][0])
    assert sent[0] == sent[1]


def test_a_later_process_reads_what_the_first_one_stored(provider, tmp_path):
    first = SqliteStore(tmp_path / "results.db")
    agentcache.wrap(crew_of(llm(provider)), compact=True, store=first).kickoff()
    found = PLACEHOLDER.search(results_of(own(provider)[1])[0])
    first.close()
    assert found is not None

    def asks(turn: loopback.Turn) -> loopback.Answer:
        if not turn.tool_results and not is_writer(turn):
            return call(RECALL, id=found[1])
        return loopback.Answer("Final Answer: d.")

    with loopback.serve(script=asks) as later:
        second = SqliteStore(tmp_path / "results.db")
        agentcache.wrap(crew_of(llm(later)), compact=True, store=second).kickoff()
        assert results_of(own(later)[-1]) == [log_of("monday")]
        second.close()


def test_unwrap_takes_the_tool_back_and_restores_every_byte(provider):
    plain = crew_of(llm(provider))
    plain.kickoff()
    before = [r.raw for r in calls(provider)]
    provider.reset()
    crew = crew_of(llm(provider))
    tools = [crew.agents[0].tools, crew.tasks[0].tools]
    agentcache.wrap(crew, compact=True)
    assert [t.name for t in crew.agents[0].tools] == ["read_log", RECALL]
    assert crew.agents[1].tools == crew.tasks[1].tools == []
    agentcache.wrap(crew, compact=True)
    assert [t.name for t in crew.agents[0].tools] == ["read_log", RECALL]
    crew.kickoff()
    agentcache.unwrap(crew)
    assert [t.name for t in crew.agents[0].tools] == ["read_log"]
    assert [crew.agents[0].tools, crew.tasks[0].tools] == tools
    provider.reset()
    crew.kickoff()
    ids = re.compile(rb"(call_|msg_|chatcmpl-)\w+")
    assert [ids.sub(b"", r.raw) for r in calls(provider)] == [ids.sub(b"", r) for r in before]


def test_a_refusal_leaves_every_tool_as_it_was(provider):
    first = agentcache.wrap(crew_of(llm(provider)))
    crew = crew_of(llm(provider))
    with pytest.raises(OptionError, match=f"froze its tools without {RECALL}"):
        agentcache.wrap(crew, session=agentcache.session(first), compact=True)
    assert [t.name for t in crew.agents[0].tools] == ["read_log"]
    assert [t.name for t in crew.tasks[0].tools] == ["read_log"]


def test_crews_that_share_a_session_share_its_store(provider):
    store = MemoryStore()
    first = agentcache.wrap(crew_of(llm(provider)), compact=True, store=store)
    second = crew_of(llm(provider))
    agentcache.wrap(second, session=agentcache.session(first), compact=True)
    second.kickoff()
    assert results_of(own(provider)[-1])[1] == log_of("monday")
    assert len(store) == 1


def test_a_tasks_own_tools_get_the_tool_too(provider):
    crew = crew_of(llm(provider), read_page)
    crew.tasks[0].tools = [read_log]
    agentcache.wrap(crew, compact=True)
    assert [t.name for t in crew.tasks[0].tools] == ["read_log", RECALL]
    assert [t.name for t in crew.agents[0].tools] == ["read_page", RECALL]
    crew.kickoff()
    assert results_of(own(provider)[-1])[1] == log_of("monday")
    agentcache.unwrap(crew)
    assert [t.name for t in crew.tasks[0].tools] == ["read_log"]


def test_what_coworkers_answer_is_compacted_where_delegation_is_all_an_agent_has():
    def script(turn: loopback.Turn) -> loopback.Answer:
        if "You are Boss." not in " ".join(said.text for said in turn.texts):
            return loopback.Answer("Final Answer: " + log_of("monday"))
        if turn.tool_results:
            return loopback.Answer("Final Answer: delegated.")
        ask = {"task": "Read.", "context": "none", "coworker": "Writer"}
        return call("delegate_work_to_coworker", **ask)

    with loopback.serve(script=script) as provider:
        model = llm(provider)
        boss = Agent(role="Boss", goal="g", backstory="B.", llm=model, allow_delegation=True)
        others = [Agent(role=r, goal="w", backstory="E.", llm=model) for r in ("Writer", "Editor")]
        task = Task(description=f"{BRIEF}\n\nGo.", expected_output="text", agent=boss)
        crew = agentcache.wrap(Crew(agents=[boss, *others], tasks=[task]), compact=True)
        crew.kickoff()
        assert PLACEHOLDER.search(results_of(own(provider, "Boss")[-1])[0])
        assert RECALL not in json.dumps([t.name for a in others for t in a.tools])
        agentcache.unwrap(crew)
        assert task.tools == boss.tools == []


@pytest.mark.parametrize("made_by_user", [False, True])
def test_a_managers_results_are_compacted_through_its_tasks(made_by_user):
    def script(turn: loopback.Turn) -> loopback.Answer:
        if not re.search("You are (Crew Manager|Boss)", " ".join(s.text for s in turn.texts)):
            return loopback.Answer("Final Answer: " + log_of("monday"))
        if turn.tool_results:
            return loopback.Answer("Final Answer: managed.")
        ask = {"task": "Read.", "context": "none", "coworker": "Writer"}
        return call("delegate_work_to_coworker", **ask)

    with loopback.serve(script=script) as provider:
        model = llm(provider)
        boss = Agent(role="Boss", goal="g", backstory="B.", llm=model)
        led: Any = {"manager_agent": boss} if made_by_user else {"manager_llm": model}
        writer = Agent(role="Writer", goal="write", backstory="E.", llm=model)
        task = Task(description=f"{BRIEF}\n\nGo.", expected_output="text", agent=writer)
        crew = Crew(agents=[writer], tasks=[task], process=Process.hierarchical, **led)
        agentcache.wrap(crew, compact=True)
        assert crew.kickoff().raw == "Final Answer: managed."
        last = own(provider, "Boss" if made_by_user else "Crew Manager")[-1]
        assert PLACEHOLDER.search(results_of(last)[0])
        agentcache.unwrap(crew)
        assert task.tools == writer.tools == []


def test_a_tool_of_the_programs_own_with_that_name_stays(provider):
    class Own(BaseTool):
        name: str = "Recall Result"
        description: str = "Mine."

        def _run(self, id: str) -> str:  # noqa: A002 - as the placeholders have it
            return f"mine {id}"

    mine = Own()
    crew = agentcache.wrap(crew_of(llm(provider), read_log, mine), compact=True)
    crew.kickoff()
    assert results_of(own(provider)[-1])[1].startswith("mine ")
    assert [t.name for t in crew.agents[0].tools] == ["read_log", "Recall Result"]


def test_tools_that_stand_in_a_prompt_are_left_alone_and_said(provider, monkeypatch):
    model = llm(provider)
    monkeypatch.setattr(type(model), "supports_function_calling", lambda _self: False)
    crew = agentcache.wrap(crew_of(model), compact=True)
    assert [t.name for t in crew.agents[0].tools] == ["read_log"]
    assert "Not compacted: what tools answer 'Clerk'" in " ".join(agentcache.report(crew).notes)


def test_what_is_read_again_is_not_kept_in_crewais_own_cache():
    ids: list[str] = []

    def script(turn: loopback.Turn) -> loopback.Answer:
        results = turn.tool_results
        if is_writer(turn):
            return loopback.Answer("Final Answer: d.")
        if not results:
            return call("read_log", day="monday")
        ids[:] = ids or PLACEHOLDER.findall(results[0].text)
        return call(RECALL, id=ids[0]) if len(results) < 5 else loopback.Answer("Final Answer: d.")

    with loopback.serve(script=script) as provider:
        crew = crew_of(llm(provider), cache=True)
        crew.agents[0].cache = True
        crew = Crew(agents=crew.agents, tasks=crew.tasks, cache=True)
        agentcache.wrap(crew, compact=True)
        crew.kickoff()
        assert results_of(own(provider)[-1])[1:] == [log_of("monday")] * 4
        kept = [*crew._cache_handler._cache]
    assert len(kept) == 1
    assert kept[0].startswith("read_log")


@counted
def test_crewai_defers_nothing_that_compaction_replaces(provider, monkeypatch):
    model = llm(provider)
    monkeypatch.setattr(type(model), "get_context_window_size", lambda _self: 30_000)
    plain = crew_of(model)
    plain.kickoff()
    assert "temporary artifact" in results_of(own(provider)[-1])[0]
    provider.reset()
    agentcache.wrap(crew_of(model)).kickoff()
    assert "temporary artifact" in results_of(own(provider)[-1])[0]  # as CrewAI does it
    provider.reset()
    crew = agentcache.wrap(crew_of(model), compact=True)
    crew.kickoff()
    requests = own(provider)
    assert PLACEHOLDER.search(results_of(requests[1])[0])
    assert "temporary artifact" not in "".join(results_of(requests[-1]))
    assert "is too much to read at once" in results_of(requests[2])[1]
    assert head_moves(requests) == []


@counted
def test_what_is_deferred_where_nothing_is_replaced_early(provider, monkeypatch):
    model = llm(provider)
    monkeypatch.setattr(type(model), "get_context_window_size", lambda _self: 30_000)
    agentcache.wrap(crew_of(model), compact=Compaction(large=None)).kickoff()
    assert "temporary artifact" in results_of(own(provider)[-1])[0]


@counted
@pytest.mark.parametrize("preflight", ["ask", "local"])
@pytest.mark.parametrize("model", MODELS)
def test_crewai_sums_nothing_up_that_fits_once_compacted(model, preflight, monkeypatch):
    """Twelve results of 40 kB are four times the window; as placeholders they are a tenth of it."""
    with loopback.serve(script=looper("read_log", 12)) as provider:
        plain = llm(provider, model)
        monkeypatch.setattr(type(plain), "get_context_window_size", lambda _self: 50_000)
        crew = agentcache.wrap(crew_of(plain), compact=True, preflight=preflight)
        crew.kickoff()
        requests = own(provider)
        assert [len(results_of(r)) for r in requests] == [*range(13)]
        assert (
            "precise assistant that creates"
            not in b"".join(r.raw for r in calls(provider)).decode()
        )
        assert head_moves(requests) == []


@counted
@pytest.mark.parametrize("preflight", ["ask", "local"])
def test_a_step_is_taken_before_crewai_would_sum_up(preflight, monkeypatch):
    with loopback.serve(script=looper("read_page", 30)) as provider:
        model = llm(provider)
        monkeypatch.setattr(type(model), "get_context_window_size", lambda _self: 20_000)
        wish = Compaction(large=None, high=60_000, low=30_000)
        ledger = agentcache.Ledger()
        crew = crew_of(model, read_page)
        agentcache.wrap(crew, compact=wish, preflight=preflight, ledger=ledger)
        crew.kickoff()
        report = agentcache.report(crew)
        requests = own(provider)
        assert [len(results_of(r)) for r in requests] == [*range(31)]
        moves = head_moves(requests)
        told = [note for note in report.notes if note.startswith("Compaction step ")]
        assert len(moves) == len(told) >= 1
        assert [n for n, made in enumerate(ledger.calls[:31]) if made.moved] == moves
        assert "Compaction begins at 12,000 tokens and not at high=60,000" in " ".join(report.notes)
        assert report.breaks == ()


@counted
def test_without_compaction_crewai_sums_the_same_crew_up(monkeypatch):
    with loopback.serve(script=looper("read_page", 30)) as provider:
        model = llm(provider)
        monkeypatch.setattr(type(model), "get_context_window_size", lambda _self: 20_000)
        agentcache.wrap(crew_of(model, read_page)).kickoff()
        said = b"".join(r.raw for r in calls(provider)).decode()
    assert "precise assistant that creates" in said


def test_a_limit_of_the_users_own_stays(provider, monkeypatch):
    model = llm(provider)
    monkeypatch.setattr(type(model), "get_context_window_size", lambda _self: 50_000)
    wish = Compaction(limit=90_000, high=60_000, low=30_000)
    crew = agentcache.wrap(crew_of(model), compact=wish)
    compactor = agentcache.session(crew).compactor
    assert compactor is not None
    assert compactor.wish == wish
    agentcache.unwrap(crew)
    agentcache.wrap(crew, compact=replace(wish, limit=None))
    found = agentcache.session(crew).compactor
    assert found is not None
    made = replace(wish, limit=40_000, high=30_000, low=15_000)
    assert found.wish == (made if COUNTS else replace(wish, limit=None))


def test_a_window_that_no_agent_respects_sets_no_limit(provider, monkeypatch):
    model = llm(provider)
    monkeypatch.setattr(type(model), "get_context_window_size", lambda _self: 50_000)
    crew = crew_of(model)
    for agent in crew.agents:
        agent.respect_context_window = False
    agentcache.wrap(crew, compact=True)
    found = agentcache.session(crew).compactor
    assert found is not None
    assert found.wish == Compaction()


@counted
@pytest.mark.parametrize("preflight", ["ask", "local"])
@pytest.mark.parametrize("model", MODELS)
def test_what_crewai_sums_up_is_a_fork_of_its_agents_conversation(model, preflight, monkeypatch):
    """Here nothing may be compacted, so that CrewAI steps in."""
    with loopback.serve(script=looper("read_page", 24)) as provider:
        plain = llm(provider, model)
        monkeypatch.setattr(type(plain), "get_context_window_size", lambda _self: 20_000)
        ledger = agentcache.Ledger()
        wish = Compaction(never=("read_page",))
        crew = crew_of(plain, read_page)
        agentcache.wrap(crew, compact=wish, preflight=preflight, ledger=ledger)
        crew.kickoff()
        asked = [r for r in calls(provider) if "(the conversation above)" in r.raw.decode()]
        assert asked
        for one in asked:
            assert "[TOOL_RESULT" not in one.raw.decode()
            assert (one.cached_tokens or 0) > 0.8 * (one.input_tokens or 1)
        assert sum("begins anew behind the summary" in call.moved for call in ledger.calls) == len(
            asked
        )
        found = agentcache.report(crew).breaks
        assert not [one for one in found if one.section == "messages"]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(content: Any, *called: str) -> dict[str, Any]:
    wanted = [{"id": name, "function": {"name": name}} for name in called]
    return {"role": "assistant", "content": content, **({"tool_calls": wanted} if called else {})}


def result(name: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "name": name, "content": content}


PARTS = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
IMAGE = [{"type": "image_url", "image_url": {"url": "x"}}]
TURN = [user("Task"), said(None, "a", "b"), result("a", "OK"), result("b", "OK"), said("done")]
SUMMED: dict[str, tuple[list[Any], int, int | None]] = {
    "all": ([user("Task"), said("I did"), user("Important: 42")], 3, 3),
    "several parts": ([user("Task"), said(PARTS), user("Important: 42")], 3, 3),
    "several parts at first": ([user(PARTS), user("Important: 42")], 2, 2),
    "an image": ([user("Task"), user(IMAGE), user("Important: 42")], 3, 3),
    "a text of the prompt's own": ([user("Task"), said("ok"), user("summary")], 2, 2),
    "a repeated text": ([user("Task"), *[said("ok")] * 40], 17, 17),
    "a short result": (TURN, 5, 5),
    "results in two parts": (TURN, 3, None),
    "a turn without its results": (TURN, 2, 1),
    "an empty one behind it": ([user("Task"), said("ok"), said("")], 2, 2),
}


def asked_for(chunk: list[Any]) -> list[str]:
    module = pytest.importorskip("crewai.llms.context_window")
    return [message["content"] for message in module.build_summary_prompt(chunk)]


def part_of(rows: list[Any], asked: list[str]) -> int | None:
    """How many messages the fork holds in place of the text in a prompt."""
    part = Summing("Clerk", (), tuple(rows), list).first_part(asked)
    return None if part is None else len(part[1])


@counted
@pytest.mark.parametrize("case", SUMMED)
def test_a_summary_holds_exactly_the_messages_that_crewai_sums_up(case):
    rows, count, held = SUMMED[case]
    assert part_of(rows, asked_for(rows[:count])) == held


@counted
def test_a_summary_of_anything_else_is_left_to_crewai():
    rows = [user("Task"), said("A" * 5000), user("Important: 42")]
    cut = [user("Task"), said("A" * 2500)]
    assert part_of(rows, asked_for(cut)) is None
    assert part_of(rows, asked_for(rows[1:])) is None
    assert part_of(rows, asked_for([*rows, user("more")])) is None
    assert part_of(rows, ["Another system.", asked_for(rows)[1]]) is None
    assert part_of(rows, ["Sum up.", "Task"]) is None
    assert part_of(rows, []) is None


@counted
def test_what_a_part_of_a_prompt_cuts_in_two_is_not_lost(monkeypatch):
    """A message longer than the window: CrewAI sums it up in pieces, and no piece is left out."""
    with loopback.serve(script=looper("read_log", 4)) as provider:
        plain = llm(provider)
        monkeypatch.setattr(type(plain), "get_context_window_size", lambda _self: 8_000)
        crew = crew_of(plain, read_log)
        agentcache.wrap(crew, compact=Compaction(never=("read_log",)), preflight="local")
        crew.kickoff()
        assert any("[TOOL_RESULT" in r.raw.decode() for r in calls(provider))
        sums = "".join(json.dumps(r.body) for r in calls(provider) if "precise assi" in str(r.body))
        assert all(f"day 0 {n:04d} pump" in sums for n in range(0, 800, 40))
