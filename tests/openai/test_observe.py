"""Plain SDK clients under observation: the same bytes on the wire, and what they cost."""

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("openai")
pytest.importorskip("anthropic")

import anthropic
import openai

import agentcache
from agentcache import Ledger, loopback
from agentcache.errors import CacheBreakWarning
from agentcache_openai import observing

from .conftest import opened

LONG = "You are the clerk. " + "Mind the rules of the house. " * 400
CALLS = ("chat", "chat stream", "responses", "responses stream", "messages", "messages stream")


@pytest.fixture(scope="module")
def provider() -> Iterator[loopback.Loopback]:
    with loopback.serve() as made:
        yield made


def client_of(provider: loopback.Loopback, call: str, *, is_async: bool) -> Any:
    provider.reset()
    if call.startswith("messages"):
        made = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
        return opened(made(base_url=provider.url, api_key="x", max_retries=0))
    asynchronous = openai.AsyncOpenAI if is_async else openai.OpenAI
    return opened(asynchronous(base_url=provider.openai_url, api_key="x", max_retries=0))


def asked(call: str, system: str) -> tuple[str, dict[str, Any]]:
    """The method to call, and its arguments."""
    stream: dict[str, Any] = {"stream": True} if "stream" in call else {}
    said = [{"role": "user", "content": "Hello."}]
    if call.startswith("chat"):
        options = {"stream_options": {"include_usage": True}} if stream else {}
        messages = [{"role": "system", "content": system}, *said]
        return "chat.completions", {
            "model": "gpt-4.1-mini",
            "messages": messages,
            **stream,
            **options,
        }
    if call.startswith("responses"):
        return "responses", {"model": "gpt-6-luna", "instructions": system, "input": said, **stream}
    common = {"model": "claude-haiku-5-5", "max_tokens": 99, "system": system, "messages": said}
    return "messages", {**common, **stream}


def method(client: Any, path: str) -> Any:
    for name in path.split("."):
        client = getattr(client, name)
    return client.create


def run(client: Any, call: str, system: str = LONG) -> None:
    path, arguments = asked(call, system)
    answer = method(client, path)(**arguments)
    if "stream" in call:
        with answer as stream:
            assert list(stream)


async def arun(client: Any, call: str, system: str = LONG) -> None:
    path, arguments = asked(call, system)
    answer = await method(client, path)(**arguments)
    if "stream" in call:
        async with answer as stream:
            assert [piece async for piece in stream]


def sent(provider: loopback.Loopback) -> list[bytes]:
    return [request.raw for request in provider.log if request.api != "other"]


@pytest.mark.parametrize("call", CALLS)
def test_what_is_sent_stays_the_same_and_is_counted(provider, call) -> None:
    plain = client_of(provider, call, is_async=False)
    run(plain, call)
    before = sent(provider)
    client = client_of(provider, call, is_async=False)
    ledger = Ledger()
    assert agentcache.observe(client, ledger=ledger) is client
    run(client, call)
    run(client, call)
    assert sent(provider)[0] == before[0]
    counted = [request for request in provider.log if request.api != "other"]
    assert [c.usage.input_tokens for c in ledger.calls] == [r.input_tokens for r in counted]
    assert [c.usage.cached_tokens for c in ledger.calls] == [r.cached_tokens for r in counted]
    assert ledger.source == "emulated"


@pytest.mark.anyio
@pytest.mark.parametrize("call", CALLS)
async def test_asynchronous_clients_too(provider, call) -> None:
    client = agentcache.observe(client_of(provider, call, is_async=True))
    await arun(client, call)
    await arun(client, call, LONG.replace("clerk", "CLERK"))
    await client.close()
    total = agentcache.report(client).total
    assert total.calls == 2
    assert total.input_tokens == sum(r.input_tokens or 0 for r in provider.log)


@pytest.mark.parametrize("text", [f"{LONG}\nCurrent time: {{}}", f"It is {{}} now. {LONG}"])
def test_a_prompt_with_the_time_in_it_is_named(provider, text) -> None:
    found: list[Any] = []
    ledger = Ledger(content=True)
    client = client_of(provider, "chat", is_async=False)
    agentcache.observe(client, ledger=ledger, on_break=found.append)
    run(client, "chat", text.format("10:00:01"))
    run(client, "chat", text.format("10:00:07"))
    run(client, "chat", LONG.replace("clerk", "pilot"))
    assert [b.kind for b in found] == ["timestamp"]
    assert len({call.agent for call in ledger.calls}) == 2
    assert found == list(agentcache.report(client).breaks)


@pytest.mark.parametrize("call", ["chat", "chat stream"])
def test_a_warning_that_is_an_error_loses_no_call(provider, call) -> None:
    client = agentcache.observe(client_of(provider, call, is_async=False), on_break="warn")
    run(client, call, f"{LONG} It is 10:00:01.")
    with pytest.warns(CacheBreakWarning, match="timestamp in") as told:
        run(client, call, f"{LONG} It is 10:00:07.")
    with warnings.catch_warnings():
        warnings.simplefilter("error", CacheBreakWarning)
        with pytest.raises(CacheBreakWarning, match="timestamp in"):
            run(client, call, f"{LONG} It is 10:00:09.")
    report = agentcache.report(client)
    assert (len(told), report.total.calls, len(report.breaks)) == (1, 3, 2)


