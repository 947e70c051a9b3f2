"""The real anthropic SDK against the provider."""

import pytest

from agentcache.loopback import agent, serve

anthropic = pytest.importorskip("anthropic")

MODEL = "claude-haiku-5-5"
TOOL = {
    "name": "search",
    "input_schema": {
        "type": "object",
        "properties": {"query": {"type": "string"}},
        "required": ["query"],
    },
}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture(scope="module")
def shared():
    with serve(script=agent) as provider:
        yield provider


@pytest.fixture
def provider(shared):
    shared.reset()
    return shared


@pytest.fixture
def client(provider):
    with anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0) as client:
        yield client


def hello(**more):
    messages = [{"role": "user", "content": "hello"}]
    return {"model": MODEL, "max_tokens": 50, "messages": messages, **more}


def test_messages_answer_with_usage_that_excludes_the_cache(client, provider, words):
    system = [{"type": "text", "text": words(800), "cache_control": {"type": "ephemeral"}}]
    first = client.messages.create(**hello(system=system))
    second = client.messages.create(**hello(system=system))
    assert first.content[0].text == "Final Answer: hello"
    assert (first.usage.cache_creation_input_tokens, first.usage.cache_read_input_tokens) == (
        801,
        0,
    )
    assert first.usage.cache_creation.ephemeral_5m_input_tokens == 801
    assert second.usage.cache_read_input_tokens == 801
    assert second.usage.input_tokens == provider.log[1].input_tokens - 801


def test_messages_stream_helper_puts_the_message_together(client):
    with client.messages.stream(**hello()) as stream:
        parts = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(parts) == final.content[0].text == "Final Answer: hello"
    assert len(parts) > 1
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 1


def test_a_tool_loop_calls_once_and_then_answers(client):
    first = client.messages.create(**hello(tools=[TOOL]))
    use = first.content[0]
    assert (first.stop_reason, use.name, use.input) == ("tool_use", "search", {"query": "query"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "42"}
    messages = [
        *hello()["messages"],
        {"role": "assistant", "content": [use.to_dict()]},
        {"role": "user", "content": [result]},
    ]
    assert "42" in client.messages.create(**hello(tools=[TOOL], messages=messages)).content[0].text


def test_streamed_tool_input_is_put_together(client):
    with client.messages.stream(**hello(tools=[TOOL])) as stream:
        final = stream.get_final_message()
    assert final.content[0].input == {"query": "query"}
    assert final.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "none"}, None),
        ({"type": "any"}, "search"),
        ({"type": "tool", "name": "structured_output"}, "structured_output"),
    ],
)
def test_tool_choice_decides_what_is_called(client, choice, called):
    tools = [TOOL, {"name": "structured_output", "input_schema": SCHEMA}]
    block = client.messages.create(**hello(tools=tools, tool_choice=choice)).content[0]
    assert (block.name if block.type == "tool_use" else None) == called
    if called == "structured_output":
        assert block.input == {"n": 0}


def test_an_output_format_gets_a_valid_instance(client):
    # In extra_body: the oldest SDK we support has no such argument.
    config = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    answer = client.messages.create(**hello(), extra_body=config)
    assert answer.content[0].text == '{"n":0}'


def test_prewarm_answers_nothing(client, words):
    system = [{"type": "text", "text": words(800), "cache_control": {"type": "ephemeral"}}]
    answer = client.messages.create(**{**hello(system=system), "max_tokens": 0})
    assert (answer.content, answer.usage.output_tokens) == ([], 0)
    assert answer.usage.cache_creation_input_tokens == 801


def test_tokens_are_counted(client, provider):
    counted = client.messages.count_tokens(model=MODEL, messages=hello()["messages"])
    client.messages.create(**hello())
    assert counted.input_tokens == provider.log[-1].input_tokens


def test_models_are_listed(client):
    assert MODEL in [model.id for model in client.models.list()]


def test_the_beta_surface_answers_too(client):
    assert client.beta.messages.create(**hello()).content[0].text == "Final Answer: hello"


def test_a_bad_request_is_an_error_in_anthropic_shape(client):
    system = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5
    with pytest.raises(anthropic.BadRequestError, match="maximum of 4") as caught:
        client.messages.create(**hello(system=system))
    assert caught.value.body["error"]["type"] == "invalid_request_error"


def test_an_overload_is_retried_by_the_sdk(provider):
    provider.fail("529", retry_after_s=0.01)
    with anthropic.Anthropic(base_url=provider.url, api_key="k") as client:
        assert client.messages.create(**hello()).content
    assert [logged.status for logged in provider.log] == [529, 200]


def test_a_base_url_with_v1_works(provider):
    with anthropic.Anthropic(base_url=provider.openai_url, api_key="k") as client:
        assert client.messages.create(**hello()).content


@pytest.mark.anyio
async def test_async_streams_are_read(provider):
    async with (
        anthropic.AsyncAnthropic(base_url=provider.url, api_key="k") as client,
        client.messages.stream(**hello()) as stream,
    ):
        text = "".join([part async for part in stream.text_stream])
    assert text == "Final Answer: hello"


def test_usage_can_be_withheld_from_a_stream(client, provider):
    provider.fail("no_usage")
    with client.messages.stream(**hello()) as stream:
        assert stream.get_final_message().usage.input_tokens is None
    assert provider.log[0].input_tokens > 0
