"""Real chats of classic AutoGen (`import autogen`), each over a model config that a test makes.

A factory takes an `llm_config`, given to every agent and manager, and gives a `Program`: what to
wrap, how to run it, which agents speak, which tools run. The task is `TASK`, or `BRIEF` where
something is to be cached. `Play` is what the provider must answer for each to run to its end.
"""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import pytest
from autogen import ConversableAgent, GroupChat, GroupChatManager, register_function
from autogen.cache.in_memory_cache import InMemoryCache
from pydantic import ValidationError

from agentcache import loopback
from agentcache.loopback.scripts import _listed_tools

TURNS = 7


def _dossier(weeks: int) -> str:
    return "Prepare the board memo on the Harbour Line from this dossier.\n\n" + "\n".join(
        f"{n}. In week {n} the Harbour Line carried {n * 7919 % 9973} passengers over {n * 37 % 61}"
        f" crossings; {n * 13 % 29} were late, most of them at pier {n % 7}, and the crew of ferry "
        f"{n * 31 % 17} asked for a review of the winter timetable."
        for n in range(1, weeks + 1)
    )


TASK = _dossier(8)
"""About 1,500 characters: with it few requests reach what a provider caches at least."""

BRIEF = _dossier(50)
"""About 2,500 tokens."""

_PARTS = {
    "planner": ("you break the work into steps", "dates", "owners", "the order of the steps"),
    "writer": ("you draft in plain sentences", "verbs", "figures", "the reader on the board"),
    "critic": ("you look for what is wrong", "sources", "gaps", "the claim behind each number"),
    "checker": ("you count everything again", "sums", "units", "the rounding of each total"),
}

PROMPTS = {
    name: "\n".join(
        [
            f"You are the {name} of the Harbour Line desk: {duty}.",
            *(
                f"Rule {n} of the {name}: keep to {cares[n % 3]} while page {n} of the dossier is "
                f"open, then name the one thing that the {name} would change about it."
                for n in range(1, 8)
            ),
        ]
    )
    for name, (duty, *cares) in _PARTS.items()
}
"""Each agent's own system message, about 1,050 characters."""

OWN = {"planner": "read_calendar", "writer": "search_archive", "critic": "check_figures"}
"""The tool of each agent that has one of its own."""

TRIO = tuple(OWN)

_SIGNS = {
    **{f"You are the {name} of the Harbour Line desk": name for name in PROMPTS},
    **{f'<agent name="{name}">': name for name in PROMPTS},
    "Then select the next role from": "selector",
    "Summarize the takeaway from the conversation": "summary",
}
"""By what a request says who is asked: of several signs the one that stands last."""


class Play:
    """The answers of one run: they depend on who is asked and how often, not on how it is asked."""

    def __init__(self) -> None:
        """Begin a run; the next one needs a play of its own."""
        self.asked: Counter[str] = Counter()
        self._next = TRIO[0]
        self._lock = Lock()

    def __call__(self, turn: loopback.Turn) -> loopback.Answer:
        """Call one's own tool before one speaks; hand over while one speaks; select in turn."""
        who = speaker(turn)
        with self._lock:
            asked = self.asked[who]
            self.asked[who] += 1
            if who == "selector":
                return loopback.Answer(self._next)
            answer = _answer(turn, who, asked)
            if who in TRIO:
                after = TRIO[(TRIO.index(who) + 1) % 3]
                self._next = after if answer.text else who
        return answer


def speaker(turn: loopback.Turn) -> str:
    """Who is asked: an agent's name, `selector` or `summary`."""
    told = "\n".join(said.text for said in turn.texts if said.role in ("system", "user"))
    found = [sign for sign in _SIGNS if sign in told]
    assert found, f"nobody is asked in: {told[-400:]}"
    return _SIGNS[max(found, key=told.rfind)]


def _answer(turn: loopback.Turn, who: str, asked: int) -> loopback.Answer:
    mine = _listed_tools(turn)
    hands = sorted((n for n in mine if n.startswith("transfer_to_")), key=_number_of)
    tools = sorted(n for n in mine if n not in hands)
    if tools and asked % 2 == 0:
        query = {"query": f"winter timetable, {asked}"}
        return loopback.Answer(tool_calls=tuple(loopback.ToolCall(n, query) for n in tools))
    return loopback.Answer(note(who, asked), tuple(loopback.ToolCall(n) for n in hands[:1]))


