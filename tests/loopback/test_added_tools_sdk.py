"""Tools added in mid-conversation, through the real SDKs and as raw JSON."""

import json
import urllib.error
import urllib.request

import pytest

from agentcache.loopback import agent, serve

anthropic = pytest.importorskip("anthropic")
openai = pytest.importorskip("openai")

CLAUDE, GPT = "claude-opus-5-5", "gpt-6-luna"
BETAS = ["mid-conversation-tool-changes-2026-07-01", "inline-tools-2026-09-15"]


@pytest.fixture(scope="module")
def shared():
    with serve(script=agent) as provider:
        yield provider


@pytest.fixture
def provider(shared):
    shared.reset()
    return shared


@pytest.fixture
def claude(provider):
    with anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(provider):
    with openai.OpenAI(base_url=provider.openai_url, api_key="k", max_retries=0) as client:
        yield client


def addition(name):
    definition = {"name": name, "input_schema": {"type": "object", "properties": {}}}
    return {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": definition}}


def claude_body(start, *blocks):
    marked = {"type": "text", "text": start, "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "content": [marked]}, {"role": "system", "content": list(blocks)}]
    return {"model": CLAUDE, "max_tokens": 50, "messages": messages}


def gpt_body(start, name):
    tools = [{"type": "function", "name": name, "parameters": {"type": "object"}}]
    item = {"type": "additional_tools", "role": "developer", "tools": tools}
    return {"model": GPT, "input": [{"role": "user", "content": start}, item]}


def post(url, body, **headers):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_tool_added_to_anthropic_messages_is_called_behind_a_cached_prefix(claude, words):
    first, second = (
        claude.beta.messages.create(**claude_body(words(800), addition(name)), betas=BETAS)
        for name in ("a", "b")
    )
    assert [block.name for block in (*first.content, *second.content)] == ["a", "b"]
    assert first.usage.cache_creation_input_tokens == second.usage.cache_read_input_tokens == 801


def test_an_added_tool_is_streamed_and_counted_too(claude, provider):
    body = claude_body("go", addition("a"))
    with claude.beta.messages.stream(**body, betas=BETAS) as stream:
        assert stream.get_final_message().content[0].name == "a"
    del body["max_tokens"]
    counted = claude.beta.messages.count_tokens(**body, betas=BETAS)
    assert counted.input_tokens == provider.log[0].input_tokens


def test_a_missing_beta_is_an_error_in_anthropic_shape(claude):
    with pytest.raises(anthropic.BadRequestError, match="require anthropic-beta: inline-tools"):
        claude.beta.messages.create(**claude_body("go", addition("a")), betas=BETAS[:1])


def test_a_text_among_the_messages_needs_no_beta(claude):
    said = claude.messages.create(**claude_body("go", {"type": "text", "text": "be brief"}))
    assert said.content[0].text == "Final Answer: go"


def test_raw_anthropic_messages_take_the_header_and_the_beta_path(provider):
    url = f"{provider.url}/v1/messages?beta=true"
    body = claude_body("go", addition("a"))
    status, answer = post(url, body, **{"anthropic-beta": ",".join(BETAS)})
    assert (status, answer["content"][0]["name"]) == (200, "a")
    status, answer = post(url, body)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert provider.log[0].path == "/v1/messages"


def test_a_tool_added_to_responses_is_called_behind_a_cached_prefix(gpt, words):
    first, second = (gpt.responses.create(**gpt_body(words(1500), name)) for name in ("a", "b"))
    assert [item.name for item in (*first.output, *second.output)] == ["a", "b"]
    assert second.usage.input_tokens_details.cached_tokens > 1500
    assert second.usage.input_tokens > second.usage.input_tokens_details.cached_tokens


def test_the_same_tool_at_the_top_level_of_responses_misses(gpt, words):
    for name in ("a", "b"):
        body = gpt_body(words(1500), name)
        body["tools"] = body["input"].pop()["tools"]
        usage = gpt.responses.create(**body).usage
    assert usage.input_tokens_details.cached_tokens == 0


def test_a_continued_response_keeps_the_added_tools(gpt):
    first = gpt.responses.create(**gpt_body("go", "a"))
    choice = {"type": "function", "name": "a"}
    again = gpt.responses.create(
        model=GPT, input="again", previous_response_id=first.id, tool_choice=choice
    )
    assert again.output[0].name == "a"


def test_a_bad_role_is_an_error_in_openai_shape(gpt):
    body = gpt_body("go", "a")
    body["input"][1]["role"] = "user"
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.responses.create(**body)
    assert caught.value.param == "input[1].role"


def test_raw_responses_take_added_tools(provider):
    status, answer = post(f"{provider.openai_url}/responses", gpt_body("go", "a"))
    assert (status, answer["output"][0]["name"], answer["tools"]) == (200, "a", [])
