"""A forked chat model is the plain one to everybody but the provider."""

# pyright: reportPrivateUsage=false

import asyncio
import copy
import inspect
import json
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")

import anyio
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumpd, dumps, load
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

import agentcache
from agentcache import AgentcacheError, Gate, Ledger, loopback
from agentcache.loopback.scripts import _listed_tools

from .programs import BRIEF

pytestmark = pytest.mark.filterwarnings(
    "ignore:Unrecognized structured output:UserWarning",
    # The SDKs' own: older langchain packages use what they have deprecated since.
    "ignore:Pydantic serializer warnings:UserWarning",
    "ignore:The 'output_format' parameter:DeprecationWarning",
)

APIS = ("chat", "responses", "anthropic")
NAMES = {"chat": "gpt-4.1-mini", "responses": "gpt-6-luna", "anthropic": "claude-haiku-5-5"}
CALLS = ("invoke", "ainvoke", "stream", "astream", "batch", "abatch")
ROLES = ("You are the reader. Answer in JSON.", "You are the critic. Answer in JSON.")
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


@dataclass
class Bench:
    """A provider and models that speak one of its APIs."""

    provider: loopback.Loopback
    api: str

    def model(self, **given: Any) -> Any:
        return model_of(self.provider, self.api, **given)

    @property
    def sent(self) -> list[loopback.Logged]:
        return [request for request in self.provider.log if request.api != "other"]


def model_of(provider: loopback.Loopback, api: str, name: str = "", **given: Any) -> Any:
    """A model of the real package; `name` is the family's usual one if left out."""
    given = {"model": name or NAMES[api], "api_key": "x", "max_retries": 0, **given}
    if api == "anthropic":
        return ChatAnthropic(base_url=provider.url, **given)
    responses = {"use_responses_api": True} if api == "responses" else {}
    return ChatOpenAI(base_url=provider.openai_url, **responses, **given)


def play(turn: loopback.Turn) -> loopback.Answer:
    """Obey schemas and forced tools, call a tool once, then end."""
    if turn.response_schema is not None:
        return loopback.Answer('{"fit": true}')
    if turn.forced_tool is not None:
        return loopback.agent(turn)
    mine, made = _listed_tools(turn), json.dumps(turn.body)
    results = ('"tool_call_id"', '"call_id"', '"tool_use_id"')
    if mine and not any(key in made for key in results):
        return loopback.Answer(tool_calls=(loopback.ToolCall(mine[0], {"query": "tea"}),))
    return loopback.Answer("The memo is done.")


@contextmanager
def serving(api: str, script: Any = play, **options: Any) -> Iterator[Bench]:
    with loopback.serve(script=script, **options) as provider:
        yield Bench(provider, api)


@pytest.fixture(scope="module", autouse=True)
async def one_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keep one event loop for all tests of a module.

    langchain-openai closes its clients whenever they are collected, on the loop of whichever test
    is running: their own must not be closed by then.
    """
    yield  # noqa: PT022  (what has no end holds no loop)


@pytest.fixture(params=APIS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with serving(request.param) as made:
        yield made


@pytest.fixture
def chat() -> Iterator[Bench]:
    with serving("chat") as made:
        yield made


class Verdict(BaseModel):
    """What a reader thinks."""

    fit: bool


@tool
def look_up(query: str) -> str:
    """Look a word up."""
    return f"{query} is a drink"


def asked(role: str, question: str = BRIEF) -> list[BaseMessage]:
    return [SystemMessage(role), HumanMessage(question)]


def essence(message: Any) -> Any:
    """An answer without what differs from call to call."""
    if not isinstance(message, BaseMessage):
        return message
    calls = [(call["name"], call["args"]) for call in getattr(message, "tool_calls", ())]
    return (type(message).__name__, bare(message.content), calls)


def bare(content: Any) -> Any:
    if isinstance(content, dict):
        unlike = ("id", "call_id")
        return {k: bare(v) for k, v in content.items() if k not in unlike}
    return [bare(part) for part in content] if isinstance(content, list) else content


async def call(runnable: Any, way: str, messages: Any) -> Any:
    """Call in one of the ways there are; a stream's pieces are put together."""
    if way == "ainvoke":
        return await runnable.ainvoke(messages)
    if way == "astream":
        return reduce(add, [piece async for piece in runnable.astream(messages)])
    if way == "abatch":
        return (await runnable.abatch([messages]))[0]
    if way == "stream":
        return await in_thread(lambda: reduce(add, list(runnable.stream(messages))))
    if way == "batch":
        return (await in_thread(lambda: runnable.batch([messages])))[0]
    return await in_thread(lambda: runnable.invoke(messages))


