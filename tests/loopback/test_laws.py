"""What must always hold, whatever is sent in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.loopback import pieces
from agentcache.loopback.families import family_of
from agentcache.loopback.reply import chunks

MODELS = ("gpt-4o", "gpt-5.6-luna", "claude-haiku-5-5", "llama-3")
MARKS = {
    "openai-breakpoint": {"prompt_cache_breakpoint": {"mode": "explicit"}},
    "anthropic": {"cache_control": {"type": "ephemeral"}},
}
sizes = st.sampled_from([1, 100, 600, 1100, 2100])
messages = st.lists(st.tuples(sizes, st.booleans()), min_size=1, max_size=4)
requests = st.lists(st.tuples(messages, st.integers(0, 400), st.booleans()), min_size=1, max_size=6)


def body(model, family, sent, words):
    blocks = [
        {"type": "text", "text": words(size), **(MARKS.get(family, {}) if marked else {})}
        for size, marked in sent
    ]
    return {"model": model, "messages": [{"role": "user", "content": [block]} for block in blocks]}


@settings(deadline=None, max_examples=60)
@given(model=st.sampled_from(MODELS), sent=requests)
def test_fresh_and_read_and_write_make_the_total(new_player, words, model, sent):
    player = new_player()
    family = family_of(model)
    seen = 0
    for parts, idle_s, publish in sent:
        player.now += idle_s
        reading = player.start("chat", **body(model, family, parts, words))
        assert reading.fresh + reading.read + reading.write == reading.total
        assert min(reading.fresh, reading.read, reading.write) >= 0
        assert reading.read <= seen
        if publish:
            player.provider.publish(reading)
            seen = max(seen, reading.total)


@given(text=st.text())
def test_tokens_are_the_text(text):
    assert "".join(pieces(text)) == text


@given(text=st.text())
def test_chunks_are_the_text(text):
    parts = list(chunks(text))
    assert "".join(parts) == text
    assert len(parts) <= 24


def test_prose_has_about_four_characters_a_token():
    prose = (
        "Every agent of a crew becomes a fork of one shared, frozen parent, so that the prefix "
        "cache of the provider hits across agents, and nothing that was frozen ever moves."
    )
    assert 3.5 < len(prose) / len(pieces(prose)) < 5
