"""The JSON objects in a file, one after the other, however they are laid out."""

import json
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from agentcache.dialects.base import Json, is_json, is_list
from agentcache.errors import MissingExtraError, OptionError
from agentcache.recordings.hauls import Haul

__all__ = ["Documents", "parsed"]

_SHOWN: Final = 8


class Documents:
    """The objects in a file: JSON lines, one JSON text, several after each other, or YAML.

    JSON lines are read as they are asked for. The elements of a list are given one by one. What is
    no object, or cannot be read, is missed in `haul`, which is told the line, too; `begins` tells
    the keys of the first object, and nothing of its content.
    """

    def __init__(self, path: Path, haul: Haul | None = None) -> None:
        """Look at nothing yet."""
        self.path = path
        self.haul = Haul() if haul is None else haul
        self.begins = "no JSON object"

    def __iter__(self) -> Iterator[Json]:
        """Every object in the file.

        Raises:
            OptionError: the file cannot be read, or is neither JSON nor a YAML cassette.
            MissingExtraError: it is YAML, and PyYAML is not installed.

        """
        try:
            with self.path.open(encoding="utf-8-sig") as file:
                for number, value in enumerate(self._objects(file)):
                    if number == 0:
                        self.begins = _keys(value)
                    yield value
        except OSError as error:
            raise OptionError(f"{str(self.path)!r} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise OptionError(f"{str(self.path)!r} is not text in UTF-8.") from error

    def _objects(self, file: IO[str]) -> Iterator[Json]:
        lines = ((n, line) for n, line in enumerate(file, 1) if line.strip())
        at, first = next(lines, (0, ""))
        if not first:
            raise OptionError(f"{str(self.path)!r} is empty.")
        if not first.lstrip().startswith(("{", "[")):
            yield from self._behind(first + file.read(), at)
        elif parsed(first) is None:
            yield from self._texts(first + file.read())
        else:
            for n, line in chain([(at, first)], lines):
                self.haul.line = n
                yield from self._given(parsed(line))
            self.haul.line = 0

    def _behind(self, text: str, at: int) -> Iterator[Json]:
        """A YAML cassette, or the objects behind lines that are none, such as a program's own."""
        if "interactions:" in text:
            yield from self._given(_yaml(text, self.path))
        elif "\n{" in text:
            self.haul.line = at
            self.haul.miss("it is no JSON object")
            self.haul.line = 0
            yield from self._texts(text[_next_object(text, 0) :])
        else:
            raise OptionError(
                f"{str(self.path)!r} holds neither JSON nor a YAML cassette ('interactions:')."
            )

    def _texts(self, text: str) -> Iterator[Json]:
        """Objects of several lines each, one after the other, as console exporters write them."""
        decoder, at = json.JSONDecoder(), 0
        while (at := _next_text(text, at)) < len(text):
            value, end = _decoded(decoder, text, at)
            yield from self._given(value)
            at = end or _next_object(text, at)

    def _given(self, value: Any) -> Iterator[Json]:
        held: list[Any] = value if is_list(value) else [value]
        for one in held:
            if is_json(one):
                yield one
            else:
                self.haul.miss("it is no JSON object, or is cut off")


def parsed(text: Any) -> Any:
    """JSON text as a value; None where it is none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def _decoded(decoder: json.JSONDecoder, text: str, at: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends; nothing, at 0, where none does."""
    try:
        return decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, 0


def _next_text(text: str, at: int) -> int:
    """Past white space and commas."""
    while at < len(text) and (text[at].isspace() or text[at] == ","):
        at += 1
    return at


def _next_object(text: str, at: int) -> int:
    """The next line that begins an object; the end of the text if there is none."""
    found = text.find("\n{", at)
    return len(text) if found < 0 else found + 1


def _yaml(text: str, path: Path) -> Any:
    try:
        yaml: Any = import_module("yaml")
    except ImportError as error:
        raise MissingExtraError("cassettes", "yaml") from error
    try:
        return yaml.load(text, Loader=_loader(yaml))
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise OptionError(f"{str(path)!r}{where}, is no YAML: {problem}.") from error


def _loader(yaml: Any) -> Any:
    """A safe loader that also takes the plain Python types that cassettes name."""
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: Any = type("CassetteLoader", (base,), {})
    python = "tag:yaml.org,2002:python/"
    for name in ("str", "unicode"):
        loader.add_constructor(python + name, base.construct_scalar)
    loader.add_constructor(python + "tuple", base.construct_sequence)
    loader.add_constructor(python + "object/new:_io.BytesIO", _buffer)
    return loader


def _buffer(loader: Any, node: Any) -> Any:
    state: Any = loader.construct_mapping(node, deep=True).get("state") or (b"",)
    return state[0] or b""


def _keys(value: Json) -> str:
    names = ", ".join(map(repr, list(value)[:_SHOWN]))
    return f"an object with the keys {names}" if names else "an empty object"