async def in_thread(function: Callable[[], Any]) -> Any:
    return await anyio.to_thread.run_sync(function)


def shared_of(requests: Sequence[loopback.Logged]) -> float:
    """What share of the last of these requests was read from the cache."""
    last = requests[-1]
    assert last.cached_tokens is not None
    return last.cached_tokens / (last.input_tokens or 1)


def reasons(ledger: Ledger) -> list[str]:
    return [call.reason.partition(":")[0] for call in ledger.calls]


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS)
async def test_every_way_of_calling_sends_a_fork_and_answers_as_before(
    bench: Bench, way: str
) -> None:
    plain, ledger = bench.model(), Ledger()
    before = [essence(await call(plain, way, asked(role))) for role in ROLES]
    assert shared_of(bench.sent) == 0
    bench.provider.reset()
    forked = agentcache.wrap(plain, ledger=ledger)
    assert [essence(await call(forked, way, asked(role))) for role in ROLES] == before
    assert shared_of(bench.sent) > 0.9
    assert [entry.forked for entry in ledger.calls] == [True, True]
    assert [entry.usage.input_tokens for entry in ledger.calls] == [
        request.input_tokens for request in bench.sent
    ]


def _alternatives(model: Any) -> Any:
    which = ConfigurableField(id="which")
    other = model.configurable_alternatives(which, default_key="one", two=model.model_copy())
    return other.with_config(configurable={"which": "two"})


def _warmer(model: Any) -> Any:
    heat = ConfigurableField(id="heat")
    return model.configurable_fields(temperature=heat).with_config(configurable={"heat": 0.3})


def _renamed(model: Any) -> Any:
    field = "model_name" if isinstance(model, ChatOpenAI) else "model"
    name = "gpt-4.1" if isinstance(model, ChatOpenAI) else "claude-sonnet-5-5"
    made = model.configurable_fields(**{field: ConfigurableField(id="name")})
    return made.with_config(configurable={"name": name})


FORMS: dict[str, Callable[[Any], Any]] = {
    "tools": lambda m: m.bind_tools([look_up]),
    "any tool": lambda m: m.bind_tools([look_up], tool_choice="any"),
    "one tool": lambda m: m.bind_tools([look_up], tool_choice="look_up"),
    "function calling": lambda m: m.with_structured_output(Verdict, method="function_calling"),
    "json schema": lambda m: m.with_structured_output(Verdict, method="json_schema"),
    "json mode": lambda m: m.with_structured_output(Verdict, method="json_mode"),
    "raw": lambda m: m.with_structured_output(Verdict, include_raw=True) | (lambda x: x["parsed"]),
    "config": lambda m: m.with_config(tags=["x"], metadata={"y": 1}),
    "retry": lambda m: m.with_retry(stop_after_attempt=2),
    "fallbacks": lambda m: m.with_fallbacks([m.bind(stop=None)]),
    "temperature": _warmer,
    "name": _renamed,
    "alternatives": _alternatives,
    "copy": copy.copy,
    "model_copy": lambda m: m.model_copy(),
    "changed copy": lambda m: m.model_copy(update={"temperature": 0.1}),
    "bound twice": lambda m: m.bind_tools([look_up]).bind(temperature=0.2).with_config(tags=["z"]),
}
AS_IT_IS = ("json schema", "json mode", "name", "raw", "one tool", "function calling")
"""Forms that another schema or model may keep from sharing; then not a byte may change."""


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_model_forks_and_answers_as_before(bench: Bench, form: str) -> None:
    plain, ledger = bench.model(), Ledger()
    try:
        before = [essence(FORMS[form](plain).invoke(asked(role))) for role in ROLES]
    except (TypeError, ValueError) as error:
        pytest.skip(f"the plain model refuses it: {error!r}")
    unforked = [request.raw for request in bench.sent]
    bench.provider.reset()
    made = FORMS[form](agentcache.wrap(plain, ledger=ledger))
    assert [essence(made.invoke(asked(role))) for role in ROLES] == before
    if form in AS_IT_IS and not any(entry.forked for entry in ledger.calls):
        assert [request.raw for request in bench.sent] == unforked
        assert all(reasons(ledger))
    else:
        assert shared_of(bench.sent) > 0.9
        assert [entry.forked for entry in ledger.calls] == [True, True]


