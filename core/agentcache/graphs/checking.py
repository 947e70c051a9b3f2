"""What is wrong with a graph, and in what order its tasks matter."""

from collections.abc import Collection, Mapping, Sequence

from agentcache.errors import GraphError
from agentcache.graphs.tasks import Task

__all__ = ["checked", "critical_path", "levels", "ranks", "readers_of", "waits_for"]


def checked(tasks: Mapping[str, Task], inputs: Mapping[str, object]) -> tuple[Task, ...]:
    """The tasks, each behind those it waits for; raises GraphError naming all that is wrong."""
    wrong = [
        *_clashes(tasks, inputs),
        *(told for task in tasks.values() for told in _wrong(task, tasks, inputs)),
        *_idle(tasks, inputs),
    ]
    ordered, left = _ordered(tasks)
    if left:
        wrong.append(f"cycle: {' -> '.join(_cycle(tasks, left))}.")
    if wrong:
        raise GraphError("This graph cannot run:\n" + "\n".join(f"- {told}" for told in wrong))
    return ordered


def _clashes(tasks: Mapping[str, Task], inputs: Mapping[str, object]) -> list[str]:
    both = [name for name in inputs if name in tasks]
    return [f"{name!r} is both a task and an input. Rename one." for name in both]


def _wrong(task: Task, tasks: Mapping[str, Task], inputs: Mapping[str, object]) -> list[str]:
    known = [*tasks, *inputs]
    told = [
        f"task {task.name!r} needs {name!r}, neither a task nor an input{_like(name, known)}."
        for name in task.needs
        if name not in tasks and name not in inputs
    ]
    told += [
        f"task {task.name!r} comes after {name!r}, which is no task{_like(name, list(tasks))}."
        for name in task.after
        if name not in tasks
    ]
    how = "put {%s} in its prompt" if task.function is None else "give its function a parameter %s"
    told += [
        f"task {task.name!r} needs {name!r} and makes no use of it: {how % name}, or name it in "
        "after=."
        for name in task.unused()
        if name in tasks or name in inputs
    ]
    told += [
        f"task {task.name!r}: its function asks for {name!r}, and no need gives it."
        for name in task.missing()
    ]
    if task.session is None and (task.asks or task.takes_worker):
        told.append(f"task {task.name!r} asks a model: open a session, TaskGraph(session).")
    return told


def _like(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for what is wrong

    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _idle(tasks: Mapping[str, Task], inputs: Mapping[str, object]) -> list[str]:
    used = {name for task in tasks.values() for name in task.needs}
    return [f"input {name!r} is used by no task." for name in inputs if name not in used]


def waits_for(task: Task, tasks: Collection[str]) -> list[str]:
    """The tasks that come before this one, each once."""
    return [name for name in dict.fromkeys((*task.needs, *task.after)) if name in tasks]


def _ordered(tasks: Mapping[str, Task]) -> tuple[tuple[Task, ...], dict[str, int]]:
    """The tasks in an order that they can run in, and those that wait for themselves."""
    left = {name: len(waits_for(task, tasks)) for name, task in tasks.items()}
    readers = readers_of(tasks)
    ready = [name for name, count in left.items() if not count]
    for name in ready:  # grows
        for reader in readers[name]:
            left[reader] -= 1
            if not left[reader]:
                ready.append(reader)
    return tuple(tasks[name] for name in ready), {k: v for k, v in left.items() if v}


def readers_of(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    """For each task those that wait for it."""
    readers: dict[str, list[str]] = {name: [] for name in tasks}
    for task in tasks.values():
        for name in waits_for(task, tasks):
            readers[name].append(task.name)
    return readers


def _cycle(tasks: Mapping[str, Task], left: Mapping[str, int]) -> list[str]:
    """One of the circles, from a task back to itself."""
    path: list[str] = []
    at = next(iter(left))
    while at not in path:
        path.append(at)
        at = next(name for name in waits_for(tasks[at], tasks) if name in left)
    return [*path[path.index(at) :], at][::-1]


def ranks(ordered: Sequence[Task]) -> dict[str, float]:
    """For each task the weight of the longest chain that begins with it."""
    tasks = {task.name: task for task in ordered}
    readers = readers_of(tasks)
    found: dict[str, float] = {}
    for task in reversed(ordered):
        behind = max((found[name] for name in readers[task.name]), default=0.0)
        found[task.name] = task.weight + behind
    return found


def critical_path(ordered: Sequence[Task], taken: Mapping[str, float]) -> tuple[list[str], float]:
    """The chain of tasks that took longest together, and how long."""
    best: dict[str, tuple[float, str]] = {}
    tasks = {task.name: task for task in ordered}
    for task in ordered:
        before = max(((best[n][0], n) for n in waits_for(task, tasks)), default=(0.0, ""))
        best[task.name] = (before[0] + taken.get(task.name, 0.0), before[1])
    at = max(best, key=lambda name: best[name][0], default="")
    total = best[at][0] if at else 0.0
    path: list[str] = []
    while at:
        path.append(at)
        at = best[at][1]
    return path[::-1], total


def levels(ordered: Sequence[Task]) -> list[list[Task]]:
    """The tasks by how many stand before them in a chain, to be drawn."""
    depth: dict[str, int] = {}
    tasks = {task.name: task for task in ordered}
    for task in ordered:
        depth[task.name] = 1 + max((depth[n] for n in waits_for(task, tasks)), default=-1)
    found: list[list[Task]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for task in ordered:
        found[depth[task.name]].append(task)
    return found
