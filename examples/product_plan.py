"""A product plan of seven tasks, without a framework; offline, on the loopback provider.

    pip install '.[openai,loopback,prices]' && python examples/product_plan.py

Market, competitor and interviews first; of them specification and use; of those the plan; then its
review. Each starts as soon as what it needs is there.
"""

import openai
from two_by_two import show

from agentcache import Ledger, Session, TaskGraph
from agentcache.demo.scenario import brief

MODEL = "gpt-6-luna"
TEAM = "You are one of a team that plans a launch."
TASKS = {  # name: role, prompt, what it needs
    "market": ("You count before you judge.", "Describe the market.", []),
    "competitor": ("You buy what others sell.", "Compare what others offer.", []),
    "interviews": ("You quote, and do not paraphrase.", "Sum up the complaints.", []),
    "spec": (
        "You write what can be tested.",
        "Write the specification.\n{market}\n{competitor}",
        ["market", "competitor"],
    ),
    "ux": (
        "You begin with the mechanic's hands.",
        "Describe how it is used.\n{interviews}",
        ["interviews"],
    ),
    "plan": (
        "You know what slips first.",
        "Plan the first six months.\n{spec}\n{ux}",
        ["spec", "ux"],
    ),
    "review": ("You have killed three launches.", "Review it.\n{plan}", ["plan"]),
}


def forked(client: openai.OpenAI, ledger: Ledger) -> TaskGraph:
    """Seven forks of one session."""
    session = Session.open(client, model=MODEL, system=TEAM, context=[brief()], ledger=ledger)
    graph = TaskGraph(session)
    for name, (role, prompt, needs) in TASKS.items():
        graph.add(name, prompt, needs=needs, role=role)
    return graph


def separate(client: openai.OpenAI, ledger: Ledger) -> TaskGraph:
    """The same tasks as seven conversations, the brief in each prompt."""
    graph = TaskGraph()
    for name, (role, prompt, needs) in TASKS.items():
        own = Session.open(
            client, model=MODEL, system=f"{TEAM} {role}", ledger=ledger, layout="as_is"
        )
        graph.add(name, f"{brief()}\n\n{prompt}", needs=needs, session=own)
    return graph


if __name__ == "__main__":
    forked(openai.OpenAI(api_key="none"), Ledger()).show()
    show(separate, forked)