@pytest.mark.parametrize("form", ["copy.deepcopy", "deep model_copy"])
def test_a_deep_copy_of_a_fork_is_a_fork(form: str) -> None:
    with serving("anthropic") as bench:  # ChatOpenAI cannot be copied deeply, forked or not
        forked = agentcache.wrap(bench.model())
        twin: Any = (
            copy.deepcopy(forked) if form == "copy.deepcopy" else forked.model_copy(deep=True)
        )
        forked.invoke(asked(ROLES[0]))
        twin.invoke(asked(ROLES[1]))
        assert shared_of(bench.sent) > 0.9
        assert agentcache.session(twin) is agentcache.session(forked)


def test_a_stop_word_is_sent_as_the_class_sends_it() -> None:
    for api in ("chat", "anthropic"):
        with serving(api) as bench:
            forked = agentcache.wrap(bench.model())
            for role in ROLES:
                forked.bind(stop=["END"]).invoke(asked(role))
                forked.invoke(asked(role), stop=["END"])
            assert {str(r.body.get("stop", r.body.get("stop_sequences"))) for r in bench.sent} == {
                "['END']"
            }
            assert shared_of(bench.sent) > 0.9


def test_init_chat_model_objects_fork(chat: Bench) -> None:
    chat_models = pytest.importorskip("langchain.chat_models")
    url = chat.provider.openai_url
    made = chat_models.init_chat_model("openai:gpt-4.1-mini", base_url=url, api_key="x")
    forked = agentcache.wrap(made)
    for role in ROLES:
        forked.invoke(asked(role))
    assert shared_of(chat.sent) > 0.9


def test_a_fork_is_the_plain_model_to_everybody(bench: Bench) -> None:
    plain = bench.model(temperature=0.2)
    forked = agentcache.wrap(plain)
    cls = type(plain)
    assert isinstance(forked, cls)
    assert (type(forked).__name__, type(forked).__module__) == (cls.__name__, cls.__module__)
    assert dumps(forked) == dumps(plain)
    assert dumpd(forked) == dumpd(plain)
    for same in ("lc_id", "get_name", "_get_ls_params", "get_lc_namespace", "is_lc_serializable"):
        assert getattr(forked, same)() == getattr(plain, same)(), same
    for same in ("_llm_type", "_identifying_params", "lc_secrets", "lc_attributes", "InputType"):
        assert getattr(forked, same) == getattr(plain, same), same
    assert _profile(forked) == _profile(plain)
    assert forked.model_fields_set >= plain.model_fields_set
    assert set(forked.model_dump()) == set(plain.model_dump())
    assert repr(forked).partition("(")[0] == repr(plain).partition("(")[0]


def _profile(model: Any) -> Any:
    with warnings.catch_warnings(), suppress(ImportError):  # core 1.0: a beta in another package
        warnings.simplefilter("ignore")
        return getattr(model, "profile", None)
    return None


def test_a_dumped_fork_loads_as_a_plain_model(bench: Bench) -> None:
    forked = agentcache.wrap(bench.model())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `load` is a beta
        key = "ANTHROPIC_API_KEY" if bench.api == "anthropic" else "OPENAI_API_KEY"
        again = load(dumpd(forked), secrets_map={key: "x"}, **_allowing(load))
    assert type(again) is type(bench.model())


