"""The page as text: one well-formed document that loads nothing and escapes everything."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from agentcache.ledger import Ledger
from agentcache.page import page_of, write_page
from agentcache.usage import Usage

from .calls import broken, call, ledger_of, many
from .office import run_office

TRUNK = ("tools", 1_000), ("brief", 1_000)
VOID = {"meta", "input", "br", "hr", "img", "link"}
NASTY = (
    "<img src=x onerror=alert(1)>",
    "a</script><script>alert(2)</script>",
    "quoted \"and\" 'so' & <!--",
    "محلل الأسعار",
    "a\u202eevil",
    "half \ud800 a pair \x00",
    "{{data}}",
    "x" * 5_000,
    "",
)


class Reader(HTMLParser):
    """Reads a page: its elements with their attributes, and the text of each kind."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def text(self, tag: str) -> str:
        return "".join(self.texts.get(tag, ()))


@pytest.fixture(scope="module")
def office() -> Ledger:
    return run_office()


def data_in(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_page_is_one_well_formed_document(office: Ledger) -> None:
    reader = Reader(page_of(office, title="Office"))

    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert reader.open == []
    assert len(ids) == len(set(ids))
    assert reader.text("title") == "Office"
    assert ("html", {"lang": "en"}) in reader.elements


def test_a_page_refers_to_nothing_outside_itself(office: Ledger) -> None:
    reader = Reader(page_of(office))

    for tag, attrs in reader.elements:
        assert tag not in {"link", "img", "iframe", "base", "object", "form"}
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith("#")
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
    assert "http" not in reader.text("style")
    assert "url(#" in reader.text("style")


def test_only_the_pages_own_script_may_run(office: Ledger) -> None:
    page = page_of(office)
    policy = next(a["content"] for _, a in Reader(page).elements if a.get("http-equiv"))
    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_the_same_ledger_makes_the_same_page(office: Ledger) -> None:
    assert page_of(office) == page_of(office)


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_text_whatever_it_holds(name: str) -> None:
    ledger = ledger_of(
        [
            call(
                name, *TRUNK, model=name, reason=name, forked=False, broke=broken(name, path=name)
            ),
            call(name, *TRUNK, error=name, index=1),
        ]
    )
    ledger.note(name)
    clean = Reader(page_of(ledger_of([call("a", *TRUNK, broke=broken("a"), forked=False)])))

    page = page_of(ledger, title=name)

    reader = Reader(page)
    page.encode()
    assert [tag for tag, _ in reader.elements].count("script") == 2
    assert {tag for tag, _ in reader.elements} <= {tag for tag, _ in clean.elements}
    assert data_in(page)["agents"] == [name]


def test_names_are_kept_apart_from_the_direction_of_the_text_around_them() -> None:
    page = page_of(ledger_of([call("محلل الأسعار", *TRUNK)]))

    assert "<bdi>محلل الأسعار</bdi>" in page


def test_excerpts_of_prompts_stay_out_unless_the_ledger_keeps_content() -> None:
    calls = [call("a", *TRUNK, broke=broken("a"))]

    assert "SECRET" not in page_of(ledger_of(calls))
    assert "No prompt and no answer is in this page." in page_of(ledger_of(calls))
    assert "SECRET" in page_of(ledger_of(calls, content=True))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
@pytest.mark.parametrize(("content", "mode"), [(True, 0o600), (False, 0o644)])
def test_a_page_that_others_may_read_stays_so_only_without_content(
    tmp_path: Path, content: bool, mode: int
) -> None:
    page = tmp_path / "page.html"
    page.write_text("")
    page.chmod(0o644)

    write_page(page, ledger_of([call("a", *TRUNK)], content=content))

    assert page.stat().st_mode & 0o777 == mode


def test_a_page_says_where_its_figures_come_from() -> None:
    calls = [call("a", *TRUNK)]

    measured, emulated = (
        Reader(page_of(ledger_of(calls, source=source))).text("b")
        for source in ("measured", "emulated")
    )
    assert (measured[:8], emulated[:8]) == ("measured", "emulated")
    assert "agentcache report run.jsonl --html" in page_of(ledger_of(calls))


def test_the_table_is_the_reports_own(office: Ledger) -> None:
    rows = list(_rows(page_of(office)))

    assert [row[0] for row in rows] == [
        "researcher",
        "analyst",
        "reviewer",
        "planner",
        "writer",
        "translator",
        "total",
    ]
    mine = [call.usage.input_tokens or 0 for call in office.calls if call.agent == "analyst"]
    assert rows[1][1:3] == ["10", f"{sum(mine):,}"]


def _rows(page: str) -> Iterator[list[str]]:
    body = page[page.index("<tbody>") : page.index("</tbody>")]
    for row in body.split("<tr>")[1:]:
        yield [re.sub(r"<[^>]+>", "", cell) for cell in re.split(r"</t[hd]>", row)]


def test_what_broke_stands_there_with_its_cure(office: Ledger) -> None:
    page = page_of(office)

    kinds = {call.broke.kind for call in office.calls if call.broke}
    assert kinds == {"tool_result_replaced", "tool_call_id", "timestamp"}
    assert "Agent &#x27;planner&#x27;: timestamp in messages[2].content[1].text" in page
    assert "Move the time behind the shared prefix" in page


def test_a_break_is_pinned_where_the_call_parts_from_its_kin(office: Ledger) -> None:
    data = data_in(page_of(office))

    by_kind = {data["labels"][b["kind"]]: b["at"] for b in data["breaks"]}
    tree = data["trees"][0]
    forks = {line[1] for line in tree["lines"]}
    assert {by_kind["timestamp"], by_kind["tool call id"]} <= forks


@pytest.mark.parametrize(
    ("section", "path", "at"),
    [
        ("params", "model", 0),
        ("usage", "usage", 1_500),
        ("messages", "messages[2].content", 2_000),
        ("messages", "messages[9]", 1_500),
        ("tools", "tools", 0),
    ],
)
def test_a_break_without_kin_is_pinned_by_its_path(section: str, path: str, at: int) -> None:
    broke = broken("a", section=section, path=path)
    made = call("a", ("tools", 1_000), ("brief", 1_000), ("ask", 500), read=1_500, broke=broke)

    assert data_in(page_of(ledger_of([made])))["breaks"][0]["at"] == at


def test_sections_of_a_trunk_are_told(office: Ledger) -> None:
    sections = data_in(page_of(office))["trees"][0]["sections"]["0"]

    assert [name for name, _ in sections] == ["tools", "messages"]


def test_unknown_numbers_stay_unknown() -> None:
    page = page_of(ledger_of([call("a", *TRUNK, usage=Usage())]))
    calls = data_in(page)["calls"]

    assert (calls["input"], calls["edges"], calls["output"]) == ([-1], [0], [-1])
    assert "An unknown share was read" in page


def test_a_failed_call_is_listed_and_not_drawn() -> None:
    data = data_in(page_of(ledger_of([call("a", *TRUNK, error="APIError")])))

    assert data["trees"] == []
    assert data["labels"][data["calls"]["error"][0]] == "APIError"


def test_an_empty_ledger_makes_a_page() -> None:
    assert "No calls yet." in page_of(Ledger())


def test_calls_that_sent_nothing_known_make_a_page() -> None:
    data = data_in(page_of(ledger_of([call("a"), call("b", *TRUNK, index=1)])))

    assert data["calls"]["tree"] == [-1, 0]


def test_times_that_are_no_times_make_a_page() -> None:
    made = replace(call("a", *TRUNK), started_s=float("nan"), ended_s=float("inf"))

    assert data_in(page_of(ledger_of([made])))["calls"]["took"] == [0]


def test_ten_thousand_calls_that_all_break_fit_into_five_megabytes() -> None:
    page = page_of(many(10_000, agents=40, turns=12, every=1))

    data = data_in(page)
    assert len(page.encode()) < 5_000_000
    assert len(data["calls"]["index"]) == 10_000
    assert len(data["trees"][0]["lines"]) <= 1_500


def test_a_thousand_agents_fit_too() -> None:
    page = page_of(many(1_000, agents=1_000, turns=1))

    assert len(page.encode()) < 1_000_000
    assert "940 more agents are counted in the total." in page


def _colours(block: str) -> dict[str, float]:
    found = re.findall(r"--([\w-]+): #([0-9a-f]{6});", block)
    return {name: _luminance(value) for name, value in found}


def _luminance(value: str) -> float:
    parts = [int(value[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("theme", [":root {", ':root:not([data-theme="light"]) {'])
def test_colours_can_be_told_apart_by_lightness_alone(theme: str) -> None:
    style = files("agentcache.page").joinpath("page.html").read_text()
    colours = _colours(style[style.index(theme) :].partition("}")[0])
    paper = colours["paper"]

    for text in ("ink", "soft", "broke"):
        assert _contrast(colours[text], paper) >= 4.5, text
    for shape in ("across", "broke", "write", *(f"a{n}" for n in range(8))):
        assert _contrast(colours[shape], paper) >= 3, shape
    assert _contrast(colours["across"], colours["own"]) >= 2.5
    assert _contrast(colours["own"], paper) >= 1.7


def test_both_ways_to_be_dark_have_the_same_colours() -> None:
    style = files("agentcache.page").joinpath("page.html").read_text()
    asked, chosen = (
        _colours(style[style.index(theme) :].partition("}")[0])
        for theme in (':root:not([data-theme="light"]) {', ':root[data-theme="dark"] {')
    )

    assert asked == chosen
    assert len(asked) > 15
