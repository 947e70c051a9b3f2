"""A framework of nobody's, with an adapter: agents that talk to the loopback provider."""

import json
import urllib.request
from collections.abc import Sequence
from typing import Any

from agentcache.attach import Attachment, Options
from agentcache.flights import Flight
from agentcache.parent import CacheDomain, freeze
from agentcache.rules import rule_for
from agentcache.usage import Usage

RULES = "Mind the rules of the house, all of them, at all times. " * 150


class Crew:
    """Agents by name, each with its own system text; every one is asked twice."""

    def __init__(self, url: str, model: str = "gpt-4.1-mini", **systems: str) -> None:
        self.url, self.model = url, model
        self.systems = systems or {name: f"You are the {name}." for name in ("scout", "clerk")}
        self.said: dict[str, list[dict[str, str]]] = {}
        self.attachment: Attachment | None = None

    def run(self) -> None:
        for question in ("Begin.", "Go on."):
            for name in self.systems:
                self.ask(name, question)

    def ask(self, name: str, question: str) -> None:
        said = self.said.setdefault(name, [])
        said.append({"role": "user", "content": question})
        system = {"role": "system", "content": self.systems[name]}
        answer = self._send(name, {"model": self.model, "messages": [system, *said]})
        said.append({"role": "assistant", "content": answer})

    def _send(self, name: str, request: dict[str, Any]) -> str:
        if self.attachment is None:
            return text_of(post(self.url, request))
        flight = Flight(self.attachment, self.attachment.sessions[0], name)
        flight.rewrite = self.attachment.sessions[0].fork(name).rewrite(request)
        tally = Tally()
        with flight.sending(flight.ungated(), tally):
            tally.answer = post(self.url, flight.rewrite.request)
        return text_of(tally.answer)


class Tally:
    """What an answer said of its usage."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self.signs: Sequence[str] = ()
        self.verdict = None

    @property
    def usage(self) -> Usage:
        return Usage.from_payload(self.answer.get("usage"))


def post(url: str, request: dict[str, Any], **headers: str) -> dict[str, Any]:
    headers = {"content-type": "application/json", "authorization": "Bearer x", **headers}
    body = json.dumps(request).encode()
    asked = urllib.request.Request(f"{url}/chat/completions", body, headers)
    with urllib.request.urlopen(asked) as answer:
        return dict(json.load(answer))


def text_of(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


def wrap(x: Any, options: Options) -> object:
    if x.attachment is None:
        x.attachment = Attachment(options)
        domain = CacheDomain("fleet", x.model)
        parent = freeze(
            "openai.chat",
            rule_for(x.model),
            domain,
            system=options.system,
            context=options.context,
            params={"model": x.model},
        )
        x.attachment.open(parent, [], judge=False)
    return x


def unwrap(x: Any) -> object:
    x.attachment = None
    return x


def attachments(x: Any) -> Sequence[Attachment]:
    return [x.attachment] if x.attachment else []