def test_unwrap_gives_the_client_its_own_methods_back(provider) -> None:
    client = client_of(provider, "chat", is_async=False)
    agentcache.observe(agentcache.observe(client))
    assert "request" in vars(client)
    agentcache.unwrap(client)
    assert "request" not in vars(client)


def test_an_error_of_the_provider_is_recorded_and_raised(provider) -> None:
    client = client_of(provider, "chat", is_async=False)
    ledger = Ledger()
    agentcache.observe(client, ledger=ledger)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="gpt-4.1-mini", messages=[])
    assert [call.error for call in ledger.calls] == ["BadRequestError"]


def test_an_observed_client_is_not_forked_beside(provider) -> None:
    client = agentcache.observe(client_of(provider, "chat", is_async=False))
    with pytest.raises(agentcache.AgentcacheError, match=r"is observed, and stays as it is"):
        agentcache.wrap(client)


def test_the_key_is_kept_nowhere(provider, tmp_path) -> None:
    path = tmp_path / "run.jsonl"
    provider.reset()
    client = opened(openai.OpenAI(base_url=provider.openai_url, api_key="sk-secret", max_retries=0))
    agentcache.observe(client, ledger=Ledger(path, content=True))
    run(client, "chat")
    line = json.loads(path.read_text())
    assert "sk-secret" not in path.read_text()
    assert line["request"]["messages"][0]["content"] == LONG


CHANGES = {
    "counter": lambda n: f"Turn {n + 1} of 10.\n{LONG}",
    "text_edit": lambda n: (
        f"The plan: {', '.join(['read', 'count', 'ask', 'tell'][: n + 1])}.\n{LONG}"
    ),
    "timestamp": lambda n: f"It is 10:0{n}:00.\n{LONG}",
}


def talk(client: Any, system_of: Any, asked: str = "Begin.", turns: int = 4) -> None:
    said: list[dict[str, Any]] = [{"role": "user", "content": asked}]
    for n in range(turns):
        messages = [{"role": "system", "content": system_of(n)}, *said]
        answer = client.chat.completions.create(model="gpt-4.1-mini", messages=messages)
        said += [{"role": "assistant", "content": answer.choices[0].message.content}]
        said += [{"role": "user", "content": f"Step {n}, please."}]


@pytest.mark.parametrize("kind", CHANGES)
def test_a_system_text_that_changes_at_every_turn_is_one_agents(provider, kind) -> None:
    found: list[Any] = []
    client = client_of(provider, "chat", is_async=False)
    agentcache.observe(client, on_break=found.append)
    talk(client, CHANGES[kind])
    assert [b.kind for b in found] == [kind] * 3
    assert len({b.agent for b in found}) == 1
    assert all(b.tokens_lost > 2_000 for b in found)


def test_agents_made_of_one_template_are_apart_and_silent(provider) -> None:
    found: list[Any] = []
    client = client_of(provider, "chat", is_async=False)
    ledger = Ledger()
    agentcache.observe(client, on_break=found.append, ledger=ledger)
    for role in ("clerk", "judge", "guard"):
        talk(client, lambda _, role=role: LONG.replace("clerk", role))
    assert found == []
    assert len({call.agent for call in ledger.calls}) == 3


CHATS = {
    "role in front": ("You are Alice, the coder.\n{}", "You are Bob, the critic.\n{}"),
    "role behind": ("{}\nYou are Alice, the coder.", "{}\nYou are Bob, the critic."),
    "same words": ("Buy from the seller. Be firm. {}", "Be the seller. Buy from firm. {}"),
    "time in front": ("It is 10:31:07. Plan the work. {}", "It is 10:31:09. Search the web. {}"),
}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("case", CHATS)
def test_members_of_a_team_are_apart_and_silent(provider, case, together) -> None:
    found: list[Any] = []
    client = client_of(provider, "chat", is_async=False)
    ledger = Ledger()
    agentcache.observe(client, on_break=found.append, ledger=ledger)
    said: list[dict[str, Any]] = [{"role": "user", "content": "Build a shop."}]
    for turn in range(3):
        for text in CHATS[case]:
            asked = said if together else [{"role": "user", "content": f"Task {turn} {text[:9]}"}]
            messages = [{"role": "system", "content": text.format(LONG)}, *asked]
            client.chat.completions.create(model="gpt-4.1-mini", messages=messages)
            said = [*said, {"role": "assistant", "content": f"{text[:9]} says {turn}."}]
    assert found == []
    assert len({call.agent for call in ledger.calls}) == 2


def test_agents_without_number_are_not_all_kept(provider, mocker) -> None:
    mocker.patch.object(observing, "_FORKS", 4)
    client = client_of(provider, "chat", is_async=False)
    agentcache.observe(client)
    for n in range(9):
        run(client, "chat", f"You are clerk {n}.")
    assert len(vars(client)["request"].watch.forks) == 4
    assert len({call.agent for call in observing.attachments(client)[0].ledger.calls}) == 9
