"""A plan as it goes to workers: bytes, made once, that each worker process reads once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentcache.errors import OptionError
from agentcache.graphs.doing import from_json_text
from agentcache.graphs.plans import Board
from agentcache.graphs.tasks import Task, filled
from agentcache_dask.clients import has_key, key_of
from agentcache_dask.clusters import Cluster
from agentcache_dask.recipes import SessionRecipe, session_recipe
from agentcache_dask.values import packed, travels
from agentcache_dask.working import Order, Work

__all__ = ["kept_results", "packed_plan"]


def kept_results(board: Board) -> dict[str, Any]:
    """The results that an earlier run has left in the store."""
    plan, found = board.plan, dict[str, Any]()
    for task in plan.tasks if plan.store is not None else ():
        text = plan.store.result(plan.keys[task.name]) if plan.store is not None else None
        if text is not None:
            found[task.name] = from_json_text(task, text[0])
    return found


async def packed_plan(
    cluster: Cluster, board: Board, readers: Mapping[str, Sequence[str]], kept: Mapping[str, Any]
) -> bytes:
    """The plan as bytes; raises OptionError naming what cannot be sent to other machines."""
    plan = board.plan
    recipes = [await _recipe(cluster, n, board) for n in range(len(plan.sessions))]
    numbers = {id(session): n for n, session in enumerate(plan.sessions)}
    orders = {
        task.name: Order(
            replace(task, session=None),
            plan.keys[task.name],
            numbers.get(id(task.session)) if task.asks or task.takes_worker else None,
            _shared(task, board, readers),
            (kept[task.name],) if task.name in kept else (),
        )
        for task in plan.tasks
    }
    work = Work(orders, recipes, {**plan.inputs, **kept}, plan.purse.budget is not None)
    wrong = travels(work)
    if wrong:
        raise OptionError(f"{_culprit(work)} cannot be sent to other machines: {wrong}.")
    return packed(work)


async def _recipe(cluster: Cluster, number: int, board: Board) -> SessionRecipe:
    session = board.plan.sessions[number]
    tasks = [task for task in board.plan.tasks if task.session is session]
    secret = key_of(session.line.client)
    ships_keys = False
    if secret is not None:
        ships_keys = not all((await cluster.on_workers(has_key, *secret)).values())
    return session_recipe(session, tasks, ships_keys=ships_keys)


def _shared(
    task: Task, board: Board, readers: Mapping[str, Sequence[str]]
) -> dict[str, list[list[str]]]:
    """The results that this prompt carries and others of its session too: what those say."""
    if not task.asks:
        return {}
    tasks = {t.name: t for t in board.plan.tasks}
    found: dict[str, list[list[str]]] = {}
    for name in (n for n in task.needs if n in tasks):
        others = [tasks[n] for n in readers[name]]
        mine = [t for t in others if t.asks and name in t.needs and t.session is task.session]
        if len(mine) > 1:
            found[name] = [[t.role, filled(t.prompt or "", board.plan.inputs)] for t in mine]
    return found


def _culprit(work: Work) -> str:
    """What of a plan it is that cannot be sent."""
    for name, order in work.orders.items():
        if travels(order):
            return f"Task {name!r}"
    for name, value in work.inputs.items():
        if travels(value):
            return f"Input {name!r}"
    return "A session of this graph"
