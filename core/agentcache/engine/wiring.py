"""The constructed model's weights: attention that finds tokens, output rows that decide.

Every token's embedding is a row of signs, except for a few places that are kept free:

    BIAS        1 in every token
    DONE        1 in the answer, the calls and the padding: what follows is the end
    own(i)      1 in the flag tokens of group i only
    seen(i)     0 in every token; written by attention

Head i asks, from any position, for own(i). Where such a token stands anywhere before, softmax
gives it all the weight, and the head adds seen(i) = 1; elsewhere it reads an average of zeros.
The decision is then one weighted sum per output token. So the answer depends on what the engine
holds in its KV cache, however it came there.
"""

import hashlib
from typing import Any

from agentcache.engine._extra import engine_package
from agentcache.engine.vocabulary import Vocabulary

__all__ = ["FFN", "HEAD_WIDTH", "heads", "tensors"]

HEAD_WIDTH = 32  # llama.cpp's attention is several times slower with heads of 16
FFN = 32  # the smallest that llama.cpp takes; it adds nothing
_BIAS, _DONE, _OWN = 0, 1, 2
_SHARPNESS = 20.0  # of key and query; a found flag scores >= 70 more: e^70 against 32k tokens
_MARGIN = 80.0  # logits per unit: sampling at a high temperature decides as greedy does

# Units. A call needs the tools block and the tool's definition (12 > 10); the cue alone, or with
# one of them, does not reach the final answer's 10; a cued tool beats every tool not cued.
_FINAL, _BLOCK, _DEFINED, _CUED = 10.0, 6.0, 6.0, 3.0
_FORBIDDEN, _END, _PADDING = -30.0, 60.0, 40.0
_EARLIER = 0.25  # the first of several equal tools is called

# Under a JSON schema neither answer is allowed: close whatever is open as soon as one may.
_CLOSING = {'"': 1.0, "}": 0.75, "]": 0.75, ":": 0.75, "0": 0.5, ",": 0.25}
_CLOSED = 1.25


def heads(vocabulary: Vocabulary) -> int:
    """Return how many attention heads this vocabulary needs: time and file grow with them."""
    return 8 if len(vocabulary.flags) <= 8 else 16


def tensors(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the model's weights by GGUF tensor name, numpy arrays in file order."""
    np = engine_package("numpy")
    width = HEAD_WIDTH * heads(vocabulary)
    signs = _signs(np, len(vocabulary.tokens), width)
    ones = np.ones(width, np.float32)
    found: dict[str, Any] = {
        "token_embd.weight": _embedding(signs, vocabulary),
        "output_norm.weight": ones,
        "output.weight": _output(np, vocabulary, width),
    }
    for part, weights in _attention(np, vocabulary, width).items():
        found[f"blk.0.attn_{part}.weight"] = weights
    for part, shape in (("gate", (FFN, width)), ("up", (FFN, width)), ("down", (width, FFN))):
        found[f"blk.0.ffn_{part}.weight"] = np.zeros(shape, np.float16)
    for part in ("attn", "ffn"):
        found[f"blk.0.{part}_norm.weight"] = ones
    return found


def _signs(np: Any, rows: int, width: int) -> Any:
    """Rows of +1 and -1, the same on every machine and under every numpy."""
    digest = hashlib.shake_256(b"agentcache").digest(rows * width // 8)
    bits = np.unpackbits(np.frombuffer(digest, np.uint8)).reshape(rows, width)
    return (2.0 * bits - 1.0).astype(np.float16)


def _embedding(signs: Any, vocabulary: Vocabulary) -> Any:
    rows = signs.copy()
    rows[:, : _OWN + 2 * len(vocabulary.flags)] = 0.0
    rows[:, _BIAS] = 1.0
    rows[[vocabulary.final, *vocabulary.calls, vocabulary.padding], _DONE] = 1.0
    for flag, group in enumerate(vocabulary.flags):
        rows[list(group), _OWN + flag] = 1.0
    return rows


def _attention(np: Any, vocabulary: Vocabulary, width: int) -> dict[str, Any]:
    parts = {part: np.zeros((width, width), np.float16) for part in ("q", "k", "v", "output")}
    flags = len(vocabulary.flags)
    still = HEAD_WIDTH - 2  # of a head's last two places: with a base of 1e12 they do not rotate
    for flag in range(flags):
        head, own, seen = flag * HEAD_WIDTH, _OWN + flag, _OWN + flags + flag
        parts["q"][head + still, _BIAS] = _SHARPNESS
        parts["k"][head + still, own] = _SHARPNESS
        parts["v"][head, own] = 1.0
        parts["output"][seen, head] = 1.0
    return parts


def _output(np: Any, vocabulary: Vocabulary, width: int) -> Any:
    rows = np.zeros((len(vocabulary.tokens), width), np.float16)
    forbidden = _OWN + len(vocabulary.flags)
    block, first_tool = forbidden + 1, forbidden + 2
    for text, units in _CLOSING.items():
        rows[vocabulary.number(text), _BIAS] = units
    rows[vocabulary.end, _BIAS] = _CLOSED
    rows[vocabulary.end, _DONE] = _END
    rows[vocabulary.padding, _DONE] = _PADDING
    rows[vocabulary.final, _BIAS] = _FINAL
    for at, token in enumerate(vocabulary.calls):
        cue, definition = first_tool + 2 * at, first_tool + 2 * at + 1
        rows[token, forbidden] = _FORBIDDEN
        rows[token, block] = _BLOCK
        rows[token, cue] = _CUED
        rows[token, definition] = _DEFINED - _EARLIER * at
    return rows * np.float16(_MARGIN)
