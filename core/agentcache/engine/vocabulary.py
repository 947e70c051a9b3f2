"""The constructed model's vocabulary: which texts are single tokens, and under which number.

Whatever the model must notice or say is one *user-defined* token, found in any text before
byte-pair encoding sees it; everything else is bytes and merges.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentcache.engine.bpe import Pair, byte_alphabet, load_merges
from agentcache.errors import OptionError

__all__ = ["MAX_TOOLS", "NO_TOOLS_CUE", "ToolCue", "Vocabulary", "build_vocabulary"]

MAX_TOOLS = 7
"""Most tools a model file can hold: two of its 16 attention heads each, and two for all."""

NO_TOOLS_CUE = "You have no tools in this conversation."
"""The sentence that makes the constructed model answer without a tool call."""

_CONTROL = ("<|im_end|>", "<|im_start|>", "<|endoftext|>")
_RESULT, _TOOLS = "</tool_response>", "<tools>"
_PADDING = "\n\n\n"  # what is left to say where a request forbids the end of the reply
_NORMAL, _CONTROL_TYPE, _USER_DEFINED = 1, 3, 4  # gguf.TokenType, which needs numpy to import


@dataclass(frozen=True, slots=True)
class ToolCue:
    """A tool the constructed model knows: its name, and the arguments of every call to it.

    The arguments must satisfy the schema under which a request offers the tool, keys in the
    schema's order: llama.cpp holds a call to it, and answers 500 or nonsense where it cannot.
    """

    name: str
    arguments: Mapping[str, object]

    @property
    def call(self) -> str:
        """The call as the model says it, and as its chat template renders it afterwards."""
        body = f'{{"name": {json.dumps(self.name)}, "arguments": {json.dumps(self.arguments)}}}'
        return f"<tool_call>\n{body}\n</tool_call>"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens in the order of their numbers, with what the wiring needs to know of them.

    `flags` are the tokens that the model looks for, one attention head for each group: what
    forbids a call, the tools block, then per tool its cue and its definition.
    """

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[Pair, ...]
    end: int
    final: int
    calls: tuple[int, ...]
    padding: int
    flags: tuple[tuple[int, ...], ...]

    def number(self, text: str) -> int:
        """Return the number of the plain token that spells this text.

        Raises:
            ValueError: no single token spells it.
        """
        return self.tokens.index(_spelled(text))


def build_vocabulary(tools: Sequence[ToolCue], final_text: str) -> Vocabulary:
    """Number the tokens of a model that knows these tools and this final answer.

    Raises:
        OptionError: too many tools, a name twice or not one word, or an empty answer.
    """
    _check(tools, final_text)
    flags = [_RESULT, NO_TOOLS_CUE, _TOOLS]
    for tool in tools:
        flags += [f"`{tool.name}`", f'"{tool.name}"']
    said = [final_text, *(tool.call for tool in tools), _PADDING]
    merges = load_merges()
    special = [*said, *flags]
    pieces = dict.fromkeys([*byte_alphabet(), *(left + right for left, right in merges)])
    plain = [piece for piece in pieces if piece not in special]
    first, looked_for = len(_CONTROL), len(_CONTROL) + len(said)
    return Vocabulary(
        tokens=(*_CONTROL, *special, *plain),
        types=(
            *(_CONTROL_TYPE for _ in _CONTROL),
            *(_USER_DEFINED for _ in special),
            *(_NORMAL for _ in plain),
        ),
        merges=merges,
        end=0,
        final=first,
        calls=tuple(range(first + 1, looked_for - 1)),
        padding=looked_for - 1,
        flags=(
            (looked_for, looked_for + 1),
            *((token,) for token in range(looked_for + 2, first + len(special))),
        ),
    )


def _check(tools: Sequence[ToolCue], final_text: str) -> None:
    names = [tool.name for tool in tools]
    if len(names) > MAX_TOOLS:
        raise OptionError(f"tools has {len(names)} entries; one model file holds {MAX_TOOLS}.")
    for at, name in enumerate(names):
        if name in names[:at]:
            raise OptionError(f"tools[{at}] is a second {name!r}; give every tool its own name.")
        if not name.replace("-", "_").isidentifier():
            raise OptionError(f"tools[{at}] is named {name!r}; use letters, digits, '_' and '-'.")
    if not final_text.strip():
        raise OptionError(f"final_text is {final_text!r}; give the model something to say.")


def _spelled(text: str) -> str:
    alphabet = byte_alphabet()
    return "".join(alphabet[byte] for byte in text.encode())