def _allowing(function: Any) -> dict[str, Any]:
    """Leave to load a partner's class, where `load` asks for it."""
    asks = "allowed_objects" in inspect.signature(function).parameters
    return {"allowed_objects": "all"} if asks else {}


class _Ear(BaseCallbackHandler):
    """Hears what callbacks are told."""

    def __init__(self) -> None:
        self.begun: list[tuple[Any, list[str]]] = []
        self.ended: list[Any] = []
        self.names: list[Any] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.begun.append((serialized, [str(m.content) for m in messages[0]]))
        self.names.append((kwargs.get("name"), sorted(kwargs.get("invocation_params") or ())))

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.ended.append(response.generations[0][0].message.usage_metadata)


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS[:4])
async def test_callbacks_see_one_run_of_the_unforked_messages(bench: Bench, way: str) -> None:
    plain = bench.model(stream_usage=True)
    ears = []
    for model in (plain, agentcache.wrap(plain)):
        ear = _Ear()
        made = model.with_config(callbacks=[ear], run_name="reader")
        await call(made, way, asked(ROLES[0]))
        ears.append(ear)
    one, two = ears
    assert two.begun == one.begun
    assert two.names == one.names
    assert len(one.ended) == len(two.ended) == 1
    # Some classes count a stream twice (langchain-anthropic 0.3): then a fork does so too.
    counts = [ear.ended[0]["input_tokens"] for ear in ears]
    assert counts[1] / counts[0] == _input(bench.sent[-1:]) / _input(bench.sent[:1])


@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_usage_is_counted_once(bench: Bench) -> None:
    callbacks = pytest.importorskip("langchain_core.callbacks")
    if not hasattr(callbacks, "get_usage_metadata_callback"):
        pytest.skip("this langchain-core has no usage callback")
    plain = bench.model(stream_usage=True)
    counted = []
    for model in (plain, agentcache.wrap(plain)):
        bench.provider.reset()
        with callbacks.get_usage_metadata_callback() as heard:
            model.invoke(asked(ROLES[0]))
            list(model.stream(asked(ROLES[1])))
        (usage,) = heard.usage_metadata.values()
        counted.append(usage["input_tokens"] / _input(bench.sent))
    assert counted[1] == pytest.approx(counted[0], rel=1e-3)


def _input(requests: Sequence[loopback.Logged]) -> int:
    return sum(request.input_tokens or 0 for request in requests)


@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_token_counting_is_the_plain_models(bench: Bench) -> None:
    plain = bench.model(custom_get_token_ids=lambda text: [len(word) for word in text.split()])
    forked = agentcache.wrap(plain)
    assert forked.get_num_tokens("two words") == plain.get_num_tokens("two words") == 2
    if bench.api == "anthropic":
        counts = [m.get_num_tokens_from_messages(asked(ROLES[0])) for m in (plain, forked)]
        assert counts[0] == counts[1]
        one, two = (request.raw for request in bench.provider.log)
        assert one == two


def test_a_response_cache_serves_within_a_parent_and_not_across_two(bench: Bench) -> None:
    plain = bench.model(cache=InMemoryCache())
    ours, theirs = agentcache.wrap(plain), agentcache.wrap(plain, context=["Other facts. " * 40])
    for model in (ours, ours, theirs, theirs, plain, plain):
        model.invoke(asked(ROLES[0]))
    assert len(bench.sent) == 3


@pytest.mark.parametrize("kind", ["none", "own", "kept out"])
def test_pieces_of_a_stream_are_of_the_types_of_the_plain_model(bench: Bench, kind: str) -> None:
    plain = bench.model()
    forked = agentcache.wrap(plain)
    forked.bind_tools([look_up])  # joins the union: those without tools share it
    bound: Callable[[Any], Any] = lambda m: m.bind_tools([look_up]) if kind == "own" else m  # noqa: E731
    kept: dict[str, Any] = {"tools": []} if kind == "kept out" else {}
    history = asked(ROLES[0])
    shapes = []
    for model in (plain, forked):
        pieces = list(bound(model).bind(**kept).stream(history))
        texts = {type(p.content).__name__ for p in pieces if p.content}
        whole = reduce(add, pieces)
        shapes.append((texts, essence(whole), bool(whole.tool_calls)))
    assert shapes[0] == shapes[1]
    assert type(bound(forked).invoke(history).content) is type(bound(plain).invoke(history).content)


