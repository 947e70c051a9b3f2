"""What the engine's prefix cache does, as its own answers report it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from anthropic import Anthropic
from openai import APIConnectionError, OpenAI
from pytest_mock import MockerFixture

from agentcache.engine import Engine, _extra, serve, write_agent_model
from agentcache.engine.model import FINAL_TEXT
from agentcache.errors import EngineError, MissingExtraError, OptionError

BRIEFING = " ".join(f"Customer {number} ordered {number * 7 % 93} boxes." for number in range(120))


def fork(
    engine: Engine, parent: str, tail: str, ready: Barrier | None = None, **options: Any
) -> tuple[int, int]:
    """Ask one fork; return its prompt's tokens and how many of them were cached."""
    with OpenAI(base_url=engine.openai_url, api_key="none") as client:
        if ready is not None:  # a client takes longer to make than a fork to answer
            ready.wait(timeout=30)
        answer = client.chat.completions.create(
            model=engine.model,
            messages=[
                {"role": "system", "content": f"{parent} leads."},
                {"role": "user", "content": BRIEFING},
                {"role": "user", "content": tail},
            ],
            **options,
        )
    details: Any = answer.usage
    return details.prompt_tokens, details.prompt_tokens_details.cached_tokens


def wave(engine: Engine, parent: str) -> list[float]:
    """Ask four forks at once; return the cached share of each, lowest first."""
    # Long answers keep every slot busy until the last fork has come in.
    long: Any = {"max_tokens": 1000, "extra_body": {"ignore_eos": True}, "ready": Barrier(4)}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(fork, engine, parent, f"Task {n}", **long) for n in range(4)]
    return sorted(cached / total for total, cached in (each.result() for each in asked))


def test_a_fork_with_another_tail_reads_the_shared_prefix(engine: Engine) -> None:
    assert fork(engine, "Ada", "Count the boxes.")[1] < 20
    total, cached = fork(engine, "Ada", "Name the customers.")
    assert cached / total >= 0.95


def test_a_changed_first_word_reads_nothing(engine: Engine) -> None:
    fork(engine, "Ben", "Count the boxes.")
    assert fork(engine, "Cid", "Count the boxes.")[1] < 20


def test_metrics_count_computed_and_cached_tokens_apart(engine: Engine) -> None:
    fork(engine, "Dan", "Count the boxes.")
    before = engine.metrics()
    total, cached = fork(engine, "Dan", "Name the customers.")
    after = engine.metrics()
    read = after["prompt_tokens_cached_total"] - before["prompt_tokens_cached_total"]
    computed = after["prompt_tokens_total"] - before["prompt_tokens_total"]
    assert (read, computed) == (cached, total - cached)


