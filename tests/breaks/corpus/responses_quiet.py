"""Responses: pairs that are healthy; a word about any of them is a false alarm."""

from typing import Any

from .editing import Json, cut, put, within
from .pair import Pair
from .pictures import CRACK
from .prose_code import PERSONA_ANALYST, PERSONA_RESEARCHER, PERSONA_WRITER
from .responses import allowed, answer, code, desk, fork, items, tail, text, trunk, user
from .responses_marks import marked
from .responses_params import used
from .talks import CODE_TALK

TASK = "Say what the board should know about returns."
ONCE = {"prompt_cache_options": {"mode": "explicit"}}
RESEARCHER = tail("researcher", PERSONA_RESEARCHER, TASK)
ANALYST = tail("analyst", PERSONA_ANALYST, TASK)
WRITER = tail("writer", PERSONA_WRITER, TASK)
MARKED, PLAIN = trunk(marked=True), trunk(marked=False)
LOOP = items(CODE_TALK[1:6])
MORE = {
    "type": "additional_tools",
    "role": "developer",
    "tools": [{"type": "function", "name": "commit", "parameters": {"type": "object"}}],
}
HARDER = {"type": "configuration_update", "reasoning": {"effort": "high"}}


def _quiet(name: str, before: Json, after: Json, **options: Any) -> Pair:
    return Pair(f"responses: {name}", "openai.responses", before, after, None, options)


def _chained(said: str, previous: str | None, **params: Any) -> Json:
    """A turn of a conversation that the server keeps."""
    chain = {} if previous is None else {"previous_response_id": previous}
    return within(desk(1), input=[user(said)], **chain, **params)


def _behind(request: Json, *more: Json) -> Json:
    return put(request, "input", value=[*request["input"], *more])


def _photo(upto: int) -> Json:
    image = {"type": "input_image", "image_url": CRACK, "detail": "auto"}
    return put(desk(upto), "input", 0, "content", value=[text("Here it is."), image])


GROWTH = (
    _quiet("the same request again", desk(9), desk(9)),
    _quiet("the conversation goes on, with its reasoning items", desk(5), desk(9)),
    _quiet("a call came back with its result", desk(9), desk(10)),
    _quiet("a loop of tools goes on after thirty items", code(16), code(17)),
    _quiet(
        "the conversation goes on at GPT-4.1",
        desk(9, model="gpt-4.1-mini"),
        desk(12, model="gpt-4.1-mini"),
    ),
    _quiet("an image stays where it was", _photo(5), _photo(9)),
    _quiet("tools were added behind the prefix", code(11), _behind(code(12), MORE)),
    _quiet(
        "the effort was raised by an item behind the prefix",
        desk(5, reasoning={"effort": "low"}),
        _behind(
            desk(5, reasoning={"effort": "low"}),
            answer("I can help with that."),
            HARDER,
            user("Please check it twice."),
        ),
    ),
    _quiet("marks roll forward", marked(desk(5), 0, 5), marked(desk(9), 0, 5, 12)),
    _quiet(
        "a short conversation goes on",
        cut(desk(3, system="Be brief."), "tools"),
        cut(desk(5, system="Be brief."), "tools"),
    ),
)

CHAINS = (
    _quiet(
        "a chain of response ids goes on",
        _chained("Is it still under warranty?", "resp_68f19c01"),
        _chained("And the bulb?", "resp_68f19c44"),
    ),
    _quiet(
        "a chain of response ids begins",
        desk(5),
        within(desk(1), input=[user("Thanks, go ahead.")], previous_response_id="resp_68f19c01"),
    ),
    _quiet(
        "two turns fork from one response",
        _chained("Answer in one sentence.", "resp_68f19c44"),
        _chained("Answer in a table.", "resp_68f19c44"),
    ),
    _quiet(
        "the next turn of a conversation that the server keeps",
        _chained("Is it still under warranty?", None, conversation="conv_0a51"),
        _chained("And the bulb?", None, conversation="conv_0a51"),
    ),
)

