"""Count tokens without a vocabulary: the same text always gives the same tokens."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

__all__ = ["Token", "Tokenizer", "pieces"]

Token = str | int
"""One token, as any tokenizer gives it."""

Tokenizer = Callable[[str], Sequence[Token]]
"""Text in, tokens out; must be deterministic."""

_PIECE = re.compile(
    r"<\|[^|]*\|>"  # our own render marks: one token each, as in chat templates
    r"|[^\S\n]?[A-Za-z]{1,6}"
    r"|[^\S\n]?\d{1,3}"
    r"|[^\w\s]{1,2}"
    r"|\n+|[^\S\n]+|\w|.",
    re.DOTALL,
)


@lru_cache(maxsize=8192)
def pieces(text: str) -> tuple[str, ...]:
    """Split text into about one piece per 4 characters of English prose.

    The pieces joined are the text. CJK and other scripts count one piece per character.

    >>> pieces("Translate this, please")
    ('Transl', 'ate', ' this', ',', ' please')
    """
    return tuple(_PIECE.findall(text))
