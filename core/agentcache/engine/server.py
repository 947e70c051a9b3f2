"""Run a real llama.cpp server beside this process, on the loopback interface.

The wheel `xllamacpp` holds llama.cpp's own `llama-server`; what its answers report as cached was
cached. See `agentcache.engine.model` for the model that it serves by default.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agentcache.engine import slots as llama_slots
from agentcache.engine._extra import engine_package, require_package
from agentcache.engine.model import (
    CONTEXT_TOKENS,
    DEFAULT_TOOLS,
    FINAL_TEXT,
    ToolCue,
    write_agent_model,
)
from agentcache.engine.weights import smollm2
from agentcache.errors import EngineError, OptionError

__all__ = ["Engine", "serve"]

_AGENT, _SMOLLM2 = "agentcache-agent", "agentcache-smollm2"
_CONTEXT_TOKENS = {_AGENT: CONTEXT_TOKENS, _SMOLLM2: 8_192}
_OPTIONS = {
    "kv_unified": False,  # only a split KV cache can save and restore slots
    "fit_params": False,
    "ui": False,
    "verbosity": 0,
    "endpoint_metrics": True,
    "endpoint_slots": True,
}
# libgomp's threads spin while they wait for each other. On a machine that others use too, two of
# them then starve: measured on 2 loaded cores, 187 s for what takes 14 s without spinning.
_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine: where it listens, and what it serves."""

    url: str
    """Root of the server, such as `http://127.0.0.1:8080`; the Anthropic SDK's base URL."""
    model: str
    """The model's name in requests and answers."""
    slots: int
    """How many requests it works on at once, each with a KV cache of its own."""
    context: int
    """Tokens that one slot holds, prompt and answer together."""

    @property
    def openai_url(self) -> str:
        """The OpenAI SDK's base URL."""
        return f"{self.url}/v1"

    def metrics(self) -> dict[str, float]:
        """Return llama.cpp's counters; `prompt_tokens_total` leaves out what was cached.

        Those cached are in `prompt_tokens_cached_total`.
        """
        return llama_slots.read_metrics(self.url)

    def slot_copy(self, source: int, targets: Iterable[int]) -> int:
        """Copy what slot `source` holds over what the targets hold; return its tokens.

        Raises:
            EngineError: no such slot, or the source is empty.
        """
        return llama_slots.copy_slot(self.url, source, targets)

    def fan_out(self, prompt_tokens: int | None = None) -> int:
        """Copy the parent's slot to all others, so that parallel forks hit; return its tokens.

        Call it after the parent's answer. The parent is the slot used last, or the one that
        holds a prompt of `prompt_tokens` (from the answer's usage) where others came between.

        Raises:
            EngineError: no slot holds such a prompt.
        """
        return llama_slots.fan_out(self.url, prompt_tokens)


@contextmanager
def serve(
    model: str | os.PathLike[str] = "agent",
    *,
    slots: int = 1,
    threads: int | None = None,
    context: int | None = None,
    tools: Sequence[ToolCue] | None = None,
    final_text: str | None = None,
    port: int = 0,
    fixed_reply_tokens: int | None = None,
) -> Generator[Engine, None, None]:
    """Serve a model until the block ends.

    `model` is `"agent"` (the constructed one, which alone takes `tools` and `final_text`),
    `"smollm2"` (downloaded the first time) or the path of a GGUF file. `context` is counted per
    slot. Port 0 means any free one. With `fixed_reply_tokens` every answer is that long, unless
    a request sets its own `max_tokens`; it then ends with the finish reason `length`.
    Requests that name no temperature get 0.

    Raises:
        EngineError: no such file, not a model, or the port is taken.
        MissingExtraError: the extra `engine` is not installed.
        OptionError: an option that does not go with this model, or is out of range.
    """
    if not 0 <= port <= 65535:
        raise OptionError(f"port={port} is not between 0 (any free one) and 65535.")
    _check(model, tools, final_text, slots=slots, fixed_reply_tokens=fixed_reply_tokens)
    require_package("xllamacpp")
    with TemporaryDirectory(prefix="agentcache-engine-") as scratch:
        path, name = _find(model, Path(scratch), tools, final_text)
        held = context or _CONTEXT_TOKENS.get(name) or _trained_context(path)
        options: dict[str, Any] = {
            "model": str(path),
            "alias": name,
            "threads": threads or _threads(name),
            "port": port,
            "n_parallel": slots,
            "n_ctx": held * slots,  # split between the slots
            "slot_save_path": f"{scratch}/",  # it wants the last slash
            "warmup": name != _AGENT,
            "sampling": {"temp": 0.0, "ignore_eos": fixed_reply_tokens is not None},
            "n_predict": fixed_reply_tokens or -1,
            **_OPTIONS,
        }
        with _started(options, Path(scratch) / "errors.txt") as url:
            yield Engine(url, name, slots, held)


def _check(
    model: str | os.PathLike[str],
    tools: Sequence[ToolCue] | None,
    final_text: str | None,
    **counts: int | None,
) -> None:
    if model != "agent" and not (tools is None and final_text is None):
        raise OptionError(f"tools and final_text shape the model 'agent'; model is {model!r}.")
    for name, count in counts.items():
        if count is not None and count < 1:
            raise OptionError(f"{name} is {count}; give 1 or more.")


def _find(
    model: str | os.PathLike[str],
    scratch: Path,
    tools: Sequence[ToolCue] | None,
    final_text: str | None,
) -> tuple[Path, str]:
    if model == "agent":
        wanted = DEFAULT_TOOLS if tools is None else tools
        answer = FINAL_TEXT if final_text is None else final_text
        return write_agent_model(scratch / "agent.gguf", wanted, answer), _AGENT
    if model == "smollm2":
        return smollm2(), _SMOLLM2
    path = Path(model)
    if not path.is_file():
        raise EngineError(f"No model file at {str(path)!r}. Give 'agent', 'smollm2' or a .gguf.")
    return path, path.stem


def _threads(name: str) -> int:
    return 1 if name == _AGENT else min(2, os.cpu_count() or 1)


def _trained_context(path: Path) -> int:
    try:
        fields = engine_package("gguf").GGUFReader(path).fields
        trained = int(
            fields[f"{fields['general.architecture'].contents()}.context_length"].contents()
        )
    except (ValueError, KeyError, IndexError) as error:
        raise EngineError(f"{str(path)!r} is not a GGUF model: {error}.") from error
    return min(trained, CONTEXT_TOKENS)


@contextmanager
def _started(options: dict[str, Any], errors: Path) -> Generator[str, None, None]:
    command = [sys.executable, "-m", "agentcache.engine._child", json.dumps(options)]
    with errors.open("wb") as log:
        child = subprocess.Popen(  # noqa: S603  # our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**_ENVIRONMENT, **os.environ},
            start_new_session=True,  # Ctrl-C is for the caller, who then stops the engine
        )
    with child:
        try:
            yield _url(child, options, errors)
        finally:
            child.kill()  # it keeps nothing, and its own end would wait for its clients


def _url(child: subprocess.Popen[str], options: dict[str, Any], errors: Path) -> str:
    out = child.stdout
    if url := out.readline().strip() if out else "":
        return url
    child.wait()
    reason = (errors.read_text(errors="replace").strip() or "no message").splitlines()[-1]
    raise EngineError(
        f"llama.cpp cannot serve {options['model']!r} on port {options['port']}: {reason} "
        "Is it a GGUF model, is the port free, does the context fit into memory?",
    )
