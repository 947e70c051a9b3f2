"""Prices in dollars, from `genai-prices` where the extra is installed; no dollars otherwise."""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

__all__ = ["Price", "price_of"]

_THEIR_NAMES: Final = {
    "bedrock": "aws",
    "gemini": "google",
    "moonshot": "moonshotai",
    "vertex": "google",
    "xai": "x-ai",
}
"""Providers that genai-prices knows by another name than the rules do."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per token of fresh input and of output."""

    input_usd: float
    output_usd: float


@lru_cache(maxsize=256)
def price_of(model: str, provider: str) -> Price | None:
    """Price of a model, or None without the extra `prices` or for a model it does not know."""
    if importlib.util.find_spec("genai_prices") is None:
        return None
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - optional, and slow to import

    try:
        found = calc_price(
            Usage(input_tokens=1000, output_tokens=1000),
            model_ref=model,
            provider_id=_THEIR_NAMES.get(provider, provider),
        )
    except LookupError:
        return None
    return Price(float(found.input_price) / 1000, float(found.output_price) / 1000)
