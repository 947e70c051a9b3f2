"""Pairs of requests with the break that lies between them, written down before any break finder.

`before` was sent first, `after` next, to the same endpoint with the same key. Each pair differs in
one thing, or in two where its name says so; what it should give is written down, never computed.

What counts as what:

- A break is a loss: tokens that `before` left in the cache (by the rules of its family, as a bare
  pair of requests shows them) and that `after` cannot read. What nobody marked on Anthropic was
  never cached, so a change behind the last mark of `before` is no break.
- The first difference in the order in which the provider renders is the cause: parameters that
  render, tools, system, messages. A parameter that costs the messages only comes after the system
  prompt. Bytes come before time and usage.
- `section`: leading system or developer messages are `system`, also where the API keeps them among
  the messages. A lifetime that is over and a cold start at once are `time`, what only the reported
  tokens can show is `usage`.
- `path` is written as the request is: `messages[0].content`, `input[3].output`, `system[1].text`,
  `tools[2].function.description`, `instructions`. Its indices are those of `after`; where something
  was dropped, of the place where it would stand. With an `offset` the finder's path must be equal,
  without one it may go deeper. It is None where several paths are as good.
- `offset` counts characters to the first one that differs in the texts at `path`; where one text is
  the beginning of the other, it is the length of the shorter.
- `param` is the name of a parameter: the finder's path is it, or lies within it.
- `relation`: `follows` is a later turn of the same conversation, `sibling` another fork of the same
  parent, `replaces` neither: agents that nobody forked have a system prompt of their own.
- Text kinds name what changed inside a text, wherever it stands: a date in a tool's description is
  a `timestamp`, a uuid in a tool's result a `random_id`, a result with its keys in another order a
  `key_order`. Else a text of the system prompt is a `text_edit`, one of a message a
  `message_edited`, a result a `tool_result_replaced`, and in a tool the tool's own kinds apply.
- `order` is any list whose items are the same: lines, sentences, documents, messages, parts, tools,
  and lists within a tool's schema.
- Two numbers that JSON writes otherwise (150 and 150.0, true and 1) are different.
- `message_dropped` and `message_inserted` also name reasoning items and thinking blocks.
- `mark_missing`: where the shared part ends there is no mark that both carry, and only marks are
  read. `mark_moved_back`: there is one, but earlier than that of `before`.
- `evicted`: bytes, rules and the time between the calls say that it should have been read.
"""

from . import (
    broken_forks,
    chat_forks,
    chat_marks,
    chat_messages,
    chat_params,
    chat_quiet,
    chat_said,
    chat_system,
    chat_tools,
    chat_usage,
    claude_forks,
    claude_marks,
    claude_messages,
    claude_params,
    claude_quiet,
    claude_said,
    claude_system,
    claude_tools,
    claude_usage,
    responses_items,
    responses_marks,
    responses_params,
    responses_quiet,
    responses_said,
    responses_system,
    responses_tools,
)
from .pair import KINDS, LEVELS, RELATIONS, SECTIONS, Expect, Pair

__all__ = ["KINDS", "LEVELS", "PAIRS", "RELATIONS", "SECTIONS", "Expect", "Pair"]

PAIRS: tuple[Pair, ...] = (
    *chat_system.PAIRS,
    *chat_said.PAIRS,
    *chat_tools.PAIRS,
    *chat_messages.PAIRS,
    *chat_params.PAIRS,
    *chat_marks.PAIRS,
    *chat_usage.PAIRS,
    *chat_quiet.PAIRS,
    *chat_forks.PAIRS,
    *responses_system.PAIRS,
    *responses_said.PAIRS,
    *responses_tools.PAIRS,
    *responses_items.PAIRS,
    *responses_params.PAIRS,
    *responses_marks.PAIRS,
    *responses_quiet.PAIRS,
    *claude_system.PAIRS,
    *claude_said.PAIRS,
    *claude_tools.PAIRS,
    *claude_messages.PAIRS,
    *claude_params.PAIRS,
    *claude_marks.PAIRS,
    *claude_usage.PAIRS,
    *claude_quiet.PAIRS,
    *claude_forks.PAIRS,
    *broken_forks.PAIRS,
)
