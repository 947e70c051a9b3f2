"""The rulebook: caching rules as dated data files, one per provider family.

A file holds `rows`, the most specific of a provider first. A row may say, beside the fields of
`agentcache.rules.Rule`:

`extends`: the id of a row, or several (a later one wins), whose fields it takes over. Sources and
open questions add up; every other field is replaced.
`abstract`: it is only there to be extended.
`every`: it stands for one row per row of that provider, sold by somebody else: each has the id
`its-id/that-id`, both rows' fields (its own win), and says so in `like`. `but` leaves rows out, and
so does a row that is written out under such an id.
`without_ttls`: lifetimes of the extended rows that are not offered here.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

__all__ = ["read_rows"]

Row = dict[str, Any]

_ADD_UP = ("sources", "open_questions")
_HOW = ("extends", "abstract", "every", "but", "without_ttls")


def read_rows() -> list[Row]:
    """Every row with all its fields, in the order of the files' names and the rows in them."""
    raw = list(_raw())
    by_id = {row["id"]: row for row in raw}
    out: list[Row] = []
    for row in raw:
        if "every" in row:
            out += [_resolved(twin, by_id) for twin in _spread(row, raw, by_id)]
        elif not row.get("abstract"):
            out.append(_resolved(row, by_id))
    return out


def _raw() -> Iterator[Row]:
    here = files(__name__)
    for name in sorted(f.name for f in here.iterdir() if f.name.endswith(".json")):
        yield from json.loads(here.joinpath(name).read_text(encoding="utf-8"))["rows"]


def _spread(template: Row, raw: list[Row], by_id: Mapping[str, Row]) -> Iterator[Row]:
    for row in raw:
        twin_id = f"{template['id']}/{row['id']}"
        if row.get("abstract") or "every" in row or twin_id in by_id:
            continue
        provider = _resolved(row, by_id)["provider"]
        if provider != template["every"] or row["id"] in template.get("but", ()):
            continue
        title = f"{template['title']}: as {row['id']}"
        bases = [row["id"], *_bases(template)]
        yield {**template, "id": twin_id, "title": title, "like": row["id"], "extends": bases}


def _resolved(row: Row, by_id: Mapping[str, Row]) -> Row:
    bases = [_resolved(by_id[base], by_id) for base in _bases(row)]
    own = {k: v for k, v in row.items() if k not in _HOW}
    out: Row = {}
    for part in (*bases, own):
        out.update(part)
    for key in _ADD_UP:
        said = [item for part in (own, *reversed(bases)) for item in part.get(key, ())]
        out[key] = [item for n, item in enumerate(said) if item not in said[:n]]
    dropped = row.get("without_ttls", ())
    if dropped:
        out["ttls"] = [ttl for ttl in out.get("ttls", ()) if ttl["name"] not in dropped]
    return out


def _bases(row: Row) -> list[str]:
    bases: str | list[str] = row.get("extends", [])
    return [bases] if isinstance(bases, str) else bases
