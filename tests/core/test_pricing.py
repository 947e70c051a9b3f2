"""Prices, where the extra is installed."""

import pytest

from agentcache.pricing import price_of

pytest.importorskip("genai_prices", reason="needs the extra prices")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-haiku-4-5"),
        ("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("gemini", "gemini-2.5-flash"),
        ("moonshot", "kimi-k3"),
        ("openai", "gpt-4.1-mini"),
        ("vertex", "claude-haiku-4-5"),
        ("xai", "grok-4"),
    ],
)
def test_a_provider_is_found_whatever_its_prices_are_filed_under(provider, model) -> None:
    price = price_of(model, provider)

    assert price is not None
    assert price.input_usd > 0


def test_a_model_without_a_price_has_none() -> None:
    assert price_of("somebody-else", "unknown") is None
