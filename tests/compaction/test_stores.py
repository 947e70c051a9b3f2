"""Where originals are kept: byte for byte, across crashes and processes, under a cap."""

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentcache.compaction import Decision, MemoryStore, SqliteStore
from agentcache.errors import OptionError
from agentcache.wrapping import options_of

WRITER = """
import sys
from agentcache.compaction import Decision, SqliteStore
store, who = SqliteStore(sys.argv[1]), sys.argv[2]
for n in range(int(sys.argv[3])):
    made = Decision(f"{who}/{n}", f"{who}-{n}", "grep", f"{who} decided {n}", "unsent", 0, (9, 1))
    store.put({f"{who}-{n}": f"{who}{n}." * 500, f"{who}-{n}b": f"{n}{who}." * 500}, [made])
    print(n, flush=True)
"""


FDS = Path("/proc/self/fd")
NAMES = [f"t{turn}/{n}" for turn in range(6) for n in range(3_000)]


def decision(text: str, name: str = "n") -> Decision:
    return Decision(name, "c", "grep", text, "pays", 2, (900, 40), "input")


@pytest.fixture(params=["memory", "sqlite", "encrypted"])
def made(request, tmp_path):
    """Make a store of this kind with a cap."""
    key = None
    if request.param == "encrypted":
        key = pytest.importorskip("cryptography.fernet").Fernet.generate_key()
    opened = []

    def store(cap: int = 10_000_000):
        if request.param == "memory":
            return MemoryStore(cap)
        opened.append(SqliteStore(tmp_path / "store.db", cap, key=key))
        return opened[-1]

    yield store
    for each in opened:
        each.close()


@settings(max_examples=30, deadline=None)
@given(contents=st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=99), max_size=5))
def test_what_is_put_is_got_byte_for_byte(contents) -> None:
    store = MemoryStore()
    store.put(contents)
    assert {name: store.get(name) for name in contents} == contents


def test_any_text_survives_in_a_file_of_ones_own(made) -> None:
    store = made()
    texts = {"a": "", "b": "\ud800 half", "c": "é" * 10_000, "d": "line\r\n\x00line"}
    store.put(texts)
    store.put({})
    assert {name: store.get(name) for name in texts} == texts
    assert store.get("e") is None
    assert len(store) == 4


def test_a_full_store_drops_what_was_used_longest_ago(made, request) -> None:
    store = made(cap=8_500 if "encrypted" in request.node.callspec.id else 6_000)
    for n in range(3):
        store.put({str(n): os.urandom(1_000).hex()})
    assert store.get("0") is not None
    for n in range(3, 6):
        store.put({str(n): os.urandom(1_000).hex()})
    assert store.get("0") is not None
    assert store.get("1") is None
    assert store.get("5") is not None


def test_the_file_is_its_owners_alone_and_opens_again(tmp_path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    store.put({"a": "text"})
    store.close()
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = SqliteStore(path)
    assert again.get("a") == "text"
    again.close()


def test_an_encrypted_file_tells_nothing_without_its_key(tmp_path) -> None:
    fernet = pytest.importorskip("cryptography.fernet").Fernet
    path, key = tmp_path / "store.db", fernet.generate_key()
    store = SqliteStore(path, key=key)
    store.put({"a": "the secret plan" * 9})
    store.close()
    assert b"secret" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
    with pytest.raises(OptionError, match="written with another key"):
        SqliteStore(path, key=fernet.generate_key())
    with pytest.raises(OptionError, match="is encrypted: pass key="):
        SqliteStore(path)
    for wrong in ("short", 7):
        with pytest.raises(OptionError, match=r"no key of cryptography.*[^.]\.$"):
            SqliteStore(path, key=wrong)
    again = SqliteStore(path, key=key)
    assert again.get("a") == "the secret plan" * 9
    again.close()
    SqliteStore(tmp_path / "plain.db").close()
    with pytest.raises(OptionError, match="is not encrypted: drop key="):
        SqliteStore(tmp_path / "plain.db", key=key)


def test_threads_share_a_store(made) -> None:
    store = made()

    def write(who: int) -> None:
        for n in range(20):
            store.put({f"{who}-{n}": f"{who} {n}"})
            assert store.get(f"{who}-{n}") == f"{who} {n}"

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) == 80