def test_streams_say_what_they_cost_and_a_note_says_so(chat: Bench) -> None:
    plain, ledger = chat.model(), Ledger()
    assert not plain.stream_usage
    forked = agentcache.wrap(plain, ledger=ledger)
    list(forked.stream(asked(ROLES[0])))
    assert ledger.calls[0].usage.input_tokens == chat.sent[0].input_tokens
    assert any("what they cost" in note for note in ledger.notes)
    assert not plain.stream_usage


def test_streams_that_the_user_silenced_stay_silent(chat: Bench) -> None:
    ledger = Ledger()
    forked = agentcache.wrap(chat.model(stream_usage=False), ledger=ledger)
    list(forked.stream(asked(ROLES[0])))
    assert "stream_options" not in chat.sent[0].body
    assert not any("what they cost" in note for note in ledger.notes)


def test_wrapping_twice_is_one_object_and_unwrapping_gives_the_original(bench: Bench) -> None:
    plain = bench.model()
    forked = agentcache.wrap(plain)
    assert forked is not plain
    assert agentcache.wrap(forked) is forked
    assert agentcache.unwrap(forked) is plain
    assert agentcache.unwrap(plain) is plain
    before = plain.invoke(asked(ROLES[0]))
    assert "one worker of a team" not in bench.sent[-1].raw.decode()
    assert essence(forked.invoke(asked(ROLES[0]))) == essence(before)


def test_a_fork_of_one_session_cannot_join_another(bench: Bench) -> None:
    forked = agentcache.wrap(bench.model())
    other = agentcache.session(agentcache.wrap(bench.model(), context=["Other facts."]))
    with pytest.raises(agentcache.AgentcacheError, match="Unwrap it first") as raised:
        agentcache.wrap(forked, session=other)
    assert type(raised.value).__name__ == "OptionError"


def test_two_models_join_one_session(bench: Bench) -> None:
    ours = agentcache.wrap(bench.model(), context=[BRIEF])
    theirs = agentcache.wrap(bench.model(temperature=0.1), session=agentcache.session(ours))
    ours.invoke(asked(ROLES[0], "Read it."))
    theirs.invoke(asked(ROLES[1], "Judge it."))
    assert shared_of(bench.sent) > 0.9


def test_a_model_of_another_domain_cannot_join(bench: Bench) -> None:
    ours = agentcache.wrap(bench.model(), context=[BRIEF])
    with pytest.raises(AgentcacheError, match="share no cache"):
        agentcache.wrap(bench.model(name="other-model-1"), session=agentcache.session(ours))


class _Own(BaseChatModel):
    """A user's own model: it keeps what it is given."""

    heard: list[Any] = []  # noqa: RUF012  (pydantic copies it)
    model: str = "own-1"

    @property
    def _llm_type(self) -> str:
        return "own"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self.heard.append((messages, kwargs))
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Done."))])

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        from langchain_core.utils.function_calling import convert_to_openai_tool

        return self.bind(tools=[convert_to_openai_tool(t) for t in tools], **kwargs)


class _Streaming(_Own):
    """One that streams as well."""

    def _stream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        self.heard.append((messages, kwargs))
        for piece in ("Do", "ne."):
            yield ChatGenerationChunk(message=AIMessageChunk(piece))


@pytest.mark.anyio
@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("cls", [_Own, _Streaming])
@pytest.mark.filterwarnings("ignore:No caching rule:agentcache.AgentcacheWarning")
async def test_a_users_own_model_is_forked_in_the_messages(cls: type[_Own], way: str) -> None:
    ledger = Ledger()
    forked = agentcache.wrap(cls(heard=[]), ledger=ledger, provider="llama.cpp")
    answers = [(await call(forked, way, asked(role))).content for role in ROLES]
    assert answers == ["Done.", "Done."]
    assert [entry.forked for entry in ledger.calls] == [True, True]
    one, two = ([str(m.content) for m in messages] for messages, _ in forked.heard)
    assert one[:-1] == two[:-1]
    assert ROLES[0] in one[-1]
    assert ROLES[1] in two[-1]
    assert BRIEF in "".join(one[:-1])
    assert "forked in the messages only" in " ".join(ledger.notes)


