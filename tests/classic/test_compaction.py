"""Compaction of classic agents: what arrives on the wire, and what an agent reads again."""

import asyncio
import re
from itertools import pairwise

import pytest
from autogen import ConversableAgent, GroupChat, GroupChatManager, register_function

import agentcache
from agentcache import loopback
from agentcache.compaction import RECALL, SqliteStore

from . import programs, wire
from .measure import calls

MODELS = ("gpt-6-luna", "gpt-4.1-mini", "claude-haiku-5-5")
models = pytest.mark.parametrize("model", MODELS)
ID = re.compile(r"\[compacted tool result (\w+)\]")
DONE = "The log is read."


def log(day=0):
    """About 40 kB that say something once."""
    lines = [f"{n:04} pier {n % 7}: ferry {day} at {n * 37 % 60:02} past, ok" for n in range(1000)]
    lines[517] += " é ERROR the winter timetable was lost"
    return "\n".join(lines)


def read_log(day: int) -> str:
    return log(day)


def reads(days=1, *, again=True):
    """A model that reads logs, then one of them again by its placeholder, then answers."""
    asked = []

    def script(turn):
        who = programs.speaker(turn)
        if who != "writer":
            chosen = "critic" if len(asked) > days + again else "writer"
            return loopback.Answer(chosen if who == "selector" else "Fine.")
        asked.append(who)
        if len(asked) <= days:
            call = loopback.ToolCall("read_log", {"day": len(asked) - 1})
        elif again and len(asked) == days + 1 and RECALL in turn.tools:
            call = loopback.ToolCall(RECALL, {"id": ID.search(results(turn.body)[0])[1]})
        else:
            return loopback.Answer(DONE)
        return loopback.Answer(tool_calls=(call,))

    return script


def results(body):
    """What tools have answered, as a request holds it."""
    texts = []
    for message in body["messages"]:
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        texts += [part["content"] for part in parts if part.get("type") == "tool_result"]
        texts += [content] if message["role"] == "tool" else []
    return [t if isinstance(t, str) else "".join(p["text"] for p in t) for t in texts]


def extends(bodies):
    """Whether each request begins with all that the one before shared."""
    every = [wire.shared(body) for body in bodies]
    return all(after[: len(before)] == before for before, after in pairwise(every))


def ends(message):
    return DONE in (message.get("content") or "")


def agent(name, config, **options):
    return ConversableAgent(
        name,
        system_message=programs.PROMPTS[name],
        description=f"The {name}.",
        llm_config=config,
        human_input_mode="NEVER",
        **options,
    )


class Office:
    """A writer whose tools the user runs, on a provider that plays a script."""

    def __init__(self, stage, model, script):
        self.provider = stage.begin(script)
        self.config = programs.llm_config(self.provider, model)
        self.user = ConversableAgent(
            "user",
            llm_config=False,
            human_input_mode="NEVER",
            is_termination_msg=ends,
            max_consecutive_auto_reply=60,
        )
        self.writer = agent("writer", self.config)
        self.ledger = agentcache.Ledger()

    def register(self, tool=read_log, name="read_log"):
        register_function(
            tool, caller=self.writer, executor=self.user, name=name, description="Read a log."
        )
        return self

    def wrap(self, x, **options):
        options = {"compact": True, "layout": "tail", "ledger": self.ledger, **options}
        return agentcache.wrap(x, **options)

    def talk(self, message=programs.BRIEF, **options):
        self.user.initiate_chat(self.writer, message=message, silent=True, **options)
        return self.bodies

    def group(self, method="auto", *, rounds=20):
        """The user, the writer and a critic, who has no tools."""
        members = [self.user, self.writer, agent("critic", self.config)]
        chat = GroupChat(members, max_round=rounds, speaker_selection_method=method)
        self.manager = GroupChatManager(
            chat, llm_config=self.config, silent=True, is_termination_msg=ends
        )
        return self.manager

    @property
    def raw(self):
        return [request.raw for request in calls(self.provider)]

    @property
    def bodies(self):
        return [request.body for request in calls(self.provider)]

    @property
    def quiet(self):
        """Whether nothing moved: no step was taken, and no prefix broke."""
        return not any(call.moved or call.broke for call in self.ledger.calls)


def without_ids(raw):
    return re.sub(rb"(call|toolu)_\d+", b"id", raw)


