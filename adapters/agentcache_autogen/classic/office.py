"""The agents of one wrapped program: their stands, and the calls in which they become forks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from autogen import ConversableAgent, GroupChat, GroupChatManager

from agentcache.attach import Attachment
from agentcache.compaction import RECALL
from agentcache.dialects.base import is_json
from agentcache.sdk.turns import Hears, Stand, Turn, during
from agentcache.sessions import Session
from agentcache.transcripts import unnamed
from agentcache_autogen.classic.chats import hears_chat
from agentcache_autogen.classic.limiters import Limits, is_limited, may_steady, moved
from agentcache_autogen.classic.places import Cast, chats_of, transforms
from agentcache_autogen.classic.recalling import Recalls, partners
from agentcache_autogen.classic.wires import Wire, connect, disconnect, wire_of
from agentcache_autogen.grouping import Member, seated
from agentcache_autogen.windows import Pace, announce

__all__ = ["Office", "office_of"]

_CALL: Final = "_generate_oai_reply_from_client"
_SELECT: Final = "_create_internal_agents"
_SUMMARY: Final = "chat_messages_for_summary"
_PREPARE: Final = "prepare_group_chat"
_BEGIN: Final = "_prepare_chat"
_SELECTOR: Final = "speaker_selection_agent"
_FROM_CACHE: Final = (
    "Answers from AutoGen's own response cache (cache_seed) asked no provider: they are no calls."
)


@dataclass(eq=False)
class Office:
    """What wrapping made: who stands where, and what was put in the way of the framework."""

    attachment: Attachment
    stands: dict[int, Stand] = field(default_factory=dict[int, Stand])
    owners: dict[int, ConversableAgent] = field(default_factory=dict[int, ConversableAgent])
    chats: list[GroupChat] = field(default_factory=list[GroupChat])
    selectors: dict[str, Stand] = field(default_factory=dict[str, Stand])
    recalls: Recalls | None = None
    limits: Limits = field(default_factory=Limits)
    _put: list[tuple[object, str]] = field(default_factory=list[tuple[object, str]])

    def __post_init__(self) -> None:
        """Know how to recall, where results are compacted."""
        if self.attachment.options.compact is not None:
            self.recalls = Recalls(self.attachment.store)

    def take_in(self, cast: Cast) -> None:
        """Give every agent of a cast a stand, and put our calls in place of theirs."""
        new = [a for key, a in cast.agents.items() if key not in self.owners]
        pairs = [(a, m) for a in new if (m := self._member(a)) is not None]
        selecting = [m for chat in cast.chats.values() for m in self._selectors(chat, cast)]
        selecting = [m for m in selecting if str(m.domain) not in self.selectors]
        members = [member for _, member in pairs] + selecting
        stands = seated(members, self.attachment, counts_fresh=True) if members else []
        for (agent, _), stand in zip(pairs, stands, strict=False):
            self.stands[id(agent)] = stand
        for member, stand in zip(selecting, stands[len(pairs) :], strict=True):
            self.selectors.setdefault(str(member.domain), stand)
        for agent in new:
            self.owners[id(agent)] = agent
            self._hook(agent)
            for kind in () if self._left_by(agent) else self.limits.steady(agent):
                announce(self.attachment, agent.name, kind)
        for chat in cast.chats.values():
            self.chats += [] if any(chat is known for known in self.chats) else [chat]
            self._replace(chat, _SELECT, _Selecting(self, chat, getattr(chat, _SELECT, None)))
        for pattern in cast.patterns.values():
            self._replace(pattern, _PREPARE, _Preparing(self, getattr(pattern, _PREPARE)))

    def knows(self, chat: GroupChat) -> bool:
        """Whether this is a group chat that was wrapped, or a copy of one."""
        return any(known.agents is chat.agents for known in self.chats)

    def meet(self, agents: Sequence[object]) -> None:
        """Take in those of these agents who are new."""
        cast = Cast()
        for agent in agents:
            cast.add(agent)
        if cast.agents.keys() - self.owners.keys():
            self.take_in(cast)

    def offer(self) -> None:
        """Let tools that agents were given meanwhile join the union, where that costs nothing."""
        held: dict[int, tuple[Session, list[Any]]] = {}
        for key, agent in self.owners.items():
            stand, client = self.stands.get(key), agent.client
            wire = wire_of(client) if stand is not None and client is not None else None
            if stand is not None and wire is not None:
                session = stand.fork.session
                tools = held.setdefault(id(session), (session, []))[1]
                tools += self._offered(wire, wire.config.get("tools"))
        for session, tools in held.values():
            session.offer(tools)

    def forget(self, things: Sequence[object]) -> None:
        """Let go of what an earlier run was made of."""
        gone = {id(thing) for thing in things}
        for key in gone:
            self.owners.pop(key, None)
            self.stands.pop(key, None)
        self.chats = [chat for chat in self.chats if id(chat) not in gone]
        if self.recalls is not None:
            self.recalls.forget(gone)
        self._put = [(thing, name) for thing, name in self._put if id(thing) not in gone]

    def leave(self) -> None:
        """Put everything back."""
        for thing, name in reversed(self._put):
            vars(thing).pop(name, None)
        for agent in self.owners.values():
            disconnect(agent.client)
        self._put.clear()
        self.limits.release()
        if self.recalls is not None:
            self.recalls.strip()

    def stand_of(self, client: Any) -> Stand | None:
        """The stand of the agent whose client this is."""
        found = (key for key, agent in self.owners.items() if agent.client is client)
        return next((self.stands[key] for key in found if key in self.stands), None)

    def selector(self, agent: Any) -> Stand | None:
        """The stand of an agent that AutoGen makes to select a speaker, by whose cache it uses."""
        wire = wire_of(agent.client) if agent.client is not None else None
        if wire is None:
            return None
        return self.selectors.get(str(wire.domain(wire.rule(self.attachment.options.provider))))

    def reply(
        self,
        agent: Any,
        real: Callable[..., Any],
        stand: Stand | None,
        hears: Hears,
        given: Any,
        moved: str = "",
    ) -> Any:
        """Have an agent's client asked, as a turn of whoever the client belongs to.

        `moved` says why the messages begin otherwise than those of its turn before.
        """
        client, messages, cache, more = given
        stand = stand or self.stand_of(client)
        if stand is None:
            return real(client, messages, cache, **more)
        self._equip(agent, client, stand)
        connect(client)
        turn = Turn(stand, hears, moved=moved)
        with during(turn):
            answer = real(client, messages, cache, **more)
        if not turn.legs:
            self.attachment.ledger.note(_FROM_CACHE)
        return _without_name(answer, agent.name)

    def _equip(self, agent: Any, client: Any, stand: Stand) -> None:
        """Let whoever runs the tools of a chat run `recall_result`, before it may be called."""
        if self.recalls is None:
            return
        known = self.recalls.equip([*self.owners.values(), *partners(agent)])
        tools: Any = client._config_list[0].get("tools")
        stand.compacts = not self.recalls.is_taken(tools)
        stand.recalls, stand.foresees = known, known and stand in self.selectors.values()
        if not stand.compacts or (tools and not known):
            why = "nobody known runs them" if stand.compacts else f"one is named {RECALL} itself"
            self.attachment.ledger.note(f"Not compacted: what {agent.name}'s tools answer: {why}.")

    def _offered(self, wire: Wire, tools: Any) -> list[Any]:
        """Tools of an agent as its requests will have them."""
        made = wire.tools(tools)
        return made if self.recalls is None else self.recalls.offered(wire.dialect, made)

    def thread(self, messages: Sequence[Any]) -> list[Any]:
        """What was said in the group chat that these messages come from."""
        for chat in self.chats:
            if chat.messages and messages and _same(chat.messages[-1], messages[-1]):
                return list(chat.messages)
        return []

    def summed_up_for(self, sender: object) -> None:
        """Whoever has a chat summed up asks with the client of the one it talked to."""
        if isinstance(sender, ConversableAgent) and id(sender) not in self.owners:
            self.owners[id(sender)] = sender
            self._hook(sender)

    def _hook(self, agent: ConversableAgent) -> None:
        self._replace(agent, _CALL, _Asking(self, agent, getattr(agent, _CALL)))
        self._replace(agent, _BEGIN, _Beginning(self, agent, getattr(agent, _BEGIN)))
        if hasattr(agent, _SUMMARY):
            self._replace(agent, _SUMMARY, _Summing(self, getattr(agent, _SUMMARY)))

    def _replace(self, thing: object, name: str, by: object) -> None:
        if getattr(thing, name, None) is not None and name not in vars(thing):
            setattr(thing, name, by)
            self._put.append((thing, name))

    def _left_by(self, agent: Any) -> str:
        """Why an agent will be left alone for its hooks; empty if it will not."""
        return transforms(agent) if self.recalls is None else transforms(agent, may_steady)

    def _member(self, agent: Any) -> Member | None:
        """What is known of an agent; None for one that has no model."""
        if agent.client is None:
            return None
        kind = "selector" if isinstance(agent, GroupChatManager) else "agent"
        client: Any = agent.client
        config = client._config_list[0]
        tools = [*(config.get("tools") or ()), *_handoffs(agent)]
        handoffs = tuple(str(tool["function"]["name"]) for tool in _handoffs(agent))
        member = self._of(agent.name, agent.client, tools, str(agent.system_message), kind)
        if member is not None:
            member.canonical = handoffs
            member.aside = member.aside or self._left_by(agent)
        return member

    def _selectors(self, chat: Any, cast: Cast) -> list[Member]:
        """The agents that will select this chat's speakers."""
        config = getattr(chat, "select_speaker_auto_llm_config", None)
        every = [m for m in cast.managers.values() if any(chat is each for each in chats_of(m))]
        clients: list[Any] = [manager.client for manager in every if manager.client is not None]
        if config:
            clients = [ConversableAgent(_SELECTOR, llm_config=config).client]
        found: list[Member] = []
        for client in clients[:1]:
            member = self._of(_SELECTOR, client, [], "", "selector")
            if member is not None:
                found.append(member)
        return found

    def _of(
        self, name: str, client: Any, tools: Sequence[Any], system: str, kind: str
    ) -> Member | None:
        wire = wire_of(client)
        if wire is None:
            self.attachment.ledger.note(
                f"Not forked: {name}: its client is a {type(client._clients[0]).__name__}; those "
                "of OpenAI, Azure and Anthropic are."
            )
            return None
        rule = wire.rule(self.attachment.options.provider)
        return Member(
            name,
            wire.dialect,
            True,
            rule,
            wire.domain(rule),
            wire.config,
            self._offered(wire, {str(t["function"]["name"]): t for t in tools}.values()),
            system,
            kind,
        )