def test_streams_end_with_the_cached_tokens(engine: Engine) -> None:
    ask: dict[str, Any] = {
        "model": engine.model,
        "messages": [{"role": "user", "content": BRIEFING}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with OpenAI(base_url=engine.openai_url, api_key="none") as client:
        list(client.chat.completions.create(**ask))
        chunks = list(client.chat.completions.create(**ask))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == FINAL_TEXT
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens > 1000


def test_anthropic_messages_report_cache_reads(engine: Engine) -> None:
    ask: dict[str, Any] = {
        "model": engine.model,
        "max_tokens": 50,
        "system": "Eve leads.",
        "messages": [{"role": "user", "content": BRIEFING}],
    }
    with Anthropic(base_url=engine.url, api_key="none") as client:
        client.messages.create(**ask)
        usage = client.messages.create(**ask).usage
    assert usage.cache_read_input_tokens > 1000
    assert usage.input_tokens < 20


def test_openai_responses_report_cached_tokens(engine: Engine) -> None:
    ask: dict[str, Any] = {"model": engine.model, "instructions": "Fay leads.", "input": BRIEFING}
    with OpenAI(base_url=engine.openai_url, api_key="none") as client:
        client.responses.create(**ask)
        answer = client.responses.create(**ask)
    assert answer.output_text == FINAL_TEXT
    assert answer.usage.input_tokens_details.cached_tokens > 1000


def test_with_four_slots_forks_in_turn_hit(four_slots: Engine) -> None:
    fork(four_slots, "Gus", "Lead.")
    shares = [cached / total for total, cached in (fork(four_slots, "Gus", f"{n}") for n in "123")]
    assert min(shares) >= 0.95


def test_with_four_slots_only_one_parallel_fork_hits(four_slots: Engine) -> None:
    fork(four_slots, "Hal", "Lead.")
    shares = wave(four_slots, "Hal")
    assert shares[3] >= 0.95
    assert shares[2] < 0.05


def test_after_fan_out_every_parallel_fork_hits(four_slots: Engine) -> None:
    total, _ = fork(four_slots, "Ida", "Lead.")
    assert four_slots.fan_out() == total + 1  # the first token of the answer is held too
    assert wave(four_slots, "Ida")[0] >= 0.95


def test_fan_out_finds_the_parent_behind_a_later_call(four_slots: Engine) -> None:
    total, _ = fork(four_slots, "Jon", "Lead, please, and say where each of the boxes went.")
    with OpenAI(base_url=four_slots.openai_url, api_key="none") as client:
        client.completions.create(model=four_slots.model, prompt="A side call.")
    assert four_slots.fan_out(prompt_tokens=total) == total + 1
    assert wave(four_slots, "Jon")[0] >= 0.95


def test_every_slot_gets_the_whole_context() -> None:
    with serve(slots=2, context=2048) as engine:
        assert engine.context == 2048
        assert fork(engine, "Kim", "Lead.")[0] > 1024


def test_an_empty_slot_is_not_copied() -> None:
    with serve(slots=2, context=512) as engine:
        with pytest.raises(EngineError, match=r"Slot 0 of .* is empty"):
            engine.slot_copy(0, [1])
        with pytest.raises(EngineError, match="holds a prompt of 1 tokens"):
            engine.fan_out()


def test_fixed_replies_have_exactly_that_many_tokens() -> None:
    with serve(fixed_reply_tokens=9, context=512) as engine:
        with OpenAI(base_url=engine.openai_url, api_key="none") as client:
            answer = client.chat.completions.create(
                model=engine.model, messages=[{"role": "user", "content": "Hello"}]
            )
        assert answer.usage.completion_tokens == 9
        assert answer.choices[0].message.content.strip() == FINAL_TEXT


def test_a_stopped_engine_answers_no_more() -> None:
    with serve(context=512) as engine:
        assert engine.metrics()["prompt_tokens_total"] == 0
    with pytest.raises(EngineError, match="got no answer"):
        engine.metrics()


def test_it_stops_at_once_while_an_answer_is_under_way() -> None:
    long: Any = {"max_tokens": 5000, "extra_body": {"ignore_eos": True}}
    with ThreadPoolExecutor(1) as pool:
        with serve() as engine, OpenAI(base_url=engine.openai_url, api_key="none") as client:
            asked = pool.submit(
                client.with_options(max_retries=0).completions.create,
                model=engine.model,
                prompt="Hello",
                **long,
            )
            while not engine.metrics()["requests_processing"]:
                pass
        with pytest.raises(APIConnectionError):
            asked.result(timeout=10)


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.gguf"
    with pytest.raises(EngineError, match=r"missing\.gguf"), serve(missing):
        pass


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_text("not a model")
    with pytest.raises(EngineError, match=r"other\.gguf"), serve(other):
        pass


def test_a_taken_port_is_named(engine: Engine) -> None:
    port = int(engine.url.rpartition(":")[2])
    with pytest.raises(EngineError, match=f"on port {port}"), serve(port=port, context=512):
        pass


def test_own_files_are_served_under_their_name(tmp_path: Path) -> None:
    with serve(write_agent_model(tmp_path / "mine.gguf"), context=512) as engine:
        assert engine.model == "mine"


def test_options_of_the_constructed_model_go_with_no_other() -> None:
    with pytest.raises(OptionError, match="'smollm2'"), serve("smollm2", final_text="Done."):
        pass


def test_a_missing_extra_is_named_with_its_install_line(mocker: MockerFixture) -> None:
    mocker.patch.object(_extra, "find_spec", return_value=None)
    with pytest.raises(MissingExtraError, match=r"'xllamacpp'.*\[engine\]"), serve():
        pass


def test_importing_the_package_imports_no_extra() -> None:
    code = (
        "import sys, agentcache.engine\n"
        "sys.exit(bool({'numpy', 'gguf', 'xllamacpp'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