class _ThirdVersion(_Streaming):
    """One that makes events of its own, as langchain-core 1.4 lets it."""

    def _stream_chat_model_events(self, messages: Any, **kwargs: Any) -> Iterator[Any]:
        from langchain_core.language_models._compat_bridge import chunks_to_events

        yield from chunks_to_events(self._stream(messages, **kwargs))

    async def _astream_chat_model_events(self, messages: Any, **kwargs: Any) -> AsyncIterator[Any]:
        for event in self._stream_chat_model_events(messages, **kwargs):
            yield event


@pytest.mark.anyio
@pytest.mark.parametrize("cls", [_Streaming, _ThirdVersion])
@pytest.mark.parametrize("way", ["stream_events", "astream_events"])
@pytest.mark.filterwarnings("ignore::agentcache.AgentcacheWarning", "ignore:.*is in beta")
async def test_protocol_events_come_from_forks(cls: type[_Own], way: str) -> None:
    pytest.importorskip("langchain_core.language_models._compat_bridge")
    ledger = Ledger()
    plain: Any = cls(heard=[])
    forked = agentcache.wrap(plain.model_copy(update={"heard": []}), ledger=ledger, provider="vllm")
    for role in ROLES:
        heard = await _events(plain, way, asked(role))
        assert await _events(forked, way, asked(role)) == heard
        assert len(heard) > 2
    assert [entry.forked for entry in ledger.calls] == [True, True]
    one, two = ([str(m.content) for m in messages] for messages, _ in forked.heard)
    assert one[:-1] == two[:-1]


async def _events(model: Any, way: str, messages: Any) -> list[str]:
    if way == "stream_events":
        return [event["event"] for event in model.stream_events(messages, version="v3")]
    stream = await model.astream_events(messages, version="v3")
    return [event["event"] async for event in stream]


def test_a_context_is_told_to_every_agent(bench: Bench) -> None:
    """It may be news to them: that sending it costs more is no reason to keep it from them."""
    forked = agentcache.wrap(bench.model(), context=[BRIEF])
    for n in range(16):
        forked.invoke(asked(f"You are reader {n}.", "Go on."))
    assert all(BRIEF[-80:] in request.raw.decode() for request in bench.sent)


def test_many_threads_write_a_prefix_once(bench: Bench) -> None:
    ledger = Ledger()
    forked = agentcache.wrap(bench.model(), context=[BRIEF], ledger=ledger)
    roles = [f"You are reader {n}." for n in range(24)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda role: forked.invoke(asked(role)), roles))
    assert len({str(essence(answer)) for answer in answers}) == 1
    assert sum(not request.cached_tokens for request in bench.sent) == 1
    assert sorted(entry.place for entry in ledger.calls) == ["follower"] * 23 + ["leader"]


@pytest.mark.anyio
async def test_many_tasks_write_a_prefix_once(bench: Bench) -> None:
    forked = agentcache.wrap(bench.model(), context=[BRIEF])
    async with anyio.create_task_group() as group:
        for n in range(16):
            ask = forked.ainvoke if n % 2 else partial(call, forked, "astream")
            group.start_soon(ask, asked(f"You are reader {n}."))
    assert sum(not request.cached_tokens for request in bench.sent) == 1
    assert len(bench.sent) == 16


def test_a_stream_closed_early_leaves_the_gate_open(bench: Bench) -> None:
    ledger, gate = Ledger(), Gate(patience_s=30)
    forked = agentcache.wrap(bench.model(), context=[BRIEF], ledger=ledger, gate=gate)
    stream = forked.stream(asked(ROLES[0]))
    next(stream)
    stream.close()
    abandoned = forked.stream(asked(ROLES[1]))
    next(abandoned)
    del abandoned
    assert forked.invoke(asked(ROLES[0])).content
    assert [entry.error for entry in ledger.calls] == ["closed", "closed", ""]
    assert ledger.calls[-1].waited_s < 5


