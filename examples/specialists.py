"""A coordinator and three specialists, without a framework; offline, on the loopback provider.

    pip install '.[openai,loopback,prices]' && python examples/specialists.py

Separate, as such programs are usually written: each a conversation of its own, with its role in
front and the brief in its prompt. Forked: one session that holds the brief, and four forks of it.
"""

import openai
from two_by_two import show

from agentcache import Ledger, Session, TaskGraph
from agentcache.demo.scenario import brief

MODEL = "gpt-6-luna"
TEAM = "You are one of a team that decides on a launch."
COORDINATOR = "You are the coordinator. You put the decision first."
SPECIALISTS = {
    "needs": ("You trust records over opinions.", "Find what fleets need."),
    "price": ("You never round in your own favour.", "Show which offer breaks even, and when."),
    "risks": ("You have killed three launches.", "Find what the brief does not support."),
}


def forked(client: openai.OpenAI, ledger: Ledger) -> TaskGraph:
    """Four forks of one session."""
    session = Session.open(client, model=MODEL, system=TEAM, context=[brief()], ledger=ledger)
    graph = TaskGraph(session)
    graph.add("question", "Say what has to be found out, and by whom.", role=COORDINATOR)
    for name, (role, prompt) in SPECIALISTS.items():
        graph.add(name, f"{prompt} {{question}}", needs=["question"], role=role)
    graph.add("page", _page(), needs=list(SPECIALISTS), role=COORDINATOR)
    return graph


def separate(client: openai.OpenAI, ledger: Ledger) -> TaskGraph:
    """The same five tasks, each in a conversation of its own."""

    def alone(role: str) -> Session:
        held = {"model": MODEL, "ledger": ledger, "layout": "as_is"}
        return Session.open(client, system=f"{TEAM} {role}", **held)

    graph = TaskGraph()
    first = f"{brief()}\n\nSay what has to be found out, and by whom."
    graph.add("question", first, session=alone(COORDINATOR))
    for name, (role, prompt) in SPECIALISTS.items():
        asked = f"{brief()}\n\n{prompt} {{question}}"
        graph.add(name, asked, needs=["question"], session=alone(role))
    last = f"{brief()}\n\n{_page()}"
    graph.add("page", last, needs=list(SPECIALISTS), session=alone(COORDINATOR))
    return graph


def _page() -> str:
    return "Write the page that the board decides on.\n{needs}\n{price}\n{risks}"


if __name__ == "__main__":
    show(separate, forked)
