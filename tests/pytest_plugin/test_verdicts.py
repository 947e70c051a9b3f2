"""What the fixture prefix_cache says of a test, and in which words."""

import pytest

pytest_plugins = ["pytester"]

BROKE = """\
prefix broke: agent 'clerk', timestamp in messages[[]0].content*

agent 'clerk': timestamp
   calls   call 2 of 2 against call 1 of the same agent, gpt-4.1-mini
   where   messages[[]0].content, character 21
   before  '*ime: 12:00:01. You are the clerk.*'
   after   '*ime: 12:00:02. You are the clerk.*'
   *^
   lost    about * tokens* are sent again, unread
   cure    Move the time behind the shared prefix, into the last message, or round it to the day.

If this is meant: @pytest.mark.moves_cache_prefix(reason="...")
to ignore this kind of break: @pytest.mark.prefix_cache(ignore=("timestamp",))""".splitlines()


def test_a_prefix_that_stays_passes_and_is_counted(inner):
    ran = inner("def test_it(prefix_cache): steady(prefix_cache)")

    ran.assert_outcomes(passed=1)
    ran.stdout.fnmatch_lines(["agentcache: 1 test watched, none broke its prefix"])


def test_a_break_fails_the_test_and_says_all_about_it(inner):
    ran = inner("def test_it(prefix_cache): moved(prefix_cache)")

    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(BROKE, consecutive=True)
    ran.stdout.fnmatch_lines(
        [
            "agentcache: 1 test watched, 1 broke its prefix",
            "FAILED test_suite.py::test_it - Failed: prefix broke: agent 'clerk', timesta*",
        ]
    )
    assert "hooks.py" not in ran.stdout.str()


def test_the_caret_stands_under_the_first_difference(inner):
    ran = inner("def test_it(prefix_cache): moved(prefix_cache)")

    lines = ran.outlines
    at = next(n for n, line in enumerate(lines) if line.strip() == "^")
    before, after, caret = lines[at - 2], lines[at - 1], lines[at].index("^")
    assert before[:caret] == after[:caret].replace("after ", "before")
    assert (before[caret], after[caret]) == ("1", "2")


def test_several_breaks_are_numbered(inner):
    ran = inner("""
def test_it(prefix_cache):
    moved(prefix_cache)
    moved(prefix_cache, agent="scout")
""")

    ran.stdout.fnmatch_lines(
        [
            "prefix broke: agent 'clerk', timestamp in messages*, and 1 more break",
            "1. agent 'clerk': timestamp",
            "2. agent 'scout': timestamp",
            "   calls   call 4 of 4 against call 3 of the same agent, gpt-4.1-mini",
        ]
    )


def test_marks_turn_the_verdict_around(inner):
    ran = inner("""
@pytest.mark.moves_cache_prefix(reason="it tells the time")
def test_moves(prefix_cache): moved(prefix_cache)

@pytest.mark.moves_cache_prefix("it tells the time")
def test_moves_too(prefix_cache): moved(prefix_cache)

@pytest.mark.moves_cache_prefix(reason="it tells the time")
def test_unused(prefix_cache): steady(prefix_cache)

@pytest.mark.moves_cache_prefix(reason="it tells the time")
def test_without(): pass

@pytest.mark.moves_cache_prefix
def test_no_reason(prefix_cache): moved(prefix_cache)

@pytest.mark.moves_cache_prefix(reason=" ")
def test_empty_reason(prefix_cache): moved(prefix_cache)

@pytest.mark.moves_cache_prefix(reason="its agents have nothing in common")
@pytest.mark.prefix_cache(min_shared_tokens=1000)
def test_little(prefix_cache):
    talk(prefix_cache, "You are the clerk.")
    talk(prefix_cache, "You are the scout.", agent="scout")
""")

    ran.assert_outcomes(passed=3, failed=2, errors=2)
    needs = '@pytest.mark.moves_cache_prefix needs a reason: *moves_cache_prefix(reason="...").'
    ran.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_no_reason*",
            needs,
            "*ERROR at setup of test_empty_reason*",
            needs,
            "unused marker: nothing broke in 2 calls, though * says 'it tells the time'. Drop *.",
            "@pytest.mark.moves_cache_prefix needs the fixture prefix_cache: nothing watches *.",
            "agentcache: 4 tests *, none broke *, 3 moved it as expected, 1 did not move it, *",
        ]
    )


def test_a_test_that_watches_no_call_fails(inner):
    ran = inner("def test_it(prefix_cache): pass")

    ran.assert_outcomes(failed=1)
    ran.stdout.fnmatch_lines(
        [
            "prefix_cache watched no call: the test would pass whatever its agents send.",
            "Give it what they run on: prefix_cache.wrap(crew), .observe(client), .watch(ledger),",
            ".provider(loopback), .recording(path) or .request(body); or drop the fixture.",
            "agentcache: 1 test watched, none broke its prefix, 1 watched no call",
        ]
    )