@pytest.mark.anyio
async def test_a_cancelled_call_leaves_the_gate_open(bench: Bench) -> None:
    ledger, gate = Ledger(), Gate(patience_s=30)
    forked = agentcache.wrap(bench.model(), context=[BRIEF], ledger=ledger, gate=gate)
    for n, way in enumerate(("ainvoke", "astream"), start=1):
        bench.provider.fail("slow", delay_s=30)
        task = asyncio.ensure_future(call(forked, way, asked(ROLES[0])))
        while len(bench.sent) < n:  # noqa: ASYNC110  (the provider is on a thread of its own)
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    bench.provider.reset()
    assert (await forked.ainvoke(asked(ROLES[1]))).content
    assert [bool(entry.error) for entry in ledger.calls] == [True, True, False]
    assert ledger.calls[-1].waited_s < 5


@pytest.mark.anyio
async def test_an_async_stream_closed_early_leaves_the_gate_open(bench: Bench) -> None:
    ledger, gate = Ledger(), Gate(patience_s=30)
    forked = agentcache.wrap(bench.model(), context=[BRIEF], ledger=ledger, gate=gate)
    stream = forked.astream(asked(ROLES[0]))
    await anext(stream)
    await stream.aclose()
    assert (await forked.ainvoke(asked(ROLES[1]))).content
    assert [entry.error for entry in ledger.calls] == ["closed", ""]


@pytest.mark.parametrize("fault", ["500", "429", "cut_stream"])
def test_a_failed_call_is_raised_recorded_and_passes_the_lead_on(bench: Bench, fault: Any) -> None:
    ledger, gate = Ledger(), Gate(patience_s=30)
    forked = agentcache.wrap(bench.model(), context=[BRIEF], ledger=ledger, gate=gate)
    bench.provider.fail(fault)
    with pytest.raises(Exception):  # noqa: B017, PT011  (each SDK has its own)
        list(forked.stream(asked(ROLES[0])))
    assert forked.invoke(asked(ROLES[1])).content
    assert [bool(entry.error) for entry in ledger.calls] == [True, False]


def test_a_fallback_to_a_fork_of_another_provider_answers() -> None:
    with serving("chat") as one, serving("anthropic") as two:
        first, second = agentcache.wrap(one.model()), agentcache.wrap(two.model())
        one.provider.fail("500", times=2)
        both = first.with_fallbacks([second])
        for role in ROLES:
            assert both.invoke(asked(role)).content
        assert shared_of(two.sent) > 0.9


IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
_CALL = {"name": "look_up", "args": {"query": "tea"}, "id": "call_1", "type": "tool_call"}
_CALLING = AIMessage("", tool_calls=[_CALL])
HISTORIES: dict[str, list[BaseMessage]] = {
    "image": [
        SystemMessage(ROLES[0]),
        HumanMessage([{"type": "text", "text": BRIEF}, IMAGE]),
    ],
    "blocks": [
        SystemMessage([{"type": "text", "text": ROLES[0]}, {"type": "text", "text": "Be kind."}]),
        HumanMessage([{"type": "text", "text": BRIEF}, {"type": "text", "text": "Go on."}]),
    ],
    "no system": [HumanMessage(BRIEF)],
    "two systems": [SystemMessage(ROLES[0]), SystemMessage("Be kind."), HumanMessage(BRIEF)],
    "names": [
        SystemMessage(ROLES[0], name="desk"),
        HumanMessage(BRIEF, name="ada"),
        AIMessage("Noted.", name="critic"),
        HumanMessage("Go on.", name="bob"),
    ],
    "artifact": [
        SystemMessage(ROLES[0]),
        HumanMessage(BRIEF),
        _CALLING,
        ToolMessage("tea", tool_call_id="call_1", artifact={"rows": [1]}, name="look_up"),
    ],
    "failed tool": [
        SystemMessage(ROLES[0]),
        HumanMessage(BRIEF),
        _CALLING,
        ToolMessage("no such tool", tool_call_id="call_1", status="error"),
        HumanMessage("Try again."),
    ],
    "tool blocks": [
        SystemMessage(ROLES[0]),
        HumanMessage(BRIEF),
        _CALLING,
        ToolMessage([{"type": "text", "text": "tea"}], tool_call_id="call_1"),
    ],
    "empty answer": [
        SystemMessage(ROLES[0]),
        HumanMessage(BRIEF),
        AIMessage(""),
        HumanMessage("Go on."),
    ],
    "empty system": [SystemMessage(""), HumanMessage(BRIEF)],
    "only a system": [SystemMessage(f"{ROLES[0]}\n{BRIEF}"), HumanMessage("?")],
    "ends in an answer": [SystemMessage(ROLES[0]), HumanMessage(BRIEF), AIMessage("The memo")],
    "two humans": [SystemMessage(ROLES[0]), HumanMessage(BRIEF), HumanMessage("Go on.")],
    "surrogates": [SystemMessage(ROLES[0] + " \U0001f6a2"), HumanMessage(BRIEF + " \u2028é\x00")],
    "begins with an answer": [SystemMessage(ROLES[0]), AIMessage("Hello."), HumanMessage(BRIEF)],
    "system in the middle": [
        SystemMessage(ROLES[0]),
        HumanMessage(BRIEF),
        AIMessage("Noted."),
        SystemMessage("Be kind."),
        HumanMessage("Go on."),
    ],
}


def texts_in(body: Any) -> str:
    return json.dumps(body, ensure_ascii=False)


@pytest.mark.parametrize("kind", HISTORIES)
@pytest.mark.parametrize("tools", [False, True], ids=["plain", "tools"])
def test_any_history_is_answered_as_before_and_loses_no_text(
    bench: Bench, kind: str, *, tools: bool
) -> None:
    history = HISTORIES[kind]
    bound: Callable[[Any], Any] = lambda m: m.bind_tools([look_up]) if tools else m  # noqa: E731
    plain = bench.model()
    try:
        before = bound(plain).invoke(history)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"the plain model refuses it: {str(error)[:80]}")
    forked = agentcache.wrap(plain)
    untouched = copy.deepcopy(history)
    assert essence(bound(forked).invoke(history)) == essence(before)
    assert history == untouched
    sent = texts_in(bench.sent[-1].body)
    for said in _texts(bench.sent[0].body):
        assert json.dumps(said, ensure_ascii=False)[1:-1] in sent, said[:80]


def _texts(body: Any) -> Iterator[str]:
    """Every text of a request that somebody said."""
    for key in ("system", "messages", "input"):
        yield from _strings(body.get(key))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, dict):
        for key in ("content", "text", "output", "url", "data", "arguments", "name"):
            yield from _strings(value.get(key))
        for key in ("image_url", "source", "input", "function", "tool_calls"):
            yield from _strings(value.get(key))


def test_a_system_text_that_changes_with_each_call_shares_what_follows(bench: Bench) -> None:
    """A prompt with a clock in it: it stands behind the brief, which is read all the same."""
    forked = agentcache.wrap(bench.model())
    for minute in range(3):
        forked.invoke(asked(f"It is 10:0{minute}. Answer in JSON."))
    assert shared_of(bench.sent) > 0.9


def test_a_thread_may_be_inside_two_models_at_once(chat: Bench) -> None:
    """A tool that asks another fork while a stream of the first is open does not wait for it."""
    gate = Gate(patience_s=30)
    first = agentcache.wrap(chat.model(), context=[BRIEF], gate=gate)
    second = agentcache.wrap(chat.model(temperature=0.1), session=agentcache.session(first))
    done = threading.Event()

    def work() -> None:
        for _piece in first.stream(asked(ROLES[0], "Go on.")):
            second.invoke(asked(ROLES[1], "Go on."))
        done.set()

    threading.Thread(target=work, daemon=True).start()
    assert done.wait(20)
