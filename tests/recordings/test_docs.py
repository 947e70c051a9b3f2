"""docs/breaks.md: every kind with its cure, every form, and the commands."""

import re
from pathlib import Path

import pytest

from agentcache import cli
from agentcache.breaks.values import CURES
from agentcache.recordings import FORMS

TEXT = (Path(__file__).parents[2] / "docs" / "breaks.md").read_text()


def test_the_table_has_every_kind_with_its_cure() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+? \| (.+) \|$", TEXT, re.MULTILINE)

    told = dict(rows)
    assert {kind: told.get(kind) for kind in CURES} == CURES


def test_every_form_is_named() -> None:
    assert all(f"| `{form}` |" in TEXT for form in FORMS)


@pytest.mark.parametrize("command", ["breaks", "diff", "report"])
def test_the_commands_are_there(command, capsys) -> None:
    assert f"agentcache {command} " in TEXT
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert "--provider" in capsys.readouterr().out
