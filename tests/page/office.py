"""Real runs for the page: agents over core alone, on the loopback provider; some break."""

import json
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

from agentcache import loopback
from agentcache.attach import Attachment, Options
from agentcache.demo.office import tool_calls
from agentcache.demo.scenario import brief
from agentcache.errors import CacheBreakWarning
from agentcache.flights import Flight
from agentcache.forks import Fork
from agentcache.ledger import Ledger
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.usage import Usage

__all__ = ["Team", "Worker", "run_office"]

Said = list[dict[str, Any]]
NAMES = tuple(name for name, _ in tool_calls)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name.replace('_', ' ').capitalize()}: for the launch brief only.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
        },
    }
    for name in NAMES
]


def nothing(said: Said, turn: int) -> None:
    """Spoil nothing."""


def number_anew(said: Said, turn: int) -> None:
    """Number the calls of tools anew at every turn."""
    for n, message in enumerate(said):
        for call in message.get("tool_calls", ()):
            call["id"] = f"call_{turn}_{n}"
        if "tool_call_id" in message:
            message["tool_call_id"] = f"call_{turn}_{n - 1}"


def cut_short(said: Said, turn: int) -> None:
    """Cut the oldest result, once there are several."""
    if turn == 3:
        said[2]["content"] = "[cut]"


def tell_the_time(said: Said, turn: int) -> None:
    """Write the time into the task."""
    told = said[0]["content"].partition("\nIt is ")[0]
    said[0]["content"] = f"{told}\nIt is 2026-11-23T10:0{turn}:00Z."


@dataclass
class Worker:
    """An agent: what it is told, how often it is asked, and what spoils its next request."""

    name: str
    prompt: str
    task: str
    turns: int = 4
    spoil: Callable[[Said, int], None] = nothing
    said: Said = field(default_factory=list)


@dataclass
class Team:
    """Workers that share one session on one model."""

    provider: loopback.Loopback
    ledger: Ledger
    model: str = "gpt-6-luna"
    attachment: Attachment = field(init=False)
    forks: dict[str, Fork] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.attachment = Attachment(Options("You are one of a team.", ledger=self.ledger))
        parent = freeze(
            "openai.chat",
            rule_for(self.model),
            CacheDomain("openai", self.model, self.provider.openai_url),
            system="You are one of a team.",
            context=(brief(),),
            tools=TOOLS,
            params={"model": self.model},
        )
        self.attachment.open(parent, [], judge=False)

    def ask(self, worker: Worker) -> None:
        """One call of an agent, forked and recorded as an adapter does it."""
        session = self.attachment.sessions[0]
        fork = self.forks.setdefault(worker.name, session.fork(worker.name, NAMES))
        system = {"role": "system", "content": worker.prompt}
        body = {"model": self.model, "messages": [system, *worker.said], "tools": TOOLS}
        flight = Flight(self.attachment, session, worker.name)
        flight.rewrite = fork.rewrite(body)
        tally = Heard()
        with flight.enter(flight.rewrite.keys) as held, flight.sending(held, tally):
            answer = self._post(flight.rewrite.request)
            flight.event()
            tally.usage = Usage.from_payload(answer["usage"])
            tally.signs = (answer["id"], str(answer.get("system_fingerprint")))

    def work(self, worker: Worker) -> None:
        """Let an agent loop: it asks, calls a tool, hears the result, and asks again."""
        worker.said = [{"role": "user", "content": worker.task}]
        for turn in range(worker.turns):
            worker.said = deepcopy(worker.said)  # what was sent stays as it was
            worker.spoil(worker.said, turn)
            self.ask(worker)
            name = NAMES[turn % len(NAMES)]
            told = {"name": name, "arguments": json.dumps({"query": f"turn {turn}"})}
            call = {"id": f"call_{worker.name}_{turn}", "type": "function", "function": told}
            worker.said += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": result(worker, turn)},
            ]

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body, ensure_ascii=False).encode()
        headers = {"content-type": "application/json", "authorization": "Bearer dummy"}
        url = f"{self.provider.openai_url}/chat/completions"
        with urlopen(Request(url, data, headers), timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@dataclass
class Heard:
    """What an answer said of its usage."""

    usage: Usage = field(default_factory=Usage)
    signs: tuple[str, ...] = ()
    verdict: None = None


def result(worker: Worker, turn: int) -> str:
    """A tool's result, longer for some."""
    row = f"Record {turn} of the {worker.name}: median turnaround 37 h, waiting 11 days (s3). "
    return row * (6 + 5 * (turn % 3) + len(worker.name))


def team() -> list[Worker]:
    """Six agents, each with the brief in its task; three of them spoil their own prefix."""
    task = f"Prepare the page that the board decides on.\n\n{brief()}"
    return [
        Worker("researcher", "You are the market researcher. You trust records.", task, 6),
        Worker("analyst", "You are the pricing analyst.", task, 5, cut_short),
        Worker(
            "reviewer", "You are the reviewer. You killed three launches.", task, 4, number_anew
        ),
        Worker("planner", "You are the planner.", task, 4, tell_the_time),
        Worker("writer", "You are the writer. You put the decision first.", task, 3),
        Worker("translator", "You are the translator.", task, 1),
    ]


def run_office(*, content: bool = False) -> Ledger:
    """Run the six on one model and two of them on another; return the ledger, with what broke."""
    ledger = Ledger(content=content)
    with loopback.serve() as provider, warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheBreakWarning)
        for model, workers in (("gpt-6-luna", team()), ("gpt-4.1-mini", team()[:2])):
            office = Team(provider, ledger, model)
            for worker in workers:
                office.work(worker)
    return ledger
