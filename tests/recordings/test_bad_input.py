"""Broken and foreign files: an error that names what was expected and found, or a count."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentcache import recordings
from agentcache.errors import MissingExtraError, OptionError
from agentcache.recordings.documents import Documents

DATA = Path(__file__).with_name("data")
CASSETTE = DATA / "cassette.json"


def written(folder: Path, content: str | bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("Once upon a time", "neither JSON nor a YAML cassette"),
        ("interactions: [unclosed", ", is no YAML"),
        (b"\xff\xfe\x00\x01", "not text in UTF-8"),
        ("{broken", "Found: no JSON object"),
        ("[]", "Found: no JSON object"),
        ("[1, 2]", "Found: no JSON object"),
        ("{}", "Found: an empty object"),
        ('{"name": "x", "version": 1}', "Found: an object with the keys 'name', 'version'"),
        ('{"log": {"entries": []}}', "read as a HAR file, holds no call to a chat model"),
        ('{"interactions": []}', "read as a VCR cassette (JSON or YAML), holds no call"),
        ('{"run_type": "chain", "id": "1"}', "Found: 1 other entries"),
        ('{"resourceSpans": []}', "holds no call to a chat model"),
        ('{"rule_id": "x", "sent": [], "usage": {}}', "1 could not be read. The first: line 1: "),
    ],
)
def test_a_file_that_is_no_recording_is_an_error_that_says_what_it_is(
    tmp_path, content, found
) -> None:
    if "interactions: " in str(content):
        pytest.importorskip("yaml")
    with pytest.raises(OptionError) as error:
        recordings.read(written(tmp_path, content))

    assert found in str(error.value)
    assert "file" in str(error.value)


def test_a_foreign_file_is_told_what_is_read(tmp_path) -> None:
    with pytest.raises(OptionError, match=r"Expected one of: .*HAR.*OpenTelemetry.*VCR"):
        recordings.read(written(tmp_path, '{"hello": "world, which is not shown"}'))


def test_an_error_shows_no_content(tmp_path) -> None:
    for content in ('{"hello": "CONTENT"}', "interactions: [CONTENT", "{CONTENT", "CONTENT"):
        if "interactions" in content:
            pytest.importorskip("yaml")
        with pytest.raises(OptionError) as error:
            recordings.read(written(tmp_path, content))
        assert "CONTENT" not in str(error.value)


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_path_without_a_file_is_an_error(tmp_path, name) -> None:
    with pytest.raises(OptionError, match="cannot be read: "):
        recordings.read(tmp_path / name)


def test_a_form_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(OptionError, match="form='xml' does not exist"):
        recordings.read(CASSETTE, form="xml")


def test_a_named_form_is_believed() -> None:
    with pytest.raises(OptionError, match="read as a HAR file, holds no call"):
        recordings.read(CASSETTE, form="har")
    assert recordings.read(CASSETTE, form="vcr").form == "vcr"


def test_yaml_without_pyyaml_names_the_extra(tmp_path, mocker) -> None:
    mocker.patch("agentcache.recordings.documents.import_module", side_effect=ImportError)

    with pytest.raises(MissingExtraError, match=r"'yaml' is not installed.*'\.\[cassettes\]'"):
        recordings.read(written(tmp_path, "interactions: []\nversion: 1\n"))


def test_lines_that_cannot_be_read_are_counted(tmp_path) -> None:
    lines = (DATA / "langsmith-sdk.jsonl").read_text().splitlines()
    mixed = ["null", lines[0], lines[1][:100], *lines[2:], "[1]"]

    recording = recordings.read(written(tmp_path, "\n".join(mixed)))

    assert (len(recording), recording.unread) == (4, 3)
    cause = "line 1: it is no JSON object"
    assert recording.remarks() == (f"3 line(s) or entries could not be read. The first: {cause}.",)


def test_a_cut_off_console_export_is_read_up_to_the_cut(tmp_path) -> None:
    text = (DATA / "otel-openinference-console.json").read_text()

    recording = recordings.read(written(tmp_path, text[: len(text) * 3 // 4]))

    assert (len(recording), recording.unread) == (3, 1)


def test_what_stands_between_exported_spans_does_not_matter(tmp_path) -> None:
    text = (DATA / "otel-openinference-console.json").read_text()

    recording = recordings.read(written(tmp_path, text.replace("\n}\n{", "\n}\nINFO started\n{")))

    assert (len(recording), recording.unread) == (4, 3)


def test_a_byte_order_mark_and_a_list_of_objects_are_fine(tmp_path) -> None:
    rows = [json.loads(line) for line in (DATA / "langsmith-sdk.jsonl").read_text().splitlines()]

    recording = recordings.read(written(tmp_path, "\ufeff" + json.dumps(rows, indent=1)))

    assert len(recording) == 5


def test_compressed_answers_are_read_where_python_can(tmp_path) -> None:
    yaml = pytest.importorskip("yaml")
    import gzip

    tape = {"interactions": json.loads(CASSETTE.read_text())["interactions"][:4]}
    for n, one in enumerate(tape["interactions"]):
        body = one["response"]["body"]["string"].encode()
        one["response"]["body"]["string"] = gzip.compress(body) if n < 3 else b"\x28\xb5\x2f\xfd"

    recording = recordings.read(written(tmp_path, yaml.dump(tape)))

    told = [call.usage and call.usage.input_tokens for call in recording]
    assert told == [127, 144, 125, None]
    assert "usage_unreported" not in {one.kind for one in recording.breaks()}


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.just(10**400),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([[], {}, [[]], {"role": "user"}, '{"a": [1]}', "[1", "2026-99-99T00:00:00Z"]),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    return [at, *(place for key, held in inner for place in places(held, (*at, key)))]


def exchanged(value: Any, at: tuple[Any, ...], junk: Any) -> Any:
    if not at:
        return junk
    copy = value.copy()
    copy[at[0]] = exchanged(value[at[0]], at[1:], junk)
    return copy


NAMES = sorted(path.name for path in DATA.iterdir() if path.suffix != ".yaml")
HELD = {name: list(Documents(DATA / name)) for name in NAMES}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_junk_in_a_recording_makes_reading_raise_anything_else(tmp_path, data) -> None:
    rows: Any = HELD[data.draw(st.sampled_from(NAMES))]
    for _ in range(data.draw(st.integers(1, 3))):
        rows = exchanged(rows, data.draw(st.sampled_from(places(rows)[1:])), data.draw(JUNK))
    path = tmp_path / "junk.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8", "surrogatepass")

    try:
        recording = recordings.read(path)
    except OptionError:
        return

    assert len(recording.ledger().calls) == len(recording)