class _Asking:
    """Stands in for an agent's method that asks its client."""

    def __init__(self, office: Office, agent: Any, real: Callable[..., Any]) -> None:
        self.office, self.agent, self.real = office, agent, real
        self.pace = Pace(agent.name)

    def __call__(self, llm_client: Any, messages: Any, cache: Any, **more: Any) -> Any:
        office, agent = self.office, self.agent
        reason = transforms(agent)
        thread = [] if is_limited(agent) else office.thread(messages)
        told = hears_chat(messages, agent.name, office.attachment.options, thread=thread)
        hears: Hears = (lambda _wire, _before: reason) if reason else told
        given = (llm_client, messages, cache, more)
        return office.reply(agent, self.real, None, hears, given, moved(agent, self.pace))


class _Choosing:
    """Stands in for that method of an agent that selects a speaker."""

    def __init__(self, office: Office, agent: Any, real: Callable[..., Any], public: int) -> None:
        self.office, self.agent, self.real, self.public = office, agent, real, public

    def __call__(self, llm_client: Any, messages: Any, cache: Any, **more: Any) -> Any:
        office, agent = self.office, self.agent
        options = office.attachment.options
        hears = hears_chat(messages, agent.name, options, public=self.public)
        given = (llm_client, messages, cache, more)
        return office.reply(agent, self.real, office.selector(agent), hears, given)