@models
def test_a_large_result_goes_out_as_a_placeholder_and_is_read_again_in_full(stage, model):
    office = Office(stage, model, reads()).register()
    office.wrap([office.writer, office.user])

    bodies = office.talk()

    held = [results(body) for body in bodies]
    assert [len(texts) for texts in held] == [0, 1, 2]
    assert held[1][0].startswith("[compacted tool result ")
    assert "518: 0517 pier 6" in held[1][0], "the line that tells how it went"
    assert held[2] == [held[1][0], log()], "byte for byte"
    assert extends(bodies)
    assert all(RECALL in wire.names(body) for body in bodies)
    assert office.quiet


@models
def test_without_compaction_the_full_text_goes_out(stage, model):
    office = Office(stage, model, reads()).register()
    agentcache.wrap([office.writer, office.user], layout="tail")

    bodies = office.talk()

    assert results(bodies[-1]) == [log()]
    assert not any(RECALL in wire.texts(body) for body in bodies)
    assert list(office.user.function_map) == ["read_log"]


@models
def test_a_loop_of_twelve_turns_moves_nothing(stage, model):
    office = Office(stage, model, reads(12, again=False)).register()
    office.wrap([office.writer, office.user])

    bodies = office.talk()

    assert len(bodies) == 13
    assert extends(bodies)
    assert [text[:23] for text in results(bodies[-1])] == ["[compacted tool result "] * 12
    assert office.quiet
    assert agentcache.session(office.writer).compactor.log.steps == 0


@models
def test_the_framework_keeps_what_its_tools_have_said(stage, model):
    office = Office(stage, model, reads()).register()
    office.wrap([office.writer, office.user])

    office.talk()

    kept = [m for m in office.writer.chat_messages[office.user] if m.get("tool_responses")]
    assert [m["content"] for m in kept] == [log(), log()]


@models
def test_unwrapped_the_chat_sends_what_it_sent_before(stage, model):
    office = Office(stage, model, reads()).register()
    before = list(map(without_ids, (office.talk(), office.raw)[1]))

    office.wrap([office.writer, office.user])
    office.talk("Read it.", max_turns=1)
    agentcache.unwrap(office.writer)

    assert list(office.user.function_map) == ["read_log"]
    stage.begin(reads())
    office.talk()
    assert list(map(without_ids, office.raw)) == before


@models
@pytest.mark.parametrize("method", ["auto", "round_robin"])
def test_in_a_group_chat_all_read_the_placeholder(stage, model, method):
    office = Office(stage, model, reads(2)).register()
    office.wrap(office.group(method))

    office.user.initiate_chat(office.manager, message=programs.BRIEF, silent=True)

    every = [text for body in office.bodies for text in results(body)]
    assert every.count(log()) >= 1, "the one that was read again"
    assert log(1) not in every
    assert all(map(wire.is_forked, office.bodies))
    if method == "auto":
        assert len(office.bodies) == 8
        assert extends(office.bodies)
        assert office.quiet


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-4.1-mini"])
def test_who_has_no_tools_reads_it_in_full_until_it_is_replaced_for_another(stage, model):
    """Who cannot read again is given no placeholder, unless the chat has one already."""
    office = Office(stage, model, reads(2, again=False)).register()
    chat = office.wrap(office.group("round_robin")).groupchat
    chat.agents[1:] = reversed(chat.agents[1:])

    office.user.initiate_chat(office.manager, message=programs.BRIEF, silent=True)

    critic = [body for body in office.bodies if "You are the critic" in wire.own_text(body)]
    held = [[log(n) == text for n, text in enumerate(results(body))] for body in critic]
    assert held == [[], [True], [False, True]]
    told = [call.moved for call in office.ledger.calls if call.agent == "critic"]
    assert [bool(sentence) for sentence in told] == [False, False, True]
    assert "which another conversation took" in told[2]
    assert not any(call.broke for call in office.ledger.calls)


def test_the_speaker_who_is_chosen_and_who_chooses_read_the_same(stage):
    """Without a result in full in between, though who chooses comes first."""
    office = Office(stage, "gpt-6-luna", reads(again=False)).register()
    office.wrap(office.group())

    office.user.initiate_chat(office.manager, message=programs.BRIEF, silent=True)

    assert log() not in [text for body in office.bodies for text in results(body)]
    assert sum(bool(results(body)) for body in office.bodies) >= 2


