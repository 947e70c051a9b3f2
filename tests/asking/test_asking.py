"""A session on a plain client: asked, forked, streamed; asserted on what arrived on the wire."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel
from tests.plain import BRIEF, MODELS, client_at

import agentcache
from agentcache import Session, loopback
from agentcache.dialects import dialect
from agentcache.errors import OptionError, OutputError, UnknownObjectError
from agentcache.loopback import Answer, ToolCall, by_text, scripted

ran: list[str] = []


def search(query: str, limit: int = 3) -> str:
    """Search the records."""
    ran.append("search")
    return f"{limit} records on {query}"


def erase(confirm: bool) -> str:
    """Erase everything."""
    ran.append("erase")
    return "erased"


def breaks(code: int) -> str:
    """Break."""
    raise RuntimeError(f"broken {code}")


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


def opened(provider: Any, api: str, *, is_async: bool = False, **options: Any) -> Any:
    held = {"system": "You are a team.", "context": [BRIEF], "tools": [search, erase], **options}
    client = client_at(provider, api, is_async=is_async)
    return Session.open(client, model=MODELS[api], api=api, **held)


def drive(provider: Any, api: str, work: Any, **options: Any) -> Any:
    """Run async work on a session, and close its client."""

    async def main() -> Any:
        session = opened(provider, api, is_async=True, **options)
        try:
            return await work(session)
        finally:
            await session.line.client.close()

    return asyncio.run(main())


def requests(provider: Any) -> list[dict[str, Any]]:
    return [dict(call.body) for call in provider.log]


def test_workers_fork_one_parent_on_the_wire(serve, api) -> None:
    provider = serve()
    session = opened(provider, api)
    wire = dialect(session.line.shape.dialect)
    session.ask("What is known?")
    for name, tools in (("finder", ["search"]), ("writer", []), ("eraser", ["erase"])):
        session.fork(name, role=f"You are the {name}.", tools=tools).ask(f"Work, {name}.")
    parent = [b.identity for b in session.parent.parent.blocks() if b.section != "params"]
    for sent in requests(provider):
        blocks = [b.identity for b in wire.hashed(sent) if b.section != "params"]
        assert blocks[: len(parent)] == parent
    whole = json.dumps(requests(provider)[-1])
    assert "You are the eraser." in whole
    assert "Work, eraser." in whole
    cold = [call for call in session.ledger.calls if not call.usage.cached_tokens]
    assert len(cold) == 1


def test_a_long_system_text_is_sent_once_in_each_request(serve, api) -> None:
    provider = serve()
    session = opened(provider, api, system=BRIEF, context=[])
    for name in ("finder", "writer"):
        session.fork(name, role=f"You are the {name}.").ask(f"Work, {name}.")
    counts = [json.dumps(sent).count(BRIEF) for sent in requests(provider)]
    assert counts == [1] * len(counts)
    assert len(counts) > 2  # each of them used a tool


def test_async_workers_do_the_same(serve, api) -> None:
    provider = serve()

    async def work(session: Any) -> list[Any]:
        workers = [session.fork(f"w{n}", role=f"You are number {n}.") for n in range(6)]
        return await asyncio.gather(*(w.ask(f"Do part {n}.") for n, w in enumerate(workers)))

    answers = drive(provider, api, work)
    assert all(a.tools == ("erase",) for a in answers)  # the first of the union, by name
    assert len([c for c in provider.log if not c.cached_tokens]) == 1


def test_a_tool_loop_runs_typed_functions(serve, api) -> None:
    call = Answer(tool_calls=(ToolCall("search", {"query": "bikes", "limit": "2"}),))
    provider = serve(scripted([call, "Two records."]))
    answer = opened(provider, api).ask("How many?")
    assert (answer.text, answer.calls, answer.tools) == ("Two records.", 2, ("search",))
    assert "2 records on bikes" in json.dumps(requests(provider)[-1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"query": "x", "limit": "many"}, "limit: Input should be a valid integer"),
        ({}, "query: Missing required argument"),
    ],
)
def test_what_is_wrong_with_arguments_is_told_to_the_model(serve, api, arguments, told) -> None:
    call = Answer(tool_calls=(ToolCall("search", arguments),))
    provider = serve(scripted([call, "Sorry."]))
    opened(provider, api).ask("How many?")
    assert told in json.dumps(requests(provider)[-1])
    assert ran == []


def test_a_tool_that_raises_is_told_to_the_model(serve, api) -> None:
    call = Answer(tool_calls=(ToolCall("breaks", {"code": 7}),))
    provider = serve(scripted([call, "I see."]))
    answer = opened(provider, api, tools=[breaks]).ask("Try.")
    assert answer.text == "I see."
    assert "Error: RuntimeError: broken 7" in json.dumps(requests(provider)[-1])


@pytest.mark.parametrize("guard", [True, False])
def test_a_foreign_tool_is_never_executed(serve, api, guard) -> None:
    call = Answer(tool_calls=(ToolCall("erase", {"confirm": True}),))
    provider = serve(scripted([call, call, "Done."]))
    worker = opened(provider, api, guard=guard).fork("finder", tools=["search"])
    if not guard:  # the positive control: without it the loop itself says that there is none such
        worker.functions["erase"] = opened(provider, api).functions["erase"]
    worker.ask("Erase it.")
    assert ran == ([] if guard else ["erase", "erase"])


def test_a_turn_limit_yields_an_answer(serve, api) -> None:
    def insists(turn: Any) -> Answer:
        if not turn.callable_tools or "used all your turns" in turn.user:
            return Answer("What I have.")
        return Answer(tool_calls=(ToolCall("search", {"query": "more"}),))

    provider = serve(insists)
    answer = opened(provider, api, max_turns=3).ask("Search on.")
    assert (answer.calls, answer.stop, ran) == (4, "turn_limit", ["search"] * 3)
    assert answer.text == "What I have."


def test_a_conversation_goes_on(serve, api) -> None:
    provider = serve(scripted(["One.", "Two."]))
    worker = opened(provider, api, tools=[]).fork("talker")
    worker.ask("First?")
    worker.ask("Second?")
    whole = json.dumps(requests(provider)[-1])
    assert all(text in whole for text in ("First?", "One.", "Second?"))


def test_a_question_that_fails_leaves_the_conversation_as_it_was(serve, api) -> None:
    answers = iter(["One.", None, "Two."])

    def script(turn: Any) -> Answer:
        said = next(answers)
        if said is None:
            raise OptionError("refused")
        return Answer(said)

    worker = opened(serve(script), api, tools=[]).fork("talker")
    worker.ask("First?")
    before = worker.messages
    for wrong in ("", "And?"):
        with pytest.raises(Exception, match=r"asked ''|refused"):
            worker.ask(wrong)
    assert worker.messages == before
    assert worker.ask("Second?").text == "Two."


class Plan(BaseModel):
    """A plan."""

    title: str
    steps: list[str]


def test_output_is_read_and_moves_no_prefix(serve, api) -> None:
    said = '```json\n{"title": "Go", "steps": ["a", "b"]}\n```'
    provider = serve(scripted(['{"title": "Go"}', said]))
    session = opened(provider, api, tools=[])
    answer = session.fork("planner").ask("Plan.", Plan)
    assert answer.output == Plan(title="Go", steps=["a", "b"])
    assert "steps: Field required" in json.dumps(requests(provider)[-1])
    assert all(call.forked for call in session.ledger.calls)


def test_output_that_never_fits_is_an_error_with_the_reason(serve, api) -> None:
    provider = serve(scripted(["no", "no", "no"]))
    with pytest.raises(OutputError, match="no Plan after 3 tries"):
        opened(provider, api, tools=[]).ask("Plan.", Plan)


def test_an_answer_streams_and_its_tools_run(serve, api) -> None:
    call = Answer(tool_calls=(ToolCall("search", {"query": "bikes"}),))
    provider = serve(scripted([call, "Three records were found."]))
    session = opened(provider, api)
    stream = session.stream("How many?")
    with pytest.raises(OptionError, match="iterate"):
        _ = stream.answer
    assert "".join(stream) == "Three records were found."
    assert stream.answer.tools == ("search",)
    assert all(call.usage.input_tokens for call in session.ledger.calls)


def test_an_answer_streams_async(serve, api) -> None:
    call = Answer(tool_calls=(ToolCall("search", {"query": "bikes"}),))
    provider = serve(scripted([call, "Three records were found."]))

    async def work(session: Any) -> Any:
        stream = session.stream("How many?")
        texts = [text async for text in stream]
        return "".join(texts), stream.answer.tools

    assert drive(provider, api, work) == ("Three records were found.", ("search",))


def test_a_stream_that_is_left_leaves_the_conversation_as_it_was(serve, api) -> None:
    provider = serve(by_text({"Second": "Two."}, default=lambda _: Answer("One, and much more.")))
    worker = opened(provider, api, tools=[]).fork("talker")
    stream = worker.stream("First?")
    next(iter(stream))
    stream.close()
    assert worker.messages == ()
    assert worker.ask("Second?").text == "Two."


def test_a_busy_provider_is_given_the_time_it_asks_for(serve, api) -> None:
    provider = serve(scripted(["Here."]))
    provider.fail("429", times=2, retry_after_s=0.05)
    session = opened(provider, api, tools=[])
    assert session.ask("Now?").text == "Here."
    assert [call.status for call in provider.log] == [429, 429, 200]
    assert len(session.ledger.calls) == 1


def test_a_request_that_is_wrong_is_not_sent_again(serve, api) -> None:
    provider = serve(scripted([]))
    with pytest.raises(Exception, match="no answer left"):
        opened(provider, api).ask("Now?")
    assert len(provider.log) == 1


def test_compaction_gives_workers_their_results_back(serve, api) -> None:
    text = "\n".join(f"line {n}: nothing" for n in range(2_000))

    def read() -> str:
        """Read it."""
        return text

    def asks(turn: Any) -> Answer:
        if not turn.tool_results:
            return Answer(tool_calls=(ToolCall("read", {}),))
        seen = turn.tool_results[-1].text
        if seen.startswith("[compacted"):
            found = seen.split("tool result ")[1].split("]")[0]
            return Answer(
                tool_calls=(ToolCall("recall_result", {"id": found, "lines": "900-900"}),)
            )
        return Answer(f"It says: {seen}")

    provider = serve(asks)
    answer = opened(provider, api, tools=[read], compact=True).ask("Read.")
    assert "line 899: nothing" in answer.text
    assert answer.tools == ("read", "recall_result")


def test_a_tool_of_one_worker_alone_joins_before_the_first_call(serve, api) -> None:
    provider = serve()
    session = opened(provider, api)
    worker = session.fork("odd", tools=[breaks])
    worker.ask("Break.")
    session.fork("finder", tools=["search"]).ask("Find.")
    names = [{t.name for t in call_tools(provider, n)} for n in range(len(provider.log))]
    assert all(found == {"breaks", "erase", "search"} for found in names)


def call_tools(provider: Any, n: int) -> Any:
    wire = dialect("openai.responses" if "input" in provider.log[n].body else "openai.chat")
    wire = dialect("anthropic.messages") if provider.log[n].api == "anthropic.messages" else wire

    class Named:
        def __init__(self, tool: Any) -> None:
            self.name = wire.tool_name(tool)

    return [Named(tool) for tool in provider.log[n].body["tools"]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tools": [lambda x: x]}, "is no tool"),
        ({"tools": [search, lambda: 1]}, "is no tool"),
        ({"api": "smoke"}, "speaks"),
        ({"max_turns": 0}, "max_turns=0"),
        ({"model": ""}, "model=''"),
        ({"layout": "diagonal"}, "layout='diagonal'"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_is_sent(serve, options, told) -> None:
    provider = serve()
    held = {"model": "gpt-6-luna", **options}
    with pytest.raises(OptionError, match=told):
        Session.open(client_at(provider, "chat"), **held)
    assert provider.log == ()


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(UnknownObjectError, match="no client of openai or anthropic"):
        Session.open("gpt-6-luna", model="gpt-6-luna")


def test_a_tool_that_the_session_has_not_is_named(serve) -> None:
    session = opened(serve(), "chat")
    with pytest.raises(OptionError, match=r"asks for the tool 'serch'.*'search'"):
        session.fork("x", tools=["serch"])


def test_a_worker_answers_one_question_at_a_time(serve) -> None:
    provider = serve(latency=loopback.Latency(base_s=0.2))

    async def work(session: Any) -> None:
        worker = session.fork("one")
        asked = asyncio.gather(worker.ask("A?"), worker.ask("B?"), return_exceptions=True)
        _, refused = await asked
        assert isinstance(refused, OptionError)
        assert "still answering" in str(refused)

    drive(provider, "chat", work)


def test_the_report_shows_what_workers_shared(serve, api) -> None:
    session = opened(serve(), api)
    for name in ("a", "b", "c"):
        session.fork(name).ask("Go.")
    rows = agentcache.report(session.ledger).rows
    assert [(row.agent, row.calls) for row in rows] == [("a", 2), ("b", 2), ("c", 2)]
