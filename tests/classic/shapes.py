"""Programs in other shapes: what is wrapped, how often it runs, what changes in between."""

from collections.abc import Callable
from typing import Any

from autogen import ConversableAgent, GroupChat, GroupChatManager, register_function

from . import programs
from .programs import OWN, TASK, TRIO, Outcome, Program, _Desk

ON = "Go on, please."
ROUNDS = 6
"""The user asks, the planner speaks, the writer looks something up and speaks, the critic does."""


def chat(config: Any, *, task: str = TASK) -> Program:
    """The group chat is wrapped, not its manager."""
    program = _office(config, task)
    program.root = program.root.groupchat
    return program


def chat_first(config: Any, *, task: str = TASK) -> Program:
    """The group chat is wrapped before it has a manager."""
    desk = _Desk(config, task)
    user = desk.user()
    group = GroupChat([desk.agent(n) for n in TRIO], max_round=5, speaker_selection_method="auto")

    def run() -> Outcome:
        manager = GroupChatManager(group, llm_config=config, silent=True)
        return desk.outcome(user.initiate_chat(manager, message=task, silent=True), group.messages)

    return _program(desk, group, run)


def agents(config: Any, *, task: str = TASK) -> Program:
    """The agents are wrapped, the manager is not: it chooses as it always did."""
    program = _office(config, task)
    program.root = [program.team[name] for name in TRIO]
    return program


def two_of_three(config: Any, *, task: str = TASK) -> Program:
    """One agent is kept out."""
    program = programs.round_robin(config, task=task)
    program.root = tuple(program.team[name] for name in TRIO[:2])
    return program


def everything(config: Any, *, task: str = TASK) -> Program:
    """The manager is wrapped in a list with its agents and the chat."""
    program = _office(config, task)
    program.root = [*program.team.values(), program.root, program.root.groupchat]
    return program


def kept(config: Any, *, task: str = TASK) -> Program:
    """The chat goes on where it stopped."""
    return _again(_office(config, task), clear_history=False)


def cleared(config: Any, *, task: str = TASK) -> Program:
    """The chat begins anew."""
    return _again(_office(config, task))


def resumed(config: Any, *, task: str = TASK) -> Program:
    """The chat is told to its manager anew from what was kept of it, and goes on."""
    program = _office(config, task)
    manager, first = program.root, program.run
    desk = _Desk(config, task, program.ran, program.team)

    def run() -> Outcome:
        first()
        told = manager.messages_from_string(manager.messages_to_string(manager.groupchat.messages))
        last, message = manager.resume(messages=told, silent=True)
        result = last.initiate_chat(manager, message=message, clear_history=False, silent=True)
        return desk.outcome(result, list(manager.groupchat.messages))

    program.run = run
    return program


def pattern_twice(config: Any, *, task: str = TASK) -> Program:
    """A pattern with a selecting model runs twice; each run makes a group chat of its own."""
    return programs._twice(programs.auto_pattern(config, task=task, rounds=5))


def handoffs_twice(config: Any, *, task: str = TASK) -> Program:
    """A pattern with handoffs runs twice."""
    return programs._twice(programs.default_pattern_tools(config, task=task))


def queue(config: Any, *, task: str = TASK) -> Program:
    """The user asks one agent after the other and hands on what came of it."""
    desk = _Desk(config, task)
    user, asked = desk.user(), [desk.agent(name) for name in TRIO]
    methods = ("last_msg", "reflection_with_llm", "reflection_with_llm")

    def run() -> Outcome:
        chats = [
            {"recipient": agent, "message": task, "max_turns": 2, "summary_method": method}
            for agent, method in zip(asked, methods, strict=True)
        ]
        results = user.initiate_chats([{**chat, "silent": True} for chat in chats])
        return desk.outcome(results[-1], [m for result in results for m in result.chat_history])

    return _program(desk, asked, run)


def two_managers(config: Any, *, task: str = TASK) -> Program:
    """The same agents talk in two groups, in turn."""
    desk = _Desk(config, task)
    user, talking = desk.user(), [desk.agent(name) for name in TRIO]
    managers = [
        desk.manager(talking, 4, speaker_selection_method="auto"),
        desk.manager(talking[::-1], 4, speaker_selection_method="round_robin"),
    ]
    asked = {"message": task, "silent": True, "summary_method": "reflection_with_llm"}

    def run() -> Outcome:
        results = [user.initiate_chat(manager, **asked) for manager in (*managers, *managers)]
        return desk.outcome(results[-1], [m for r in results for m in r.chat_history])

    return _program(desk, managers, run)


def with_user(config: Any, *, task: str = TASK) -> Program:
    """A model selects who speaks; the user, who runs tools, is one of them."""
    desk = _Desk(config, task)
    user = desk.user()
    talking = [user, *(desk.agent(name) for name in TRIO)]
    return desk.program(desk.manager(talking, ROUNDS, speaker_selection_method="auto"), user)


def give_tool(program: Program, owner: str) -> None:
    """Give an agent its tool, and so a new client."""
    work = _Desk(None, "", program.ran).tool(OWN[owner])
    caller, user = program.team[owner], program.team["user"]
    register_function(work, caller=caller, executor=user, description=f"Use {OWN[owner]}.")


def tool_later(config: Any, *, task: str = TASK) -> Program:
    """The writer is given a tool while the chat pauses."""
    program = with_user(config, task=task)
    return _again(program, lambda: give_tool(program, "writer"), clear_history=False)


def nested_later(config: Any, *, task: str = TASK) -> Program:
    """An agent is told after wrapping to talk with another one first."""
    program, checker = _with_checker(config, task)
    first = program.run

    def run() -> Outcome:
        _nest(program, checker, max_turns=2, summary_method="last_msg")
        return first()

    program.run = run
    return program


def nested_group(config: Any, *, task: str = TASK) -> Program:
    """An agent has a group of its own talk first, and hands on a summary of it."""
    program, checker = _with_checker(config, task)
    desk = _Desk(config, task, program.ran, program.team)
    group = desk.manager([checker, program.team["critic"]], 3, speaker_selection_method="auto")
    _nest(program, group, max_turns=1, summary_method="reflection_with_llm")
    return program


def _office(config: Any, task: str) -> Program:
    return programs.auto_tools_summary(config, task=task, rounds=ROUNDS)


def _with_checker(config: Any, task: str) -> tuple[Program, ConversableAgent]:
    program = programs.round_robin(config, task=task)
    return program, _Desk(config, task, program.ran, program.team).agent("checker")


def _nest(program: Program, recipient: ConversableAgent, **options: Any) -> None:
    queue = [{"recipient": recipient, "silent": True, **options}]
    program.team["writer"].register_nested_chats(queue, trigger=program.root)


def _again(program: Program, between: Callable[[], None] = lambda: None, **options: Any) -> Program:
    """Run, then go on or begin anew."""
    first, manager, user = program.run, program.root, program.team["user"]
    desk = _Desk(None, "", program.ran, program.team)

    def run() -> Outcome:
        first()
        between()
        result = user.initiate_chat(manager, message=ON, silent=True, **options)
        return desk.outcome(result, list(manager.groupchat.messages))

    program.run = run
    return program


def _program(desk: _Desk, root: Any, run: Any) -> Program:
    async def arun() -> Outcome:
        raise NotImplementedError

    return Program(root, run, arun, TRIO, desk.team, (), desk.ran)
