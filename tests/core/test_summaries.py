"""Whose words stand in front of a summary: the agent's own, or nobody's."""

import pytest

from agentcache.dialects import dialect
from agentcache.summaries import ABOVE, Summaries

WIRE = dialect("openai.chat")
HI = {"role": "user", "content": "Look into my ticket."}
SAID = [HI, {"role": "assistant", "content": "It is open."}]
OWN = {"model": "m", "messages": [], "max_tokens": 9}
TOOL = {"type": "function", "function": {"name": "grep"}}


def request(system="You serve all.", *rows, tools=(TOOL,), **more):
    lead = {"role": "system", "content": system}
    return {"model": "m", "messages": [lead, *rows], "tools": list(tools), **more}


def made(*heard, system=None, own=OWN):
    summaries = Summaries()
    for one in heard:
        summaries.heard(WIRE, "bot", one)
    return summaries.request(WIRE, "bot", SAID, f"Sum up {ABOVE}.", own, system)


def test_a_summary_stands_behind_the_agents_own_words() -> None:
    whole = made(request("You serve all.", *SAID), request("You serve all.", HI))
    assert whole is not None
    assert whole["messages"][:3] == [{"role": "system", "content": "You serve all."}, *SAID]
    assert ABOVE in str(whole["messages"][3])
    assert whole["tools"] == [TOOL]
    assert whole["max_tokens"] == 9
    assert whole["tool_choice"] == "none"


@pytest.mark.parametrize(
    "heard",
    [
        (request("You serve ALICE.", *SAID), request("You serve BOB.", HI)),
        (request("You serve BOB.", HI), request("You serve ALICE.", *SAID)),
        (request(user="alice"), request(user="bob")),
        (request(), request(tools=[{"type": "function", "function": {"name": "other"}}])),
        (request(response_format={"type": "json_schema"}),),
        (request(),) * 0,
    ],
)
def test_where_it_is_not_sure_what_stood_in_front_nothing_is_made(heard) -> None:
    assert made(*heard) is None


def test_one_who_knows_the_system_text_gets_that_one_and_no_other() -> None:
    heard = (request("You serve ALICE."), request("You serve BOB."))
    whole = made(*heard, system=("You serve ALICE.",))
    assert whole is not None
    assert "BOB" not in str(whole)
    assert made(*heard, system=("You serve EVE.",)) is None


def test_another_model_reads_nothing_of_it() -> None:
    assert made(request(), own={**OWN, "model": "n"}) is None
    assert made(request(), own={"messages": []}) is None


def test_a_call_without_tools_takes_none_from_the_agent() -> None:
    whole = made(request(), request(tools=()))
    assert whole is None or whole["tools"] == [TOOL]
