"""What the fixture can watch: wrapped programs, ledgers, a provider's log, SDK clients."""

from dataclasses import replace

import pytest

from agentcache.pytest_plugin.tapes import tape_of

from . import fleet

pytest_plugins = ["pytester"]

PROVIDER = """
import fleet
from agentcache import Ledger, loopback

@pytest.fixture(scope="module")
def running():
    with loopback.serve() as running:
        yield running

@pytest.fixture
def provider(running):
    running.reset()
    return running

@pytest.fixture
def crew(provider):
    return fleet.Crew(provider.openai_url)
"""


def test_a_wrapped_program_is_watched_and_restored(inner):
    ran = inner(
        PROVIDER
        + """
pytestmark = pytest.mark.prefix_cache(min_shared_tokens=1000)
crews = []

def test_shares(prefix_cache, crew):
    assert prefix_cache.wrap(crew, context=[fleet.RULES], layout="fork") is crew
    crew.run()
    crews.append(crew)

def test_restored(crew):
    assert not crews[0].attachment

def test_nothing_in_common(prefix_cache, crew):
    prefix_cache.wrap(crew, layout="fork")
    crew.run()

def test_tells_the_time(prefix_cache, crew):
    prefix_cache.wrap(crew, context=[fleet.RULES], layout="as_is")
    prefix_cache.configure(min_shared_tokens=0)
    for time in ("12:00:01", "12:00:02"):
        crew.systems["clerk"] = f"Current time: {time}. You are the clerk. " + fleet.RULES
        crew.run()
"""
    )

    ran.assert_outcomes(passed=2, failed=2)
    ran.stdout.fnmatch_lines(
        [
            "*test_nothing_in_common*",
            "shared too little: agent 'scout' shares about * tokens with 'clerk'; min_shared_to*",
            "*test_tells_the_time*",
            "prefix broke: agent 'clerk', timestamp in messages[[]0].content, about * tokens",
            "agentcache: 3 tests watched, 1 broke its prefix, 1 shared too little",
        ]
    )


def test_what_happened_before_counts_only_where_it_is_asked_for(inner):
    ran = inner(
        PROVIDER
        + """
@pytest.fixture
def broken(crew):
    import agentcache
    agentcache.wrap(crew, layout="as_is", ledger=Ledger())
    for time in ("12:00:01", "12:00:02"):
        crew.systems["clerk"] = f"Current time: {time}. You are the clerk. " + fleet.RULES
        crew.run()
    return crew

def test_all(prefix_cache, broken):
    assert prefix_cache.watch(broken) is broken

def test_of_a_ledger(prefix_cache, broken):
    prefix_cache.watch(broken.attachment.ledger)

def test_from_now_on(prefix_cache, broken):
    prefix_cache.watch(broken, earlier=False)
    broken.run()

def test_wrapped_before(prefix_cache, broken):
    prefix_cache.observe(broken)
    broken.run()

def test_nothing_since(prefix_cache, broken):
    prefix_cache.watch(broken, earlier=False)

def test_not_wrapped(prefix_cache, crew):
    prefix_cache.watch(crew)

def test_a_stranger(prefix_cache):
    prefix_cache.watch(3)
"""
    )

    ran.assert_outcomes(passed=2, failed=5)
    ran.stdout.fnmatch_lines(
        [
            "*_ test_all _*",
            "prefix broke: agent 'clerk', timestamp *",
            "*_ test_of_a_ledger _*",
            "prefix broke: agent 'clerk', timestamp *",
            "*_ test_nothing_since _*",
            "prefix_cache watched no call: *",
            "E * This Crew is not wrapped. Call agentcache.wrap first; *",
            "E * agentcache has no adapter for builtins.int (3). *",
        ]
    )


UNWRAPPED = (
    PROVIDER
    + """
def say(crew, *systems, agent="clerk"):
    for system, question in zip(systems, ("Begin.", "Go on.", "End.")):
        crew.systems[agent] = system
        crew.ask(agent, question)
"""
)


def test_a_program_that_nobody_wrapped_is_seen_by_the_provider(inner):
    ran = inner(
        UNWRAPPED
        + """
def test_two_agents(prefix_cache, provider, crew):
    prefix_cache.provider(provider)
    crew.run()

def test_like_agents(prefix_cache, provider, crew):
    "Two agents of one template are no break of one."
    prefix_cache.provider(provider)
    say(crew, *["You are worker 1. " + fleet.RULES] * 2)
    say(crew, *["You are worker 2. " + fleet.RULES] * 2, agent="scout")

def test_time(prefix_cache, provider, crew):
    prefix_cache.provider(provider)
    crew.run()
    say(crew, *(f"You are the clerk. It is 12:00:0{n}. " + fleet.RULES for n in (1, 2)))

def test_edited(prefix_cache, provider, crew):
    prefix_cache.provider(provider)
    say(crew, *("You are the house clerk. " + fleet.RULES + more for more in ("Old.", "New.")))

def test_little(prefix_cache, provider, crew):
    prefix_cache.configure(min_shared_tokens=1000)
    prefix_cache.provider(provider)
    crew.run()

def test_over_before_the_end(prefix_cache):
    with loopback.serve() as running:
        prefix_cache.provider(running)
        say(fleet.Crew(running.openai_url), *(f"It is 12:00:0{n}. " + fleet.RULES for n in (1, 2)))
"""
    )

    ran.assert_outcomes(passed=2, failed=4)
    ran.stdout.fnmatch_lines(
        [
            "*_ test_time _*",
            "prefix broke: agent 'You are the clerk. It is...', timestamp in messages*",
            "   calls   call 6 of 6 against call 5 of the same agent, gpt-4.1-mini",
            "*_ test_edited _*",
            "prefix broke: agent 'You are the house clerk. Mind...', text edit in messages*",
            "*_ test_little _*",
            "shared too little: agent 'You are the scout.' shares * 'You are the clerk.'; *",
            "*_ test_over_before_the_end _*",
            "prefix broke: agent 'It is *', timestamp in messages*",
        ]
    )


