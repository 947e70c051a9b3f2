"""Any other model: facts/providers.md §1.12."""

import pytest

from agentcache.loopback.families import family_of

MODEL = "llama-3.1-8b"


def ask(text, **more):
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3", "gpt-oss-120b", "local", ""])
def test_unknown_names_are_engines(model):
    assert family_of(model) == "engine"


def test_the_longest_prefix_is_read_to_the_token(play):
    play.send("chat", **ask("one two three four"))
    assert play.send("chat", **ask("one two three five")).read == 4


def test_the_last_token_is_always_recomputed(play):
    """vLLM: at least the last token is always recomputed."""
    total = play.send("chat", **ask("one two three")).total
    assert play.send("chat", **ask("one two three")).read == total - 1


def test_a_salt_separates_caches(play):
    """cache_salt: isolation; must be equal across forks."""
    play.send("chat", **ask("one two three", cache_salt="a"))
    assert play.send("chat", **ask("one two three", cache_salt="b")).read == 0


def test_schemas_steer_decoding_and_move_nothing(play):
    """Output schema: V on engines unless the template renders it."""
    total = play.send("chat", **ask("one two three")).total
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}
    assert play.send("chat", **ask("one two three", response_format=schema)).read == total - 1


def test_template_arguments_move_the_prefix(play):
    """chat_template_kwargs and reasoning effort are part of the prefix."""
    play.send("chat", **ask("one two three"))
    changed = ask("one two three", chat_template_kwargs={"enable_thinking": False})
    assert play.send("chat", **changed).read == 0


def test_entries_never_expire(play):
    total = play.send("chat", **ask("one two three")).total
    play.now += 1e9
    assert play.send("chat", **ask("one two three")).read == total - 1


def test_engines_speak_anthropic_messages_too(play):
    body = {"model": MODEL, "max_tokens": 5, "system": "one two three"}
    play.send("messages", **body, messages=[{"role": "user", "content": "left"}])
    reading = play.send("messages", **body, messages=[{"role": "user", "content": "right"}])
    assert (reading.read, reading.written) == (5, None)
