"""DESIGN section 5, law 8: no tool but an agent's own is handed on, however it is read."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")


import agentcache
from agentcache import loopback
from agentcache.errors import ForeignToolError

from .agents import (
    BRIEF,
    WAYS,
    acall,
    agentcache_calls,
    asked,
    bodies,
    call,
    client_of,
    of,
    texts_in,
)

CORRECTED = "is not one of your tools"
MARKED = "not_your_tool__"


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve() as made:
        yield made


def insists(name: str, *, gives_in: bool = False) -> Any:
    """A model that has been talked into another agent's tool."""
    number = itertools.count()

    def script(turn: loopback.Turn) -> loopback.Answer:
        told = " ".join(said.text for said in turn.texts)
        if name not in turn.tools or (gives_in and CORRECTED in told):
            return loopback.Answer("I stopped.")
        made = loopback.ToolCall(name, {"query": f"{next(number)}"})
        return loopback.Answer(tool_calls=(made,))

    return script


def both(client: Any, way: str, **more: Any) -> None:
    """Two agents, the first of which has a tool of its own, beside one that both have."""
    call(client, way, "cleaner", ["delete", "search"], **more)


def names_in(answer: Any) -> list[str]:
    """The tools that an answer calls, as the program reads them; or all the pieces of a stream."""
    pieces = answer if isinstance(answer, list) else [answer]
    held = [p if isinstance(p, dict) else p.model_dump(mode="json") for p in pieces]
    return called_in(json.dumps(held))


def called_in(text: str) -> list[str]:
    """The calls in an answer's text; Responses repeat which tools were offered."""
    bare = re.sub(r'"name":"delete",("description"|"parameters")', "", text.replace(" ", ""))
    return sorted({n for n in ("delete", MARKED + "delete") if f'"name":"{n}"' in bare})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_a_call_of_anothers_tool_is_never_handed_on(way, guard, stream) -> None:
    more = {"stream": True} if stream else {}
    with loopback.serve(script=insists("delete")) as provider:
        client = client_of(provider, way)
        agentcache.wrap(client, context=[BRIEF], guard=guard)
        both(client, way)
        called = call(client, way, "reader", ["search"], **more)
        own = call(client, way, "cleaner", ["delete", "search"], **more)
    assert names_in(called) == ([MARKED + "delete"] if guard else ["delete"])
    assert names_in(own) == ["delete"]
    asked_again = [body for body in bodies(provider) if CORRECTED in texts_in(body)]
    assert len(asked_again) == (1 if guard and not stream else 0)
    assert len(agentcache_calls(client)) == len(provider.log)


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_nor_by_an_asynchronous_client(way, stream) -> None:
    more = {"stream": True} if stream else {}
    with loopback.serve(script=insists("delete")) as provider:
        async with client_of(provider, way, is_async=True) as client:
            agentcache.wrap(client, context=[BRIEF])
            await acall(client, way, "cleaner", ["delete", "search"])
            called = await acall(client, way, "reader", ["search"], **more)
    assert names_in(called) == [MARKED + "delete"]


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_is_told_so_may_do_better(way) -> None:
    with loopback.serve(script=insists("delete", gives_in=True)) as provider:
        client = client_of(provider, way)
        agentcache.wrap(client, context=[BRIEF])
        both(client, way)
        called = call(client, way, "reader", ["search"])
    assert "I stopped." in texts_in(called.model_dump(mode="json"))
    assert [c.forked for c in agentcache_calls(client)] == [True] * 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_an_agent_without_tools_that_insists_is_stopped(way, stream) -> None:
    more = {"stream": True} if stream else {}
    with loopback.serve(script=insists("delete")) as provider:
        client = client_of(provider, way)
        agentcache.wrap(client, context=[BRIEF])
        both(client, way)
        with pytest.raises(ForeignToolError, match="though it has no tools"):
            call(client, way, "reader", **more)
        if stream:
            assert agentcache_calls(client)[-1].error == "ForeignToolError"


def raw_of(client: Any, way: str) -> list[str]:
    """What a program reads of raw answers, by every means there is."""
    raw, streamed = of(client, way).with_raw_response, of(client, way).with_streaming_response
    request = asked(way, "reader", ["search"])
    made = raw.create(**request)
    read = [made.text if isinstance(made.text, str) else made.text()]
    read.append(made.http_response.text)
    read.append(made.parse().model_dump_json())
    pieces = raw.create(**request, stream=True).parse()
    read.append(json.dumps([piece.model_dump(mode="json") for piece in pieces]))
    for reads in (lambda r: r.text(), lambda r: json.dumps(r.json()), lambda r: r.read().decode()):
        with streamed.create(**request) as answer:
            read.append(reads(answer))
    for more in ({}, {"stream": True}):
        with streamed.create(**request, **more) as answer:
            read.append("\n".join(answer.iter_lines()))
        with streamed.create(**request, **more) as answer:
            read.append(b"".join(answer.iter_bytes(7)).decode())
    return read


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_nor_by_raw_answers_however_they_are_read(way, guard) -> None:
    with loopback.serve(script=insists("delete")) as provider:
        client = client_of(provider, way)
        agentcache.wrap(client, context=[BRIEF], guard=guard)
        both(client, way)
        read = raw_of(client, way)
    for text in read:
        assert called_in(text) == ([MARKED + "delete"] if guard else ["delete"])


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS)
async def test_nor_by_asynchronous_raw_ones(way) -> None:
    read = []
    with loopback.serve(script=insists("delete")) as provider:
        async with client_of(provider, way, is_async=True) as client:
            agentcache.wrap(client, context=[BRIEF])
            await acall(client, way, "cleaner", ["delete", "search"])
            request, streamed = asked(way, "reader", ["search"]), of(client, way)
            made = await streamed.with_raw_response.create(**request)
            read.append(made.http_response.text)
            for more in ({}, {"stream": True}):
                async with streamed.with_streaming_response.create(**request, **more) as answer:
                    read.append("\n".join([line async for line in answer.iter_lines()]))
    assert len(read) == 3
    for text in read:
        assert called_in(text) == [MARKED + "delete"]


@pytest.mark.parametrize("way", WAYS)
def test_nor_by_the_helpers_of_streams(way) -> None:
    with loopback.serve(script=insists("delete")) as provider:
        client = client_of(provider, way)
        agentcache.wrap(client, context=[BRIEF])
        both(client, way)
        with of(client, way).stream(**asked(way, "reader", ["search"])) as stream:
            seen = list(stream)
            last = (
                stream.get_final_message()
                if way == "messages"
                else stream.get_final_completion()
                if way == "chat"
                else stream.get_final_response()
            )
    assert names_in(last) == [MARKED + "delete"]
    assert names_in([piece for piece in seen if hasattr(piece, "model_dump")]) == [
        MARKED + "delete"
    ]