def test_a_header_or_a_function_tells_whose_requests_they_are(inner):
    ran = inner(
        UNWRAPPED
        + """
def ask(provider, system, **headers):
    messages = [{"role": "system", "content": system + fleet.RULES}]
    request = {"model": "gpt-4.1-mini", "messages": [*messages, {"role": "user", "content": "Go."}]}
    fleet.post(provider.openai_url, request, **headers)

def test_header(prefix_cache, provider):
    prefix_cache.provider(provider, agent="X-Agent")
    for number in (1, 2):
        ask(provider, f"You are worker {number}. ", **{"x-agent": "worker"})

def test_function(prefix_cache, provider):
    prefix_cache.provider(provider, agent=lambda logged: logged.model)
    for number in (1, 2):
        ask(provider, f"You are worker {number}. ")

def test_guessed(prefix_cache, provider):
    prefix_cache.provider(provider, agent="x-agent")
    for number in (1, 2):
        ask(provider, f"You are worker {number}. ")
"""
    )

    ran.assert_outcomes(passed=1, failed=2)
    ran.stdout.fnmatch_lines(
        [
            "prefix broke: agent 'worker', * in messages*",
            "prefix broke: agent 'gpt-4.1-mini', * in messages*",
        ]
    )


def test_an_sdk_client_is_observed_and_given_back(inner):
    pytest.importorskip("openai")
    ran = inner(
        PROVIDER
        + """
import openai

def test_it(prefix_cache, provider):
    with openai.OpenAI(base_url=provider.openai_url, api_key="x") as client:
        prefix_cache.observe(client)
        messages = [{"role": "user", "content": "Begin."}]
        for time in ("12:00:01", "12:00:02"):
            system = {"role": "system", "content": fleet.RULES + f"It is {time}."}
            answer = client.chat.completions.create(
                model="gpt-4.1-mini", messages=[system, *messages]
            )
            messages += [{"role": "assistant", "content": "Done."}, messages[0]]
"""
    )

    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(["prefix broke: agent 'agent *', timestamp in messages*"])


def test_a_request_is_copied_as_it_is_given(inner):
    ran = inner("""
def test_it(prefix_cache):
    request = body("12:00:01 " + LONG, "Begin.")
    prefix_cache.request(request, usage={"prompt_tokens": 2000}, headers={"x-id": "1"})
    request["messages"][0]["content"] = "12:00:02 " + LONG
    prefix_cache.request(request)

def test_no_request(prefix_cache):
    prefix_cache.request({"prompt": "Begin."})
""")

    ran.assert_outcomes(failed=2)
    ran.stdout.fnmatch_lines(
        [
            "prefix broke: agent 'agent', timestamp in messages*",
            "E * Not a chat request: it has neither 'messages' nor 'input': [[]'prompt'[]]",
        ]
    )


def test_what_was_refused_is_left_out_and_what_a_server_holds_is_not_compared(provider):
    request = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Begin."}]}
    fleet.post(provider.openai_url, request)
    provider.fail("500")
    with pytest.raises(OSError, match="500"):
        fleet.post(provider.openai_url, request)
    body = {"model": "gpt-6-luna", "input": "x", "previous_response_id": "resp_1"}
    chained = replace(provider.log[0], body=body, id="2")

    calls = tape_of([*provider.log, chained]).ledger.calls

    assert len(provider.log) == 2
    assert [(call.agent, call.kin) for call in calls] == [("agent", None), ("agent", None)]


def test_a_recording_is_read_from_its_file(inner):
    ran = inner(
        PROVIDER
        + """
import agentcache

def record(crew, path):
    with agentcache.wrapped(crew, layout="as_is", ledger=Ledger(path, content=True)):
        crew.run()

def test_fine(prefix_cache, crew, tmp_path):
    record(crew, tmp_path / "run.jsonl")
    prefix_cache.recording(tmp_path / "run.jsonl")

def test_broke(prefix_cache, crew, tmp_path):
    for time in ("12:00:01", "12:00:02"):
        crew.systems["clerk"] = f"Current time: {time}. You are the clerk. " + fleet.RULES
        record(crew, tmp_path / "run.jsonl")
    prefix_cache.configure(provider="openai")
    prefix_cache.recording(tmp_path / "run.jsonl")

def test_none(prefix_cache, tmp_path):
    prefix_cache.recording(tmp_path / "run.jsonl")
"""
    )

    ran.assert_outcomes(passed=1, failed=2)
    ran.stdout.fnmatch_lines(
        [
            "prefix broke: agent 'clerk', timestamp in messages*",
            "E * cannot be read: No such file or directory.",
        ]
    )
