"""The README's two commands are the ones that CI and the demo's tests run."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_readme_is_finished_and_its_test_command_is_what_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    command = "python3 -m venv .venv && .venv/bin/pip install -q nox uv && .venv/bin/nox -s tests"

    assert "@@" not in readme
    assert command in readme
    assert all(step in ci for step in command.split(" && "))


def test_every_figure_in_the_readme_says_where_it_comes_from() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [r for r in readme.splitlines() if r.startswith(("separate ", "forked "))]

    assert len(rows) == 12
    assert all(row.endswith(("measured", "emulated")) for row in rows)
