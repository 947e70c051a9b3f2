"""Write the constructed agent model: a 2.4 MB GGUF that behaves as an agent, in a fraction of 1 s.

It calls a tool, reads the result, gives its final answer; real attention over the engine's real
KV cache decides, so a wrong cache hit would show as a wrong answer. Its rules, first match wins:

1. a tool result in the conversation: the final answer;
2. the sentence "You have no tools in this conversation.": the final answer;
3. a defined tool's name in `backticks`: a call to that tool;
4. a defined tool (its name in "double quotes" and a tools block): a call to the first such tool;
5. nothing of all this: the final answer.
"""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from agentcache.engine import wiring
from agentcache.engine._extra import engine_package
from agentcache.engine.vocabulary import NO_TOOLS_CUE, ToolCue, Vocabulary, build_vocabulary

__all__ = ["DEFAULT_TOOLS", "FINAL_TEXT", "NO_TOOLS_CUE", "ToolCue", "write_agent_model"]

CONTEXT_TOKENS = 32_768

DEFAULT_TOOLS = (ToolCue("search_notes", {"query": "the open points"}),)
"""The tool that the constructed model calls unless it is told of others."""

FINAL_TEXT = (
    "Thought: I now can give a great answer\n"
    "Final Answer: The notes were read and the task is done. TERMINATE"
)
"""The default answer: CrewAI's parser finds its end, and so does AutoGen's termination."""


def write_agent_model(
    path: str | os.PathLike[str],
    tools: Sequence[ToolCue] = DEFAULT_TOOLS,
    final_text: str = FINAL_TEXT,
) -> Path:
    """Write the model to `path`, whose folder must exist, and return the path.

    The same arguments give the same bytes, every time.

    Raises:
        MissingExtraError: the extra `engine` is not installed.
        OptionError: too many tools, a name twice or not one word, or an empty answer.
    """
    vocabulary = build_vocabulary(tools, final_text)
    target = Path(path)
    writer = engine_package("gguf").GGUFWriter(target, "llama")
    _write_shape(writer, wiring.heads(vocabulary))
    _write_tokenizer(writer, vocabulary)
    for name, weights in wiring.tensors(vocabulary).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _write_shape(writer: Any, heads: int) -> None:
    width = heads * wiring.HEAD_WIDTH
    writer.add_name("agentcache agent")
    writer.add_description("Constructed, not trained: decides by attention over set tokens.")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(wiring.FFN)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(wiring.HEAD_WIDTH)
    writer.add_rope_freq_base(1e12)
    writer.add_file_type(1)


def _write_tokenizer(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges([" ".join(pair) for pair in vocabulary.merges])
    writer.add_eos_token_id(vocabulary.end)
    writer.add_eot_token_id(vocabulary.end)
    writer.add_add_bos_token(False)
    template = files("agentcache.engine") / "chat_template.jinja"
    writer.add_chat_template(template.read_text(encoding="utf-8"))
