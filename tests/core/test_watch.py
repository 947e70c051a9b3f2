"""What forking turns out to cost, as it is watched; and that watching never breaks the host."""

from agentcache.attach import Attachment, Options
from agentcache.flights import Flight
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.usage import Usage

BRIEF = "The brief, which all of them read. " + "facts about the market " * 400


def landed(attachment: Attachment, cached: int, calls: int) -> None:
    session = attachment.sessions[0]
    for n in range(calls):
        flight = Flight(attachment, session, f"agent {n}")
        body = {"messages": [{"role": "user", "content": f"Question {n}. {BRIEF}"}]}
        flight.rewrite = session.fork(f"agent {n}", follows="history").rewrite(body)
        flight.usage = Usage(9_000, cached, 0)
        flight.land()


HEAVY = {"type": "function", "function": {"name": "heavy", "description": BRIEF * 4}}


def attached(*tools: dict[str, object]) -> Attachment:
    attachment = Attachment(Options("Shared."))
    model = "gpt-4.1-mini"
    domain = CacheDomain("test", model)
    parent = freeze("openai.chat", rule_for(model), domain, system="Shared.", tools=tools)
    attachment.open(parent, [], judge=False)
    return attachment


def test_a_program_whose_forks_cost_what_it_would_have_paid_goes_on():
    attachment = attached()
    landed(attachment, cached=8_000, calls=12)
    assert attachment.sessions[0].left == ""


def test_forks_that_read_nothing_under_foreign_tools_are_given_up():
    attachment = attached(HEAVY)
    landed(attachment, cached=0, calls=5)
    assert attachment.sessions[0].left == ""
    landed(attachment, cached=0, calls=1)
    assert attachment.sessions[0].left.startswith("dearer: after 6 forks")


def test_watching_never_raises_into_the_host(mocker, caplog):
    attachment = attached()
    mocker.patch.object(attachment.watch, "dearer", side_effect=ValueError("broken"))
    landed(attachment, cached=0, calls=1)
    assert len(attachment.ledger.calls) == 1
    assert "the program goes on" in caplog.text