BRANCHES = (
    _quiet(
        "forks of one marked parent",
        fork([*MARKED, RESEARCHER], **ONCE),
        fork([*MARKED, ANALYST], **ONCE),
    ),
    _quiet(
        "forks that may call different tools",
        fork([*MARKED, RESEARCHER], **ONCE, tool_choice=allowed("grep", "read_file")),
        fork([*MARKED, WRITER], **ONCE, tool_choice=allowed("edit_file")),
    ),
    _quiet(
        "a fork without tools beside one with all of them",
        fork([*MARKED, RESEARCHER], **ONCE),
        fork([*MARKED, WRITER], **ONCE, tool_choice="none"),
    ),
    _quiet(
        "forks at GPT-4.1, which needs no marks",
        fork([*PLAIN, RESEARCHER], model="gpt-4.1-mini"),
        fork([*PLAIN, WRITER], model="gpt-4.1-mini"),
    ),
    _quiet(
        "a fork that loops beside one that is asked once",
        fork([*MARKED, RESEARCHER, *LOOP]),
        fork([*MARKED, WRITER], **ONCE),
    ),
    _quiet(
        "a fork's own loop goes on",
        fork([*MARKED, RESEARCHER, *LOOP[:6]]),
        fork([*MARKED, RESEARCHER, *LOOP]),
    ),
    _quiet(
        "another last question at GPT-4.1",
        put(desk(9, model="gpt-4.1-mini"), "input", 12, value=user("And the floor lamp?")),
        put(desk(9, model="gpt-4.1-mini"), "input", 12, value=user("Is it in stock?")),
    ),
)

FREE = (
    _quiet(
        "limits, storage and what is to be included",
        desk(5, max_output_tokens=800, store=True),
        desk(9, max_output_tokens=4000, store=False, include=["reasoning.encrypted_content"]),
    ),
    _quiet(
        "bookkeeping",
        desk(5, metadata={"run": "81"}, safety_identifier="s-1", stream=False),
        desk(9, metadata={"run": "82"}, safety_identifier="s-2", stream=True),
    ),
    _quiet(
        "sampling",
        desk(5, model="gpt-4.1-mini", temperature=0.7, top_p=1.0),
        desk(9, model="gpt-4.1-mini", temperature=0.1, top_p=0.5),
    ),
    _quiet(
        "headers of the transport",
        within(desk(5), extra_headers={"x-client-request-id": "7d1c", "user-agent": "desk/1.4"}),
        within(desk(9), extra_headers={"x-client-request-id": "90ab", "user-agent": "desk/1.5"}),
    ),
    _quiet(
        "the request's own keys in another order",
        desk(5),
        {key: desk(9)[key] for key in ("input", "tools", "instructions", "model")},
    ),
)

CONFIRMED = (
    _quiet("idle for twenty minutes where entries live thirty", desk(5), desk(9), idle_s=1200),
    _quiet(
        "idle for two hours behind a mark that asks for twelve",
        fork([*trunk(marked=True, ttl="12h"), RESEARCHER], **ONCE),
        fork([*trunk(marked=True, ttl="12h"), ANALYST], **ONCE),
        idle_s=7200,
    ),
    _quiet(
        "the first turn wrote and the second read",
        desk(5),
        desk(9),
        idle_s=15,
        before_usage=used(2690, 0, 2681),
        after_usage=used(3119, 2681, 429),
    ),
    _quiet(
        "a fork reads the trunk that the other wrote",
        fork([*MARKED, RESEARCHER], **ONCE),
        fork([*MARKED, ANALYST], **ONCE),
        idle_s=3,
        before_usage=used(3310, 0, 3190),
        after_usage=used(3305, 3190, 0),
    ),
)

PAIRS = (*GROWTH, *CHAINS, *BRANCHES, *FREE, *CONFIRMED)