def test_two_processes_share_a_file(tmp_path) -> None:
    path = tmp_path / "store.db"
    command = [sys.executable, "-c", WRITER, str(path)]
    running = [subprocess.Popen([*command, who, "30"], stdout=subprocess.DEVNULL) for who in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    store = SqliteStore(path)
    assert len(store) == 120
    assert store.get("a-29") == "a29." * 500
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no kill -9")
def test_killed_at_any_point_it_opens_again_with_all_that_was_said_to_be_kept(tmp_path) -> None:
    path = tmp_path / "store.db"
    for turn in range(6):
        command = [sys.executable, "-c", WRITER, str(path), f"t{turn}", "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            seen = [process.stdout.readline() for _ in range(1 + 3 * turn)]
            time.sleep(0.003 * turn)
            process.send_signal(signal.SIGKILL)
            seen += process.stdout.readlines()
        last = int([line for line in seen if line.endswith("\n")][-1])
        store = SqliteStore(path)
        for n in range(last + 1):
            assert store.get(f"t{turn}-{n}") == f"t{turn}{n}." * 500
            assert store.get(f"t{turn}-{n}b") is not None
            (decided,) = store.decided([f"t{turn}/{n}"]).values()
            assert decided.text == f"t{turn} decided {n}"
        assert all(store.get(d.content_id) for d in store.decided(NAMES).values())
        store.close()


@pytest.mark.parametrize("wrong", ["a/missing/folder.db", "."])
def test_a_path_that_cannot_be_a_file_is_refused(tmp_path, wrong) -> None:
    with pytest.raises(OptionError, match="cannot be a store"):
        SqliteStore(tmp_path / wrong)


def test_a_file_of_another_kind_is_refused(tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary" * 100)
    with pytest.raises(OptionError, match="cannot be a store"):
        SqliteStore(path)
    assert path.read_text().startswith("dear diary")


def test_a_foreign_database_is_refused_and_stays_as_it_is(tmp_path) -> None:
    path = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(path)) as line:
        line.execute("CREATE TABLE contents (id TEXT)")
        line.execute("CREATE TABLE users (id TEXT)")
    before = path.read_bytes()
    path.chmod(0o644)
    with pytest.raises(OptionError, match="another database, with the tables contents, users"):
        SqliteStore(path)
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o044 or os.name != "posix"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_a_file_that_others_may_read_is_narrowed(tmp_path) -> None:
    path = tmp_path / "store.db"
    for _ in ("empty", "ours"):
        path.touch()
        path.chmod(0o644)
        SqliteStore(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_just_given_is_kept_even_above_the_cap(made) -> None:
    store = made(cap=1_000)
    store.put({"old": os.urandom(400).hex()})
    new = {str(n): os.urandom(400).hex() for n in range(6)}
    store.put(new)
    assert {name: store.get(name) for name in new} == new
    assert store.get("old") is None


def test_the_running_total_is_what_is_there(tmp_path) -> None:
    store = SqliteStore(tmp_path / "store.db", cap=9_000)
    for n in range(30):
        store.put({str(n % 12): os.urandom(100 * n % 1_700).hex()})
        ((told,),) = store._file.rows("SELECT size FROM totals")
        ((held,),) = store._file.rows("SELECT SUM(size) FROM contents")
        assert told == held <= 9_000
    store.close()


@pytest.mark.parametrize(
    "statement",
    ["SELECT id, size FROM contents ORDER BY used", "SELECT COALESCE(MAX(used), 0) FROM contents"],
)
def test_what_every_put_asks_is_read_from_the_index(tmp_path, statement) -> None:
    store = SqliteStore(tmp_path / "store.db")
    plan = str(store._file.rows(f"EXPLAIN QUERY PLAN {statement}"))
    assert "COVERING INDEX oldest" in plan
    assert "TEMP B-TREE" not in plan
    store.close()


def test_a_content_is_read_while_another_writes(tmp_path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    store.put({"a": "text"})
    store.put({"b": "more"})
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun_s = time.monotonic()
        assert store.get("a") == "text"
        assert time.monotonic() - begun_s < 2
        other.execute("ROLLBACK")
    assert store._file.rows("PRAGMA busy_timeout") == [(5_000,)]
    store.close()


@pytest.mark.skipif(not FDS.is_dir(), reason="no such list of open files")
def test_threads_that_come_and_go_leave_no_connection_open(tmp_path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    before = len([*FDS.iterdir()])
    for _ in range(30):
        thread = threading.Thread(target=store.get, args=("x",))
        thread.start()
        thread.join()
    assert len([*FDS.iterdir()]) <= before + 3
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_has_a_connection_of_its_own(tmp_path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    store.put({"before": "1"})
    child = os.fork()
    if child == 0:
        fine = False
        with contextlib.suppress(Exception):
            store.put({"child": "2"})
            fine = store.get("before") == "1"
        os._exit(0 if fine else 1)
    store.put({"parent": "3"})
    store.close()
    assert os.waitpid(child, 0)[1] == 0
    assert [store.get(name) for name in ("before", "child", "parent")] == ["1", "2", "3"]
    store.close()


def test_a_closed_store_opens_again(tmp_path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    store.put({"a": "text"})
    store.close()
    store.close()
    assert store.get("a") == "text"
    store.close()


@pytest.mark.parametrize("store", ["store.db", MemoryStore, {}, object()])
def test_what_is_no_store_is_refused_when_wrapping(store) -> None:
    with pytest.raises(OptionError, match=r"is no store\. Pass a MemoryStore"):
        options_of(compact=True, store=store)


@pytest.mark.parametrize("cap", ["10", 1e9, None, True])
def test_a_cap_is_a_whole_number(cap) -> None:
    with pytest.raises(OptionError, match="no whole number"):
        MemoryStore(cap)


@pytest.mark.parametrize("cap", [0, -1])
def test_a_cap_without_room_is_refused(cap, tmp_path) -> None:
    with pytest.raises(OptionError, match="no room"):
        MemoryStore(cap)
    with pytest.raises(OptionError, match="no room"):
        SqliteStore(tmp_path / "s.db", cap)


def test_what_was_decided_first_holds(made) -> None:
    store, other = made(), made()
    first = store.put({"c": "x"}, [decision("one")])
    again = (other if isinstance(store, SqliteStore) else store).put({}, [decision("two")])

    assert first == again == store.decided(["n", "unknown"]) == {"n": decision("one")}
    assert store.decided([]) == {}
