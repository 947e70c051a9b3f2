"""The real openai SDK against the provider."""

import anyio
import pytest

from agentcache.loopback import Answer, ToolCall, agent, echo, scripted, serve

openai = pytest.importorskip("openai")
pydantic = pytest.importorskip("pydantic")

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "top": {"type": "integer"}},
                "required": ["query", "top"],
            },
        },
    }
]


class City(pydantic.BaseModel):
    name: str
    people: int


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
    with openai.OpenAI(base_url=provider.openai_url, api_key="k", max_retries=0) as client:
        yield client


def hello(**more):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], **more}


def test_chat_answers_with_usage(client, provider):
    answer = client.chat.completions.create(**hello())
    assert answer.choices[0].message.content == "Final Answer: hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == provider.log[0].input_tokens
    assert answer.usage.prompt_tokens_details.cached_tokens == 0
    assert answer.usage.prompt_tokens_details.cache_write_tokens is None


def test_chat_streams_in_several_parts_and_reports_usage_last(client):
    chunks = list(
        client.chat.completions.create(
            **hello(), stream=True, stream_options={"include_usage": True}
        )
    )
    parts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert "".join(parts) == "Final Answer: hello"
    assert len(parts) > 1
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_chat_streams_no_usage_unless_asked(client):
    assert all(c.usage is None for c in client.chat.completions.create(**hello(), stream=True))


def test_a_tool_loop_calls_once_and_then_answers(client):
    message = client.chat.completions.create(**hello(tools=TOOLS)).choices[0].message
    call = message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("search", '{"query":"query","top":0}')
    result = {"role": "tool", "tool_call_id": call.id, "content": "42"}
    follow_up = [*hello()["messages"], message.to_dict(), result]
    last = client.chat.completions.create(**hello(tools=TOOLS, messages=follow_up))
    assert "42" in last.choices[0].message.content


def test_chat_stream_helper_puts_tool_calls_together(client):
    with client.chat.completions.stream(**hello(tools=TOOLS)) as stream:
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.arguments == '{"query":"query","top":0}'
    assert final.choices[0].finish_reason == "tool_calls"


def test_chat_parse_gets_a_valid_instance(client):
    answer = client.chat.completions.parse(**hello(), response_format=City)
    assert answer.choices[0].message.parsed == City(name="name", people=0)


def test_beta_chat_parse_and_stream_work_too(client):
    beta = client.beta.chat.completions
    assert beta.parse(**hello(), response_format=City).choices[0].message.parsed.people == 0
    with beta.stream(**hello(), response_format=City) as stream:
        assert stream.get_final_completion().choices[0].message.parsed.name == "name"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("none", None),
        ("required", "search"),
        ({"type": "function", "function": {"name": "search"}}, "search"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, None),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": TOOLS}}, "search"),
    ],
)
def test_chat_tool_choice_decides_what_may_be_called(client, choice, called):
    answer = client.chat.completions.create(**hello(tools=TOOLS, tool_choice=choice))
    calls = answer.choices[0].message.tool_calls
    assert (calls[0].function.name if calls else None) == called


def test_responses_answer_with_usage(client):
    answer = client.responses.create(model="gpt-6-luna", input="hello")
    assert answer.output_text == "Final Answer: hello"
    assert answer.usage.input_tokens_details.cache_write_tokens == 0
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_responses_stream_helper_sees_text_and_final_usage(client):
    with client.responses.stream(model="gpt-6-luna", input="hello") as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == final.output_text == "Final Answer: hello"
    assert final.usage.input_tokens > 0


def test_responses_call_tools_and_take_their_results(client):
    tool = {"type": "function", "name": "search", "parameters": {}}
    first = client.responses.create(model="gpt-5.5", input="hello", tools=[tool])
    call = first.output[0]
    assert (call.type, call.name) == ("function_call", "search")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "42"}
    second = client.responses.create(
        model="gpt-5.5", input=[result], tools=[tool], previous_response_id=first.id
    )
    assert "42" in second.output_text
    assert second.usage.input_tokens > first.usage.input_tokens


def test_responses_allowed_tools_are_flat(client):
    tools = [{"type": "function", "name": name, "parameters": {}} for name in ("a", "b")]
    choice = {"type": "allowed_tools", "mode": "auto", "tools": tools[1:]}
    answer = client.responses.create(model="gpt-5.5", input="x", tools=tools, tool_choice=choice)
    assert answer.output[0].name == "b"


def test_responses_parse_gets_a_valid_instance(client):
    answer = client.responses.parse(model="gpt-6-luna", input="hello", text_format=City)
    assert answer.output_parsed == City(name="name", people=0)


def test_responses_count_input_tokens(client, provider):
    counted = client.responses.input_tokens.count(model="gpt-6-luna", input="hello")
    client.responses.create(model="gpt-6-luna", input="hello")
    assert counted.input_tokens == provider.log[-1].input_tokens


def test_models_are_listed(client):
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]


def test_a_bad_request_is_an_error_in_openai_shape(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**hello(), extra_body={"prompt_cache_options": {}})
    assert caught.value.param == "prompt_cache_options"
    assert caught.value.type == "invalid_request_error"


def test_an_organisation_of_its_own_has_a_cache_of_its_own(provider, words):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": words(1500)}]}

    def cached(organization):
        with openai.OpenAI(
            base_url=provider.openai_url, api_key="k", organization=organization
        ) as client:
            usage = client.chat.completions.create(**body).usage
        return usage.prompt_tokens_details.cached_tokens

    assert [cached("a"), cached("b"), cached("a")] == [0, 0, 1408]


def test_a_base_url_without_v1_works(provider):
    with openai.OpenAI(base_url=provider.url, api_key="k") as client:
        assert client.chat.completions.create(**hello()).choices


def test_text_and_tool_calls_go_together():
    both = Answer("I will look.", (ToolCall("search", {"query": "x"}), ToolCall("search")))
    with (
        serve(script=scripted([both])) as provider,
        openai.OpenAI(base_url=provider.openai_url, api_key="k") as client,
    ):
        message = client.chat.completions.create(**hello()).choices[0].message
    assert message.content == "I will look."
    assert len({call.id for call in message.tool_calls}) == 2


@pytest.mark.anyio
async def test_async_clients_run_side_by_side(provider):
    answers = []
    async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="k") as client:

        async def ask():
            answers.append(await client.chat.completions.create(**hello()))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
    assert len({answer.id for answer in answers}) == len(answers) == len(provider.log) == 5


@pytest.mark.anyio
async def test_async_streams_are_read(provider):
    async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="k") as client:
        stream = await client.chat.completions.create(**hello(), stream=True)
        parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(parts) == "Final Answer: hello"


def test_a_stream_is_readable_by_others_from_its_first_event(words):
    """Readable at the first event when streaming, at completion otherwise."""
    body = {"model": "gpt-5.6-luna", "messages": [{"role": "user", "content": words(1500)}]}
    with (
        serve(script=echo) as provider,
        openai.OpenAI(base_url=provider.openai_url, api_key="k") as client,
    ):
        stream = client.chat.completions.create(**body, stream=True)
        next(iter(stream))
        usage = client.chat.completions.create(**body).usage
        stream.close()
    assert usage.prompt_tokens_details.cached_tokens == usage.prompt_tokens
