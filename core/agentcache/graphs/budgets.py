"""A budget: what a run may spend, by the rules and the prices that are known."""

import threading
from dataclasses import dataclass

from agentcache.errors import BudgetError, OptionError
from agentcache.pricing import price_of
from agentcache.rules import Rule
from agentcache.usage import Usage

__all__ = ["Budget", "Purse", "cost_usd"]


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may spend: dollars, or tokens of input and output together.

    It is looked at before each call: what is under way when it is spent ends, and is paid.
    """

    usd: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        """Raise OptionError for a budget that allows nothing, or says nothing."""
        given = [value for value in (self.usd, self.tokens) if value is not None]
        if not given or any(not value > 0 for value in given):
            raise OptionError(f"{self!r}: give usd= or tokens=, more than 0.")

    @classmethod
    def of(cls, wish: "Budget | float | None") -> "Budget | None":
        """A number is dollars."""
        if wish is None or isinstance(wish, cls):
            return wish
        if isinstance(wish, int | float) and not isinstance(wish, bool):
            return cls(usd=float(wish))
        raise OptionError(f"budget={wish!r:.60} is neither dollars nor a Budget.")


def cost_usd(usage: Usage, rule: Rule, model: str) -> float | None:
    """What a call cost, by the rules' multipliers; None where no price is known, or no usage."""
    price = price_of(model, rule.provider)
    if price is None or usage.input_tokens is None:
        return None
    read, write = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    fresh = usage.input_tokens - read - write
    scaled = fresh + read * rule.read_multiplier + write * rule.ttl.write_multiplier
    return scaled * price.input_usd + (usage.output_tokens or 0) * price.output_usd


class Purse:
    """What a run has spent; known to all its tasks."""

    def __init__(self, budget: Budget | None) -> None:
        """Nothing is spent."""
        self.budget = budget
        self.usd: float | None = 0.0
        self.tokens = 0
        self._lock = threading.Lock()

    def check(self, rule: Rule, model: str) -> None:
        """Raise OptionError where the budget is in dollars, and no price is known."""
        in_dollars = self.budget is not None and self.budget.usd is not None
        if in_dollars and price_of(model, rule.provider) is None:
            raise OptionError(
                f"budget: no price of {model!r} is known. Install the extra 'prices' (Python "
                "3.11 or later), or give Budget(tokens=...)."
            )

    def why_not(self) -> str:
        """Why nothing more may be sent; empty if it may."""
        budget = self.budget
        if budget is None:
            return ""
        with self._lock:
            if budget.usd is not None and (self.usd or 0) >= budget.usd:
                return f"the budget of ${budget.usd:g} is spent (${self.usd or 0:.4f})"
            if budget.tokens is not None and self.tokens >= budget.tokens:
                return f"the budget of {budget.tokens:,} tokens is spent ({self.tokens:,})"
        return ""

    def ask(self) -> None:
        """Raise BudgetError if nothing more may be sent."""
        told = self.why_not()
        if told:
            raise BudgetError(f"Nothing was sent: {told}.")

    def pay(self, usage: Usage, rule: Rule, model: str) -> None:
        """Count a call."""
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self.count(cost_usd(usage, rule, model), tokens)

    def count(self, usd: float | None, tokens: int) -> None:
        """Count what was paid; None where it is not known."""
        with self._lock:
            self.usd = None if usd is None or self.usd is None else self.usd + usd
            self.tokens += tokens