def test_agents_must_share_as_much_as_is_asked(inner):
    ran = inner("""
pytestmark = pytest.mark.prefix_cache(min_shared_tokens=1000)

def two(prefix_cache, shared, **more):
    for agent in ("clerk", "scout"):
        prefix_cache.request(body(shared, f"You are the {agent}.", **more), agent=agent)

def test_enough(prefix_cache): two(prefix_cache, LONG)

def test_enough_of_one_text(prefix_cache):
    for agent in ("clerk", "scout"):
        talk(prefix_cache, LONG + f"You are the {agent}.", agent=agent)

def test_alone(prefix_cache): talk(prefix_cache, LONG, LONG)

def test_little(prefix_cache): two(prefix_cache, "Mind the rules.")

@pytest.mark.prefix_cache(min_shared_tokens=10)
def test_less_is_asked(prefix_cache): two(prefix_cache, "Mind the rules.")

def test_another_model(prefix_cache):
    two(prefix_cache, LONG)
    prefix_cache.request(body(LONG, "Judge.", model="gpt-6-luna"), agent="judge")

@pytest.mark.prefix_cache(apart=("judge",))
def test_apart(prefix_cache): test_another_model(prefix_cache)

def test_one_call(prefix_cache): talk(prefix_cache, LONG)
""")

    ran.assert_outcomes(passed=5, failed=3)
    ran.stdout.fnmatch_lines(
        [
            "shared too little: agent 'clerk' shares about 28 tokens with 'scout'; min_shared_to*",
            "   agent  calls  tokens  shared with  parts at",
            "   clerk  1      28      scout        messages[[]1]",
            "   scout  1      28      clerk        messages[[]1]",
            "Give all agents one prefix (agentcache.wrap), and what is their own behind it; or *.",
            'An agent that need not share: @pytest.mark.prefix_cache(apart=("name",))',
            "shared too little: agent 'judge' shares no tokens with anybody: it made one call, *",
            "   judge  1      0       nobody       model",
            "shared too little: agent 'clerk' shares no tokens with anybody: it made one call, *",
            "agentcache: 8 tests watched, none broke its prefix, 3 shared too little",
        ]
    )


def test_only_where_a_prefix_can_be_read_to_the_token_a_part_of_a_text_is_shared(inner):
    ran = inner("""
@pytest.mark.prefix_cache(min_shared_tokens=1000)
@pytest.mark.parametrize("model", ["gpt-4.1-mini", "gpt-6-luna"])
def test_it(prefix_cache, model):
    for agent in ("clerk", "scout"):
        prefix_cache.request(body(LONG + agent, "Begin.", model=model), agent=agent)
""")

    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["shared too little: agent 'clerk' shares no tokens with 'scout'*"])
    assert "test_it[gpt-6-luna]" in ran.stdout.str()


def test_kinds_can_be_ignored_and_options_set_in_the_test(inner):
    ran = inner("""
@pytest.mark.prefix_cache(ignore=("timestamp",))
def test_ignored(prefix_cache): moved(prefix_cache)

def test_configured(prefix_cache):
    prefix_cache.configure(ignore="timestamp", provider="openai")
    moved(prefix_cache)

@pytest.mark.prefix_cache(ignore=("counter",))
def test_another_kind(prefix_cache): moved(prefix_cache)

def test_its_own(prefix_cache):
    moved(prefix_cache)
    assert [b.kind for b in prefix_cache.breaks] == ["timestamp"]
    prefix_cache.configure(ignore=["timestamp"])
    assert not prefix_cache.breaks
""")

    ran.assert_outcomes(passed=3, failed=1)
    ran.stdout.fnmatch_lines(["*test_another_kind*", "prefix broke: agent 'clerk', timestamp*"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("ignore=('timestmp',)", "ignore='timestmp' is no kind of break. Kinds: text_edit, *"),
        ("min_shared_tokens='all'", "min_shared_tokens='all' is no count of tokens."),
        ("min_shared_tokens=-1", "min_shared_tokens=-1 is no count of tokens."),
        ("provider='nobody'", "*nobody*"),
        (
            "min_shard=3",
            "there is no option min_shard. Did you mean min_shared_tokens? Options: min_shared_*",
        ),
        ("least=3", "there is no option least. Options: min_shared_tokens, *"),
        ("3", "3 is given without the name of its option. Options: min_shared_tokens, *"),
    ],
)
def test_an_option_that_cannot_be_had_is_an_error(inner, options, says):
    ran = inner(f"""
@pytest.mark.prefix_cache({options})
def test_it(prefix_cache): steady(prefix_cache)
""")

    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines([f"@pytest.mark.prefix_cache: {says}"])


def test_a_test_that_fails_by_itself_is_told_what_broke(inner):
    ran = inner("""
def test_it(prefix_cache):
    moved(prefix_cache)
    assert not "its own failure"

def test_skips(prefix_cache):
    moved(prefix_cache)
    pytest.skip("not now")

@pytest.mark.xfail(reason="known", strict=True)
def test_expected(prefix_cache): moved(prefix_cache)
""")

    ran.assert_outcomes(failed=1, skipped=1, xfailed=1)
    ran.stdout.fnmatch_lines(
        [
            "E       AssertionError: assert not 'its own failure'",
            "*Captured prefix cache call*",
            "prefix broke: agent 'clerk', timestamp in messages*",
        ]
    )


def test_it_can_be_switched_off(inner):
    suite = """
def test_moves(prefix_cache): moved(prefix_cache)

@pytest.mark.moves_cache_prefix(reason="it tells the time")
def test_unused(prefix_cache): steady(prefix_cache)
"""
    inner(suite).assert_outcomes(failed=2)

    ran = inner(suite, "--no-prefix-cache")

    ran.assert_outcomes(passed=2)
    ran.stdout.fnmatch_lines(["agentcache: 2 tests not judged (--no-prefix-cache)"])


def test_another_fixture_may_ask_for_it(inner):
    ran = inner("""
@pytest.fixture
def crew(prefix_cache):
    moved(prefix_cache)

def test_it(crew): pass

def test_late(request): moved(request.getfixturevalue("prefix_cache"))
""")

    ran.assert_outcomes(failed=2)
