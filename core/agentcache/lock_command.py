"""`agentcache lock`: write down what the agents of a program share, or check it."""

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentcache.errors import OptionError
from agentcache.locks import LockFile, Program, fingerprint
from agentcache.locks.sources import program_of

__all__ = ["add_arguments", "run"]

_PYTEST: Final = "pytest:"
_NAMED: Final = "NAME=module:attribute"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `agentcache lock`."""
    parser.add_argument(
        "path",
        nargs="*",
        metavar="PATH",
        help="a program as module:attribute (an object that can be wrapped, or a function that "
        "makes one), or a ledger's file; NAME=PATH names it. Without: all that are locked",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="write nothing; exit 1 if it changed")
    how.add_argument("--update", action="store_true", help="write what changed, too")
    parser.add_argument("--file", type=Path, default=Path("agentcache.lock"), help="the lock file")
    parser.add_argument(
        "--with-text",
        action=BooleanOptionalAction,
        help="write the first words of each block, too; as it is in the file otherwise",
    )


def run(args: Namespace) -> int:
    """Lock programs, or compare them with what is locked; 1 if one changed and was not written.

    Raises:
        OptionError: a path that leads to no program, or a file that is no lock file or cannot be
            written. Then nothing is.

    """
    lock = LockFile.read(args.file)
    named = [_split(path) for path in args.path] or _locked(lock)
    if not named:
        raise OptionError(f"Nothing is locked in {args.file}: name a program, as {_NAMED}.")
    found: list[tuple[Program, tuple[str, ...], bool]] = []
    for name, path in named:
        program = _made(lock, name, path, args.with_text)
        told = lock.differences(program)
        write = not args.check and (args.update or name not in lock.programs or not told)
        lock = lock.having(program) if write else lock
        found.append((program, told, write))
    if not args.check:
        lock.write()
    for program, told, write in found:
        _tell(args.file, program, told, written=write)
    changed = any(told and not write for _, told, write in found)
    if changed:
        words = " ".join(["agentcache lock --update", *args.path])
        print(f"If this is meant: {words}")
    return int(changed)


def _split(path: str) -> tuple[str, str]:
    """The name of a program, and where it comes from."""
    name, given, rest = path.partition("=")
    if given:
        return name, rest
    module, colon, attribute = path.partition(":")
    return (attribute if colon and not Path(path).exists() else Path(module).stem), path


def _locked(lock: LockFile) -> list[tuple[str, str]]:
    """All programs in the file but those that tests make."""
    named = [(program.name, program.source) for program in lock.programs.values()]
    for name, source in named:
        if source.startswith(_PYTEST):
            print(f"{name}: made by {source.removeprefix(_PYTEST)}; pytest checks it.")
    return [(name, source) for name, source in named if not source.startswith(_PYTEST)]


def _made(lock: LockFile, name: str, path: str, with_text: bool | None) -> Program:
    locked = lock.programs.get(name)
    if locked is not None and locked.source != path:
        raise OptionError(
            f"{name!r} is locked from {locked.source!r}. Name the other one: NAME={path}."
        )
    texts = (locked is not None and locked.texts) if with_text is None else with_text
    return Program(name, path, fingerprint(program_of(path)), texts)


def _tell(file: Path, program: Program, told: Sequence[str], *, written: bool) -> None:
    tokens = sum(shared.tokens for shared in program.shared)
    blocks = sum(len(shared.pieces) for shared in program.shared)
    size = f"{blocks} blocks, about {tokens:,} tokens"
    if not told:
        print(f"{file}: {program.name} is as it was locked ({size}).")
        return
    verb = "now holds" if written else "differs from"
    print(f"{file}: {verb} {program.name} ({size}):")
    print("\n".join(f"  {line}" for line in told))