def _number_of(hand: str) -> int:
    return int(hand.rpartition("_")[2])


def note(who: str, asked: int) -> str:
    """About 330 characters that only this speaker says, and only now."""
    return f"Note {asked + 1} by the {who}. " + " ".join(
        f"On pier {(asked * 5 + n) % 7} the {who} counts {(asked + 3) * n * 97 % 811} late boats."
        for n in range(1, 8)
    )


@dataclass(frozen=True)
class Outcome:
    """What came of a run: what was `said` to all, the summary, and what each agent holds of it."""

    said: list[dict[str, Any]]
    summary: Any
    heard: dict[str, list[dict[str, Any]]]


@dataclass
class Program:
    """A program to run: which `agents` speak, which `tools` run in a whole run, which `ran`.

    `team` are all agents, also those without a model, by name.
    """

    root: Any
    run: Callable[[], Outcome]
    arun: Callable[[], Awaitable[Outcome]]
    agents: tuple[str, ...]
    team: dict[str, Any]
    tools: tuple[str, ...] = ()
    ran: list[str] = field(default_factory=list[str])


def llm_config(provider: loopback.Loopback, model: str, **entry: Any) -> dict[str, Any]:
    """One entry for this model; `entry` adds to it."""
    if "max_retries" in entry:
        check_retries()
    if model.startswith("claude"):
        pytest.importorskip("anthropic")
        spoken = {"api_type": "anthropic", "base_url": provider.url}
    else:
        spoken = {"api_type": "openai", "base_url": provider.openai_url}
    return {"config_list": [{**spoken, "model": model, "api_key": "dummy", **entry}]}


def check_retries() -> None:
    """Skip where AutoGen's entries cannot say how often the SDK tries again."""
    entry = {"model": "m", "api_key": "dummy", "max_retries": 0}
    try:
        ConversableAgent("any", llm_config={"config_list": [entry]})
    except ValidationError:
        pytest.skip("this version's entries take no max_retries")


@dataclass
class _Desk:
    """The agents of a program and the note of which tools ran."""

    config: Any
    task: str
    ran: list[str] = field(default_factory=list[str])
    team: dict[str, Any] = field(default_factory=dict[str, Any])

    def agent(self, name: str, **options: Any) -> ConversableAgent:
        made = ConversableAgent(
            name,
            system_message=PROMPTS[name],
            description=f"The {name}: {_PARTS[name][0]}.",
            llm_config=self.config,
            human_input_mode="NEVER",
            **options,
        )
        self.team[name] = made
        return made

    def user(self) -> ConversableAgent:
        """Who asks, and executes tools; without a model."""
        made = ConversableAgent("user", llm_config=False, human_input_mode="NEVER")
        self.team["user"] = made
        return made

    def tool(self, name: str) -> Callable[[str], str]:
        def work(query: str) -> str:
            self.ran.append(name)
            return f"{name} found 3 notes on {query}"

        work.__name__ = name
        work.__doc__ = f"Use {name} for one query about the Harbour Line."
        return work

    def manager(
        self, agents: Iterable[Any], rounds: int = TURNS + 1, **options: Any
    ) -> GroupChatManager:
        chat = GroupChat(list(agents), max_round=rounds, **options)
        return GroupChatManager(chat, llm_config=self.config, silent=True)

    def outcome(self, result: Any, said: list[dict[str, Any]] | None = None) -> Outcome:
        heard = {
            name: [message for chat in agent.chat_messages.values() for message in chat]
            for name, agent in self.team.items()
        }
        return Outcome(result.chat_history if said is None else said, result.summary, heard)

    def program(self, manager: GroupChatManager, user: ConversableAgent, **options: Any) -> Program:
        """A group chat that the user begins."""
        asked = {"message": self.task, "silent": True, **options}
        said = manager.groupchat.messages

        def run() -> Outcome:
            return self.outcome(user.initiate_chat(manager, **asked), list(said))

        async def arun() -> Outcome:
            return self.outcome(await user.a_initiate_chat(manager, **asked), list(said))

        return Program(manager, run, arun, TRIO, self.team, (), self.ran)


def round_robin(config: Any, *, task: str = TASK, **options: Any) -> Program:
    """Three agents in turn; `options` are the group chat's."""
    desk = _Desk(config, task)
    agents = [desk.agent(name) for name in TRIO]
    manager = desk.manager(agents, **{"speaker_selection_method": "round_robin", **options})
    return desk.program(manager, desk.user())


