"""Prefix locks in tests: `prefix_cache.lock(name)`."""

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import fleet

@pytest.fixture
def crew():
    return fleet.Crew("http://127.0.0.1:9")

def test_it(prefix_cache, crew):
    prefix_cache.wrap(crew, context=[{context!r}])
    prefix_cache.lock("crew")
"""
UPDATE = "--update-prefix-lock"


def test_a_lock_is_written_once_and_then_compared(inner, pytester):
    path = pytester.path / "agentcache.lock"

    ran = inner(SUITE.format(context="Mind the rules."))
    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(
        [
            "not as locked: 'crew' differs from agentcache.lock",
            "   added    it is not in the lock file",
            "If this is meant: pytest --update-prefix-lock 'test_suite.py::test_it'",
            "agentcache: 1 test watched, none broke its prefix, 1 not as locked",
        ],
        consecutive=False,
    )
    assert not path.exists()

    inner(SUITE.format(context="Mind the rules."), UPDATE).assert_outcomes(passed=1)
    text = path.read_text()
    assert 'from = "pytest:test_suite.py::test_it"' in text
    assert "Mind the rules" not in text

    inner(SUITE.format(context="Mind the rules.")).assert_outcomes(passed=1)

    ran = inner(SUITE.format(context="Mind no rules."))
    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(["   changed  messages[[]1].content[[]0], * tokens*"])
    assert path.read_text() == text


def test_two_programs_need_two_names(inner):
    suite = """
@pytest.mark.parametrize("system", ["Be strict.", "Be kind."])
def test_it(prefix_cache, system):
    talk(prefix_cache, system)
    prefix_cache.lock("clerk")
"""
    inner(suite, UPDATE).assert_outcomes(passed=2)

    ran = inner(suite)

    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(
        ["It was locked by pytest:*::test_it[[]Be kind.[]]: two programs need two names."]
    )


def test_a_lock_that_differs_fails_a_test_that_may_move_its_prefix(inner):
    marked = SUITE.replace("def test_it", "@pytest.mark.moves_cache_prefix('it may')\ndef test_it")

    inner(marked.format(context="Mind the rules.")).assert_outcomes(failed=1)


def test_words_are_written_and_told_on_request(inner, pytester):
    suite = SUITE.replace('lock("crew")', 'lock("crew", with_text=True)')
    inner(suite.format(context="Mind the rules."), UPDATE).assert_outcomes(passed=1)
    assert "Mind the rules." in (pytester.path / "agentcache.lock").read_text()

    ran = inner(suite.format(context="Mind no rules."))

    ran.stdout.fnmatch_lines(["   changed  messages*, '*Mind the rules.*' became '*Mind no rule*"])


def test_a_ledger_and_one_agent_alone_can_be_locked(inner, pytester):
    suite = """
def test_it(prefix_cache):
    talk(prefix_cache, "You are the clerk. {more}", agent="clerk")
    prefix_cache.lock("clerk")
    prefix_cache.lock("same", prefix_cache._by_hand.ledger)
"""
    inner(suite.format(more=""), UPDATE).assert_outcomes(passed=1)
    inner(suite.format(more="")).assert_outcomes(passed=1)

    ran = inner(suite.format(more="Be strict."))

    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(
        [
            "not as locked: 'clerk' differs from agentcache.lock",
            "   changed  messages[[]0], * tokens became *",
            "not as locked: 'same' differs from agentcache.lock",
        ]
    )


def test_what_is_locked_must_be_one_thing_that_is_shared(inner):
    ran = inner("""
import fleet

def test_two(prefix_cache):
    for _ in range(2):
        prefix_cache.wrap(fleet.Crew("http://127.0.0.1:9"))
    prefix_cache.lock("crew")

def test_none(prefix_cache): prefix_cache.lock("crew")

def test_nothing_shared(prefix_cache):
    talk(prefix_cache, "You are the clerk.", agent="clerk")
    talk(prefix_cache, "You are the scout.", agent="scout")
    prefix_cache.lock("crew")
""")

    ran.assert_outcomes(failed=3)
    ran.stdout.fnmatch_lines(
        [
            "E * prefix_cache.lock('crew') watches 2 things, not one. Say which: *lock(*).",
            "E * prefix_cache.lock('crew') watches 0 things, not one. *",
            "E * The agents of this Ledger share no block: there is nothing to lock. Wrap them, *",
        ]
    )


def test_the_file_may_stand_elsewhere(inner, pytester):
    pytester.makeini("[pytest]\nprefix_cache_lock = locks/prefix.lock\n")
    pytester.mkdir("locks")

    inner(SUITE.format(context="Mind the rules."), UPDATE).assert_outcomes(passed=1)

    assert (pytester.path / "locks" / "prefix.lock").exists()


@pytest.mark.parametrize("option", ["--no-prefix-cache", UPDATE])
def test_locks_are_written_only_by_tests_that_were_judged(inner, pytester, option):
    suite = """
def test_it(prefix_cache):
    steady(prefix_cache)
    prefix_cache.lock("one")
    assert {passes}
"""
    inner(suite.format(passes=option != UPDATE), option)

    assert not (pytester.path / "agentcache.lock").exists()
