"""Fork: one agent's stand on a session, where its requests become forks."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from agentcache.allow import (
    NO_CALL_LINE,
    ONE_CALL_LINE,
    allow_line,
    forbids_tools,
    names_a_tool,
    restriction,
    without_choice,
    without_one_call,
)
from agentcache.anchors import Anchor, Follows
from agentcache.blocks import Block, Keys
from agentcache.compaction import Shrunk
from agentcache.dialects import Json, Parts
from agentcache.dialects.base import is_json
from agentcache.differences import in_marks, in_params, in_tools, not_plain
from agentcache.errors import FrozenError
from agentcache.hearing import Heard, in_chat, in_history
from agentcache.layout import Tail, lay, lift
from agentcache.parameters import fork_params
from agentcache.prints import Print
from agentcache.rewrites import Rewrite, own_descriptions
from agentcache.talks import Talk
from agentcache.transcripts import Transcript

if TYPE_CHECKING:
    from agentcache.parent import Parent
    from agentcache.sessions import Session

__all__ = ["Fork"]

_HEAD: Final = 5
"""Characters taken for a token where two requests are to begin alike for more than the minimum."""
_numbers: Final = itertools.count()


class Fork:
    """One agent's stand on a session. `rewrite` is where its requests become forks."""

    __slots__ = (
        *("_checks_calls", "_follows", "_late_tools", "_name", "_number", "_session", "_told"),
        "_tools",
    )

    def __init__(
        self,
        session: "Session",
        name: str,
        tools: Sequence[str] | None = None,
        *,
        told_of_tools: bool = False,
        follows: Follows = "nothing",
        checks_calls: bool = False,
        late_tools: bool = False,
    ) -> None:
        """Create through `Session.fork`."""
        self._checks_calls = checks_calls
        self._late_tools = late_tools
        self._follows: Follows = follows
        self._told = told_of_tools
        self._session = session
        self._name = name
        self._tools = tuple(tools) if tools is not None else session.standing.names
        self._number = next(_numbers)

    @property
    def session(self) -> "Session":
        """The session it stands on."""
        return self._session

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._name

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools the agent may ever call, in the order its tail lists them."""
        return self._tools

    def talk(self, said: Sequence[str], length: int) -> Talk:
        """The conversation that opens with these texts and has so many messages by now.

        `said` is its system text and its first message; `length` does not count the system text.
        """
        session = self._session
        return session.talks.of(
            self._number, said, length, lambda: (session.stand(self._name, said), session.left)
        )

    def shrink(
        self, request: Mapping[str, Any], *, recalls: bool = False, ahead: bool = False
    ) -> Shrunk:
        """The request with placeholders for what is compacted, where the session compacts.

        It is then rewritten, with `shrunk` beside it. See `Session.shrink` for `recalls`, `ahead`.
        """
        return self._session.shrink(request, self._name, recalls=recalls, ahead=ahead)

    def summary(
        self,
        own: Mapping[str, Any],
        said: Sequence[Json],
        prompt: str,
        name: str = "",
        system: tuple[str, ...] | None = None,
    ) -> Json | None:
        """The request by which this agent's conversation is summed up behind its own prefix.

        `own` is what the framework would send, `said` the messages to sum up as the agent's
        requests have them, `prompt` the wish without a copy of them. It is then shrunk and
        rewritten like any of the agent's. `system` are the agent's system texts, where the caller
        knows them. None where it is not sure what stands in front of that conversation.
        """
        session = self._session
        wire = session.parent.dialect
        return session.summaries.request(wire, name or self._name, said, prompt, own, system)

    def summed_up(self, made: Rewrite, own: Mapping[str, Any], name: str = "") -> Rewrite:
        """A rewritten `summary` as it stands in the place of the framework's `own` request.

        This agent's conversation is expected to begin anew behind it.
        """
        session = self._session
        session.summaries.summed_up(name or self._name)
        original = session.prints(session.blocks(own, Keys()))
        return replace(made, compacted=True, original=original, allowed=())

    def rewrite(
        self,
        request: Mapping[str, Any],
        *,
        shrunk: Shrunk | None = None,
        name: str | None = None,
        side_call: str = "",
        talk: Talk | None = None,
        transcript: Transcript | None = None,
        strict: bool = False,
        try_it: bool = False,
    ) -> Rewrite:
        """Turn the program's request into a fork of the parent, or say why not.

        A request that is a fork already comes back unchanged. `side_call` names why the program's
        request is not this agent's own conversation; it then passes through. `name` is the agent's
        name as it is now, where it is filled in late. `talk` is the conversation, if the caller
        has asked for it before. `shrunk` is what `shrink` made, of which this is the request.
        `transcript` is the same conversation where it is a group chat, as
        all its agents read it: a fork sends that. `try_it`
        forks though the session is left alone, to see what would become of it.

        Raises:
            FrozenError: with `strict`, where the request differs from what the parent froze.

        """
        made = self._rewritten(
            request, name or self._name, side_call, talk, transcript, strict=strict, try_it=try_it
        )
        compactor = self._session.compactor
        sent = shrunk is None or not shrunk.ahead
        if compactor is not None and sent and side_call.partition(":")[0] in ("", "alone"):
            whole = request if shrunk is None else shrunk.whole
            wire = self._session.parent.dialect
            if self._session.summaries.heard(wire, name or self._name, whole):
                made = replace(made, moved=compactor.began_anew(name or self._name))
        if shrunk is None or not shrunk.changed:
            return made
        before, after = shrunk.tokens
        original = self._session.prints(self._session.blocks(shrunk.whole, Keys()))
        told = (before - after, shrunk.moved or made.moved)
        return replace(made, original=original, compacted=True, saved=told[0], moved=told[1])

    def _rewritten(
        self,
        request: Mapping[str, Any],
        name: str,
        side_call: str,
        talk: Talk | None,
        transcript: Transcript | None,
        *,
        strict: bool,
        try_it: bool,
    ) -> Rewrite:
        session, wire = self._session, self._session.parent.dialect
        keys = Keys()
        blocks = session.blocks(request, keys)
        before = session.prints(blocks)
        names = tuple(wire.tool_name(t) for t in wire.tools_of(request) if is_json(t))
        may = () if forbids_tools(request.get("tool_choice")) else names
        reason = side_call or not_plain(wire, request)
        if reason:
            held = self._heads(blocks) if side_call else ()
            return Rewrite(dict(request), False, reason, may, before, before, keys=held)
        parts = wire.split(request)
        session.settle(parts.tools)
        heard = self._heard(parts, blocks, talk, transcript)
        talk, anchor = heard.talk, heard.anchor
        why_not = heard.why_not()
        parts, one_call = self._one_call(heard.parts, anchor)
        reason = "" if try_it else talk.left
        reason = reason or why_not or self._differs(request, parts, blocks, strict=strict)
        if not try_it:
            heard.remember(bool(reason), self._writes(heard, names, before, plain=bool(reason)))
        if reason:
            held = self._heads(blocks) if reason == why_not else ()
            return Rewrite(dict(request), False, reason, may, before, before, keys=held)
        keys_held = talk.standing.keys_with(anchor.key, anchor.weight)
        if session.is_fork(blocks, talk.standing):
            return Rewrite(dict(request), True, "", may, before, before, keys=keys_held)
        if not session.parent.adds and not set(names) <= set(talk.standing.names):
            # The union has just grown.
            talk.standing = session.branch(talk.standing.path)
        session.use()
        lines = (ONE_CALL_LINE,) if one_call else ()
        sent, headers = self._lay(name, parts, names, heard, lines)
        after = session.prints(session.blocks(sent, keys, talk.standing.lead))
        shared = talk.standing.tokens + anchor.weight
        return Rewrite(sent, True, "", may, before, after, headers, keys_held, shared, one_call)

    def _writes(
        self, heard: Heard, names: Sequence[str], before: Sequence[Print], *, plain: bool
    ) -> bool:
        """Whether the provider will hold this request to its end."""
        rule = self._session.parent.rule
        if not plain:
            return rule.matching == "prefix" or heard.loops(names)
        by_itself = rule.matching == "prefix" or rule.automatic
        return by_itself and heard.scale * sum(p.weight for p in before) >= rule.min_tokens

    def _heard(
        self,
        parts: Parts,
        blocks: Sequence[Block],
        talk: Talk | None,
        transcript: Transcript | None,
    ) -> Heard:
        if transcript is not None:
            return in_chat(self._session, self._number, parts, transcript)
        who = (self._number, self._name, self._follows)
        return in_history(self._session, who, parts, blocks, talk)

    def _heads(self, blocks: Sequence[Block]) -> tuple[tuple[str, str], ...]:
        """What tells the gate that requests which stay as they are begin alike.

        Where the longest common prefix is read, the first of them warms it for the others: as far
        as the provider's minimum and a little more.
        """
        parent = self._session.parent
        rule, head = parent.rule, ""
        if rule.matching != "prefix" or rule.placement != "parallel" or self._follows == "nothing":
            return ()
        for block in blocks:
            head += block.json[: _HEAD * rule.min_tokens - len(head)]
        if len(head) < _HEAD * max(rule.min_tokens, 1):
            return ()
        text = head.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, digest_size=8).hexdigest()
        return ((f"{parent.domain}{parent.domain.organisation}", f"head:{digest}"),)

    def _one_call(self, parts: Parts, anchor: Anchor) -> tuple[Parts, bool]:
        """The parts without the parameter that asks for one tool call at most, if it had one.

        Only where that parameter would move the prefix, and somebody else sees to it.
        """
        parent = self._session.parent
        held = dict(parent.params).get("parallel_tool_calls") is not None
        if not self._checks_calls or held:
            return parts, False
        in_messages = parent.dialect.context_in == "system"
        if in_messages and not anchor.at:
            return parts, False
        rest = without_one_call(parts.rest)
        return replace(parts, rest=rest), rest != parts.rest

    def _lay(
        self,
        agent: str,
        parts: Parts,
        names: tuple[str, ...],
        heard: Heard,
        more: tuple[str, ...],
    ) -> tuple[Json, dict[str, str]]:
        talk, anchor = heard.talk, heard.anchor
        listed = talk.lists(self._tools, names)
        parent, union = talk.standing.parent, talk.standing.names
        rule, wire, loops = parent.rule, parent.dialect, heard.loops(listed)
        asked = parts.rest.get("tool_choice")
        # Where shared context stands in `system`, tool_choice invalidates all messages.
        told = bool(anchor.at) and wire.context_in == "system"
        said = {} if told else restriction(wire, rule, names, union, asked)
        rest = {**(without_choice(parts.rest) if told else parts.rest), **said}
        silent = heard.chat and "tool_choice" in said  # the wire says it
        allowed = allow_line(listed, union) if listed or not self._told else ""
        lines = (*own_descriptions(parent, parts), "" if silent else allowed, *more)
        rest, headers = fork_params(parent, rest, self._session.affinity_id, loops=loops)
        messages = parts.messages
        if told and forbids_tools(asked):
            last: list[Json] = [{"type": wire.text_type, "text": NO_CALL_LINE}]
            messages = (*messages, *wire.opened(last, ()))
        laid = Parts(parts.system, messages, parts.tools, rest)
        own = (lift(t, parent.context) for t in _behind(parent, parts.system))
        mine = [tool for tool in parts.tools if wire.tool_name(tool) not in union]
        added, more_headers = wire.added(mine if parent.adds else [])
        place = (anchor.at, anchor.older, heard.behind)
        tail = Tail(agent, tuple(own), lines, *place, tuple(added), heard.chat)
        headers |= more_headers if added else {}
        mark = parent.mark
        return lay(wire, rule, talk.standing.laid, laid, tail, mark=mark, loops=loops), headers

    def _differs(
        self, request: Mapping[str, Any], parts: Parts, blocks: Sequence[Block], *, strict: bool
    ) -> str:
        """What the parent froze otherwise, with the cure; empty if nothing."""
        parent = self._session.parent
        reason = (
            in_marks(parent, self._name, blocks)
            or in_params(parent, self._name, parts.rest)
            or self._differs_in_tools(request, blocks)
        )
        if reason and strict:
            raise FrozenError(reason)
        return reason

    def _differs_in_tools(self, request: Mapping[str, Any], blocks: Sequence[Block]) -> str:
        session, standing = self._session, self._session.standing
        name_of, tools = session.parent.dialect.tool_name, session.parent.dialect.tools_of(request)
        texts = [block.json for block in blocks if block.section == "tools"]
        sent = [(name_of(tool), tool, text) for tool, text in zip(tools, texts, strict=True)]
        odd = [n for n, (name, _, text) in enumerate(sent) if not standing.holds(name, text)]
        if session.parent.adds:
            odd = [n for n in odd if sent[n][0] in standing.names]
        unknown = [sent[n][1] for n in odd if sent[n][0] not in standing.names]
        if unknown and names_a_tool(request.get("tool_choice")):
            return "structured_output: a tool that is forced once does not widen the union"
        if odd and self._late_tools and session.offer([tool for _, tool, _ in sent]):
            return ""
        if not odd or (len(unknown) == len(odd) and session.widen(self._name, unknown)):
            return ""
        name = sent[odd[0]][0]
        return in_tools(self._name, odd[0], name, known=name in standing.names)


def _behind(parent: "Parent", system: Sequence[str]) -> Iterator[str]:
    """The system texts of a request that are its agent's own.

    Shared context is the parent's where it stands behind the parent's text, as an opened session
    sends it; elsewhere the same words are an agent's.
    """
    front = filter(None, (parent.system, *parent.context))
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(system, front, strict=False))
    behind = system[sum(1 for _ in same) :]
    return (text for text in behind if text != parent.system)