@models
def test_a_pattern_runs_it_in_the_executor_that_it_makes(stage, model):
    groups = pytest.importorskip("autogen.agentchat")
    patterns = pytest.importorskip("autogen.agentchat.group.patterns")
    group = pytest.importorskip("autogen.agentchat.group")
    office = Office(stage, model, reads())
    writer = agent("writer", office.config, functions=[read_log])
    critic = agent("critic", office.config)
    condition = group.StringLLMCondition("The writer is done.")
    to = group.AgentTarget(critic)
    writer.handoffs.add_llm_condition(group.OnCondition(target=to, condition=condition))
    pattern = patterns.DefaultPattern(writer, [writer, critic], group_manager_args={"silent": True})
    office.wrap(pattern)

    groups.initiate_group_chat(pattern=pattern, messages=programs.BRIEF, max_rounds=7)

    mine = [body for body in office.bodies if "You are the writer" in wire.own_text(body)]
    held = [results(body) for body in mine]
    assert [len(texts) for texts in held][:3] == [0, 1, 2]
    assert held[2] == [held[1][0], log()]
    assert extends(mine)
    assert office.quiet
    agentcache.unwrap(pattern)
    assert RECALL not in writer.function_map


def test_a_tool_that_is_registered_after_wrapping_is_compacted_too(stage):
    office = Office(stage, "gpt-6-luna", reads())
    office.wrap([office.writer, office.user])
    office.register()

    bodies = office.talk()

    assert results(bodies[-1])[-1] == log()
    assert all(wire.names(body) == ["read_log", RECALL] for body in bodies)
    assert office.quiet
    agentcache.unwrap(office.writer)
    assert list(office.user.function_map) == ["read_log"]


def test_who_runs_the_tools_need_not_be_wrapped(stage):
    office = Office(stage, "gpt-6-luna", reads()).register()
    office.wrap(office.writer)

    bodies = office.talk()

    assert results(bodies[-1])[-1] == log()
    agentcache.unwrap(office.writer)
    assert list(office.user.function_map) == ["read_log"]


def test_a_tool_of_that_name_is_the_agents_own(stage):
    office = Office(stage, "gpt-6-luna", reads(1, again=False)).register()

    def recall_result(day: int) -> str:
        return log(day)

    office.register(recall_result, RECALL)
    own = office.user.function_map[RECALL]
    office.wrap([office.writer, office.user])

    bodies = office.talk()

    assert results(bodies[-1]) == [log()]
    assert office.user.function_map[RECALL] is own
    assert any("one is named recall_result itself" in note for note in office.ledger.notes)


def test_where_nobody_runs_tools_nothing_is_compacted_and_that_is_said(stage):
    office = Office(stage, "gpt-6-luna", reads())
    office.writer.register_for_llm(name="read_log", description="Read a log.")(read_log)
    office.wrap([office.writer, office.user])

    bodies = office.talk(max_turns=1)

    assert wire.allowed(bodies[0]) == ["read_log"]
    assert any("nobody known runs them" in note for note in office.ledger.notes)


@models
def test_a_store_on_disk_outlives_the_process(stage, tmp_path, model):
    store = SqliteStore(tmp_path / "store.db")
    first = Office(stage, model, reads(again=False)).register()
    first.wrap([first.writer, first.user], store=store)
    was = first.talk()
    kept = first.writer.chat_messages[first.user]
    store.close()

    second = Office(stage, model, reads(0)).register()
    second.writer._oai_messages[second.user] = kept
    second.user._oai_messages[second.writer] = first.user.chat_messages[first.writer]
    store = SqliteStore(tmp_path / "store.db")
    second.wrap([second.writer, second.user], store=store)
    now = second.talk("Read it again.", clear_history=False)
    store.close()

    assert results(now[0]) == results(was[-1]), "decided once"
    assert wire.shared(now[0])[: len(wire.shared(was[-1]))] == wire.shared(was[-1])
    assert results(now[-1])[-1] == log()


def test_a_model_that_asks_for_nothing_is_told_how(stage):
    office = Office(stage, "gpt-6-luna", reads()).register()
    office.wrap([office.writer, office.user])
    office.talk()

    run = office.user.execute_function
    assert (
        "no result 'gone' is kept"
        in run({"name": RECALL, "arguments": '{"id": "gone"}'})[1]["content"]
    )
    assert "id is missing" in run({"name": RECALL, "arguments": "{}"})[1]["content"]


def test_the_asynchronous_twin_reads_again_too(stage):
    office = Office(stage, "gpt-6-luna", reads()).register()
    office.wrap([office.writer, office.user])

    chat = office.user.a_initiate_chat(office.writer, message=programs.BRIEF, silent=True)
    asyncio.run(chat)

    assert results(office.bodies[-1])[-1] == log()