def auto(config: Any, *, task: str = TASK) -> Program:
    """A model selects who speaks, before every turn."""
    return round_robin(config, task=task, speaker_selection_method="auto")


def introductions(config: Any, *, task: str = TASK) -> Program:
    """The round, where all are introduced first."""
    return round_robin(config, task=task, send_introductions=True)


def auto_tools_summary(
    config: Any, *, task: str = TASK, own_tool: Sequence[str] = ("writer",), rounds: int = 0
) -> Program:
    """The same; the user runs the writer's tool, and a model sums up in the end."""
    desk = _Desk(config, task)
    user = desk.user()
    agents = [desk.agent(name) for name in TRIO]
    for name in own_tool:
        about = f"Use {OWN[name]} for one query about the Harbour Line."
        work = desk.tool(OWN[name])
        register_function(work, caller=desk.team[name], executor=user, description=about)
    tools = _tools_run(own_tool)
    rounds = rounds or TURNS + 1 + 2 * len(tools)
    manager = desk.manager([user, *agents], rounds, speaker_selection_method="auto")
    program = desk.program(manager, user, summary_method="reflection_with_llm")
    program.tools = tools
    return program


def _tools_run(own_tool: Sequence[str]) -> tuple[str, ...]:
    turns = [TRIO[n % 3] for n in range(TURNS)]
    return tuple(OWN[name] for name in turns if name in own_tool)


def every_tool(config: Any, *, task: str = TASK) -> Program:
    """The same, where everybody has a tool of its own."""
    return auto_tools_summary(config, task=task, own_tool=TRIO)


def two_agents(config: Any, *, task: str = TASK) -> Program:
    """The writer hands the task to the critic, and they go to and fro; a model sums up."""
    desk = _Desk(config, task)
    writer, critic = desk.agent("writer"), desk.agent("critic")
    asked = {"message": task, "max_turns": 4, "silent": True}
    asked["summary_method"] = "reflection_with_llm"

    def run() -> Outcome:
        return desk.outcome(writer.initiate_chat(critic, **asked))

    async def arun() -> Outcome:
        return desk.outcome(await writer.a_initiate_chat(critic, **asked))

    return Program([writer, critic], run, arun, ("writer", "critic"), desk.team, (), desk.ran)


def nested(config: Any, *, task: str = TASK) -> Program:
    """The round, where the writer first talks with a checker that the group does not know."""
    program = round_robin(config, task=task)
    desk = _Desk(config, task, program.ran, program.team)
    checker = desk.agent("checker")
    queue = [{"recipient": checker, "max_turns": 2, "summary_method": "last_msg", "silent": True}]
    program.team["writer"].register_nested_chats(queue, trigger=program.root)
    program.agents = (*TRIO, "checker")
    return program


def late_joiner(config: Any, *, task: str = TASK) -> Program:
    """The round, which a checker joins that has not heard what was said so far."""
    program = round_robin(config, task=task)
    desk = _Desk(config, task, program.ran, program.team)
    chat, checker = program.root.groupchat, desk.agent("checker")
    user, again = program.team["user"], {"message": "Go on, with the checker.", "silent": True}
    again["clear_history"] = False

    def join() -> None:
        if checker in chat.agents:
            return
        chat.agents.append(checker)
        chat.allowed_speaker_transitions_dict[checker] = list(chat.agents)
        for agent in chat.agents[:-1]:
            chat.allowed_speaker_transitions_dict[agent].append(checker)

    first, afirst = program.run, program.arun

    def run() -> Outcome:
        first()
        join()
        return desk.outcome(user.initiate_chat(program.root, **again), list(chat.messages))

    async def arun() -> Outcome:
        await afirst()
        join()
        result = await user.a_initiate_chat(program.root, **again)
        return desk.outcome(result, list(chat.messages))

    program.run, program.arun, program.agents = run, arun, (*TRIO, "checker")
    return program


def answer_cache(config: Any, *, task: str = TASK) -> Program:
    """The round twice, with AutoGen's own cache of whole answers: the second round asks nobody."""
    desk = _Desk(config, task)
    manager = desk.manager(map(desk.agent, TRIO), speaker_selection_method="round_robin")
    # AutoGen writes the cache into the default of summary_args, where every later chat finds it.
    kept = {"cache": InMemoryCache("41"), "summary_args": {}}
    return _twice(desk.program(manager, desk.user(), **kept))


