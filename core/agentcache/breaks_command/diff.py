"""`agentcache diff`: what keeps one request from reading what another one wrote."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from rich.console import Console

from agentcache.breaks import find_break
from agentcache.breaks_command.words import as_json, say
from agentcache.dialects import Json, dialect_of
from agentcache.dialects.base import is_json
from agentcache.errors import OptionError
from agentcache.recordings.documents import Documents

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `agentcache diff`."""
    what = "a wire request as JSON; headers may stand in it as extra_headers"
    parser.add_argument("before", metavar="A.json", help=f"the earlier request: {what}")
    parser.add_argument("after", metavar="B.json", help="the later one")
    parser.add_argument("--provider", help="whose rules hold, if the model does not tell")
    parser.add_argument("--json", action="store_true", help="print JSON instead")


def run(args: Namespace) -> int:
    """Say what broke between two requests: 1 if anything did, 0 if nothing.

    Raises:
        OptionError: a file that holds no request, or a provider that no row names.

    """
    before, after = _request(args.before), _request(args.after)
    found = find_break(before, after, provider=args.provider)
    if args.json:
        print(json.dumps(None if found is None else as_json(found), indent=1))
    else:
        said = "Nothing broke." if found is None else str(found)
        say(Console(highlight=False), said)
    return int(found is not None)


def _request(name: str) -> Json:
    documents = list(Documents(Path(name)))
    if len(documents) != 1:
        raise OptionError(f"{name!r} holds {len(documents)} JSON objects, and a request is one.")
    inner: Any = documents[0].get("request")  # a line of a ledger that keeps content
    request = inner if is_json(inner) else documents[0]
    try:
        dialect_of(request)
    except OptionError as error:
        raise OptionError(f"{name!r}: {error}") from error
    return request