class _Selecting:
    """Stands in for a group chat's way to make the agents that select a speaker."""

    def __init__(self, office: Office, chat: GroupChat, real: Any) -> None:
        self.office, self.chat, self.real = office, chat, real

    def __call__(self, agents: Any, max_attempts: Any, messages: Any, *more: Any, **kw: Any) -> Any:
        selector = kw.get("selector", more[-1] if len(more) > 1 else None)
        self.office.meet([*self.chat.agents, *filter(None, [selector])])
        made = self.real(agents, max_attempts, messages, *more, **kw)
        chooser = made[-1]
        setattr(
            chooser,
            _CALL,
            _Choosing(self.office, chooser, getattr(chooser, _CALL), len(messages)),
        )
        return made


class _Summing:
    """Stands in for an agent's way to hand out a chat that is to be summed up."""

    def __init__(self, office: Office, real: Callable[..., Any]) -> None:
        self.office, self.real = office, real

    def __call__(self, agent: Any) -> Any:
        self.office.summed_up_for(agent)
        return self.real(agent)


class _Beginning:
    """Stands in for an agent's way to begin a chat: its manager and its group are taken in too."""

    def __init__(self, office: Office, agent: Any, real: Callable[..., Any]) -> None:
        self.office, self.agent, self.real = office, agent, real

    def __call__(self, recipient: Any, *args: Any, **kwargs: Any) -> Any:
        for one in (self.agent, recipient):
            if isinstance(one, GroupChatManager) and self.office.knows(one.groupchat):
                self.office.meet([one, *one.groupchat.agents])
        self.office.offer()
        return self.real(recipient, *args, **kwargs)