def cached_seed(config: Any, *, task: str = TASK) -> Program:
    """The same by `cache_seed`, which keeps a cache on disk, in the working directory.

    Without diskcache, as autogen 0.14 comes, there is no cache and the second round asks again.
    """
    folder = TemporaryDirectory()
    return _twice(round_robin({**config, "cache_seed": 41}, task=task), lambda: _within(folder))


def _twice(
    program: Program, around: Callable[[], AbstractContextManager[Any]] = nullcontext
) -> Program:
    once, aonce = program.run, program.arun

    def run() -> Outcome:
        with around():
            once()
            return once()

    async def arun() -> Outcome:
        with around():
            await aonce()
            return await aonce()

    program.run, program.arun = run, arun
    return program


@contextmanager
def _within(folder: TemporaryDirectory[str]) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder.name)
    try:
        yield
    finally:
        os.chdir(before)


def _pattern(desk: _Desk, name: str, rounds: int, **options: Any) -> Program:
    """A pattern, which makes its group chat and manager itself at each run."""
    groups = pytest.importorskip("autogen.agentchat")
    patterns = pytest.importorskip("autogen.agentchat.group.patterns")
    agents = [desk.team[each] for each in TRIO]
    pattern = getattr(patterns, name)(agents[0], agents, **options)
    asked = {"pattern": pattern, "messages": desk.task, "max_rounds": rounds}

    def run() -> Outcome:
        return desk.outcome(groups.initiate_group_chat(**asked)[0])

    async def arun() -> Outcome:
        return desk.outcome((await groups.a_initiate_group_chat(**asked))[0])

    return Program(pattern, run, arun, TRIO, desk.team, (), desk.ran)


def round_robin_pattern(config: Any, *, task: str = TASK) -> Program:
    """Three agents in turn, as a pattern; the manager that it makes sums up in the end."""
    return _pattern(_trio(config, task), "RoundRobinPattern", TURNS + 1, **_managed(config))


def auto_pattern(config: Any, *, task: str = TASK, rounds: int = TURNS + 1) -> Program:
    """A model selects who speaks, as a pattern."""
    return _pattern(_trio(config, task), "AutoPattern", rounds, **_managed(config))


def _trio(config: Any, task: str) -> _Desk:
    desk = _Desk(config, task)
    for name in TRIO:
        desk.agent(name)
    return desk


def _managed(config: Any) -> dict[str, Any]:
    manager = {"llm_config": config, "silent": True}
    return {"group_manager_args": manager, "summary_method": "reflection_with_llm"}


def default_pattern(
    config: Any,
    *,
    task: str = TASK,
    own_tool: Sequence[str] = (),
    hands: Sequence[Sequence[str]] = (("writer",), ("critic",), ("planner",)),
) -> Program:
    """Each speaks and hands over, to the first of those it may hand over to, by a tool call."""
    group = pytest.importorskip("autogen.agentchat.group")
    desk = _Desk(config, task)
    for name in TRIO:
        desk.agent(name, functions=[desk.tool(OWN[name])] if name in own_tool else None)
    for name, targets in zip(TRIO, hands, strict=True):
        for target in targets:
            told = group.StringLLMCondition(f"The {name} is done and the {target} should go on.")
            to = group.AgentTarget(desk.team[target])
            condition = group.OnCondition(target=to, condition=told)
            desk.team[name].handoffs.add_llm_condition(condition)
    tools = _tools_run(own_tool)
    rounds = 2 * (TURNS + len(tools))
    program = _pattern(desk, "DefaultPattern", rounds, group_manager_args={"silent": True})
    program.tools = tools
    return program


def default_pattern_tools(config: Any, *, task: str = TASK) -> Program:
    """The same, where the writer looks something up before it speaks."""
    return default_pattern(config, task=task, own_tool=("writer",))


def colliding_pattern(config: Any, *, task: str = TASK) -> Program:
    """The same, where two agents' handoffs have one name and differ in what they say."""
    hands = (("writer", "critic"), ("critic", "planner"), ("writer", "planner"))
    return default_pattern(config, task=task, hands=hands)


PROGRAMS = (
    round_robin,
    auto,
    introductions,
    auto_tools_summary,
    every_tool,
    two_agents,
    nested,
    late_joiner,
    answer_cache,
    cached_seed,
    round_robin_pattern,
    auto_pattern,
    default_pattern,
    default_pattern_tools,
    colliding_pattern,
)
"""What every test of the classic adapter gets."""
