"""Runs a graph of 20 tasks in a child that kills itself at a step; driven by test_resuming.

Each line on stdin is a JSON object; a child is forked for it, and its exit status comes back.
"""

import json
import os
import signal
import sys
from typing import Any

import openai

from agentcache import Session, TaskGraph
from agentcache.graphs import RunStore


def look(word: str) -> str:
    """Look a word up."""
    return f"{word} is known"


def graph_at(url: str, plan: str = "Plan") -> tuple[Any, TaskGraph]:
    """Twenty tasks; those of the second row use a tool, and so make two calls."""
    client = openai.OpenAI(base_url=url, api_key="dummy")
    brief = "The brief says that fleets of bikes are repaired where they stand. " * 100
    session = Session.open(
        client, model="gpt-6-luna", system="You are a team.", context=[brief], tools=[look]
    )
    graph = TaskGraph(session)
    for n in range(6):
        graph.add(f"a{n}", f"Part {n}.", tools=[])
        graph.add(f"b{n}", f"Look at {{a{n}}}", needs=[f"a{n}"])
        graph.add(f"c{n}", f"Sum up {{b{n}}}", needs=[f"b{n}"], tools=[])
    graph.add("plan", f"{plan}: {{c0}} {{c1}}", needs=["c0", "c1"], tools=[])
    graph.add("end", len_of, needs=["plan"], after=[f"c{n}" for n in range(6)])
    return client, graph


def len_of(plan: str) -> int:
    """The length of the plan."""
    return len(plan)


class Dying(RunStore):
    """A store whose process is killed at a step: behind an answer, around a result."""

    left = 0

    def step(self) -> None:
        """One step further."""
        Dying.left -= 1
        if Dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def keep(self, *args: Any) -> None:
        """Keep, then die."""
        super().keep(*args)
        self.step()

    def finish(self, *args: Any) -> None:
        """Die, keep, die."""
        self.step()
        super().finish(*args)
        self.step()


def run(url: str, store: str, at: int, out: str, plan: str = "Plan", limit: int = 1) -> None:
    """Run the graph; die at a step, or write what it made."""
    client, graph = graph_at(url, plan)
    Dying.left = at
    kept = Dying(store)
    result = graph.run(store=kept, limit=limit)
    kept.close()
    client.close()
    told = {name: o.status for name, o in result.outcomes.items()}
    with open(out, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump({"values": dict(result), "status": told}, file)


def main() -> None:
    """Fork a child for each line."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                run(**json.loads(line))
            except BaseException as error:  # noqa: BLE001
                print(f"child: {error!r}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)


if __name__ == "__main__":
    main()