class _Preparing:
    """Stands in for a pattern's way to make its group chat: what it makes is taken in too."""

    def __init__(self, office: Office, real: Callable[..., Any]) -> None:
        self.office, self.real = office, real
        self.made: list[object] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = self.real(*args, **kwargs)
        cast = Cast()
        for thing in made:
            if isinstance(thing, GroupChatManager):
                cast.add(thing)
        self.office.forget(self.made)
        self.made = [*cast.managers.values(), *cast.chats.values()]
        self.made += [agent for key, agent in cast.agents.items() if key not in self.office.owners]
        self.office.take_in(cast)
        self.office.offer()
        return made


def office_of(thing: object) -> Office | None:
    """The office that an agent, a group chat or a pattern was taken into."""
    for name in (_CALL, _SELECT, _PREPARE):
        held = vars(thing).get(name)
        if isinstance(held, _Asking | _Selecting | _Preparing):
            return held.office
    return None


def _handoffs(agent: Any) -> list[Any]:
    """The tools by which an agent will hand over; its pattern adds them before every reply."""
    conditions = getattr(getattr(agent, "handoffs", None), "llm_conditions", None)
    if not conditions or not agent.llm_config:
        return []
    agent.handoffs.set_llm_function_names()
    trial: Any = ConversableAgent("trial", llm_config=agent.llm_config)
    for condition in conditions:
        prompt = condition.condition.get_prompt(agent, [])
        trial._add_single_function(_hand_over, condition.llm_function_name, prompt)
    names = {condition.llm_function_name for condition in conditions}
    tools = trial.client._config_list[0].get("tools") or ()
    return [tool for tool in tools if tool["function"]["name"] in names]


def _hand_over() -> str:
    return ""


def _same(one: Any, other: Any) -> bool:
    return is_json(one) and is_json(other) and one.get("content") == other.get("content")


def _without_name(answer: Any, name: str) -> Any:
    """An answer without a name copied from the chat."""
    if isinstance(answer, str):
        return unnamed(answer, name)
    if is_json(answer) and isinstance(answer.get("content"), str):
        answer["content"] = unnamed(answer["content"], name)
    return answer
