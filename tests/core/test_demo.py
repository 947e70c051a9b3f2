"""What the demos run on."""

import time

import openai

from agentcache.demo import targets


def test_an_emulated_model_takes_its_time():
    with targets.emulated("gpt-4.1-mini").open() as endpoint:
        client = openai.OpenAI(base_url=endpoint.base_url, api_key=endpoint.api_key)
        started = time.monotonic()
        client.chat.completions.create(
            model=endpoint.model, messages=[{"role": "user", "content": "Hello."}]
        )
        assert time.monotonic() - started >= targets._LATENCY.base_s
        client.close()
