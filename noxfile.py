"""What CI and `nox` run here. The one command to remember: `nox -s tests`."""

import functools
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
CORE_EXTRAS = "engine,openai,anthropic,loopback,prices"
CORE_TESTS = (
    *("core", "loopback", "engine", "openai", "breaks", "compaction", "recordings"),
    *("pytest_plugin", "page", "asking", "graphs", "test_*.py"),
)
TEST_ENV = {
    "ANTHROPIC_API_KEY": "dummy",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TESTING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_API_KEY": "dummy",
    "OPENAI_BASE_URL": None,
    "OTEL_SDK_DISABLED": "true",
}

# What the adapter's demo and middleware import; its heart needs langchain-core alone.
LANGCHAIN = ("langchain", "langchain-anthropic", "langchain-openai", "langgraph")


@dataclass(frozen=True)
class Adapter:
    """One framework: the extras its tests need, its versions at both edges, its leaks."""

    extras: str
    oldest: tuple[str, ...]
    newest: tuple[str, ...] = ()
    newest_extras: str = ""
    ignored_warnings: tuple[str, ...] = ()
    contract: bool = True


ADAPTERS = {
    "dask": Adapter(
        extras="dask,openai,anthropic,loopback",
        oldest=("distributed==2024.4.1", "openai==2.30.0", "anthropic==0.73.0"),
        newest=("distributed",),
        contract=False,  # it forks nothing itself: it runs graphs of forks
        # It leaves sockets and event loops to the collector.
        ignored_warnings=(
            "unclosed:ResourceWarning",
            ":pytest.PytestUnraisableExceptionWarning",
        ),
    ),
    "crewai": Adapter(
        extras="crewai,anthropic,engine,loopback",
        # litellm by version: what CrewAI's extra asks for does not go with its own openai or mcp.
        oldest=(
            "crewai[azure-ai-inference,bedrock,google-genai]==1.14.5",
            "anthropic==0.73.0",
            "litellm==1.88.6",
        ),
        newest=("crewai[azure-ai-inference,bedrock,google-genai]", "litellm==1.88.6"),
        # CrewAI leaves its databases, its SDK clients and their event loops open. Python says so
        # whenever they are collected, be it in the middle of another test.
        ignored_warnings=(
            "unclosed:ResourceWarning",
            ":pytest.PytestUnraisableExceptionWarning",
        ),
    ),
    "langchain": Adapter(
        extras="langchain,engine,loopback",
        oldest=(
            "langchain-core==0.3.49",
            "langchain-anthropic==0.3.10",
            "langchain-openai==0.3.12",
            "langgraph==0.3.34",
            "langgraph-supervisor==0.0.19",
            "langgraph-swarm==0.0.11",
        ),
        newest=(*LANGCHAIN, "deepagents", "langgraph-supervisor", "langgraph-swarm"),
        # The oldest versions: langchain-core prints messages by what pydantic has deprecated
        # since, langchain-openai leaves its sockets to the garbage collector, langchain-anthropic
        # says so when a model calls a tool that the program did not offer.
        ignored_warnings=(
            "Accessing the 'model_fields' attribute on the instance:DeprecationWarning",
            "Received unexpected tool content block:UserWarning",
            "unclosed:ResourceWarning",
            ":pytest.PytestUnraisableExceptionWarning",
        ),
    ),
    "agentchat": Adapter(
        extras="autogen,anthropic,engine,loopback",
        # AutoGen's Anthropic client passes a parameter that the SDK dropped in 1.0.
        oldest=("autogen-agentchat==0.6.4", "autogen-ext[anthropic,openai]==0.6.4", "anthropic<1"),
        newest=("autogen-agentchat", "autogen-ext[anthropic,openai]", "anthropic<1"),
        # Its clients outlive the event loop of the test that made them, and nobody closes them.
        ignored_warnings=(
            "unclosed:ResourceWarning",
            ":pytest.PytestUnraisableExceptionWarning",
        ),
    ),
    "classic": Adapter(
        extras="anthropic,engine,loopback",
        # ag2 and autogen share their files: the extra, which brings autogen, is for one edge only.
        oldest=("ag2[anthropic,openai]==0.9.10", "anthropic<1"),
        newest_extras="autogen-classic",
        newest=("autogen[anthropic,openai]==0.14.1",),
        # ag2 0.9 leaves its clients, and the folders of its code executors, to the collector.
        ignored_warnings=(
            "unclosed:ResourceWarning",
            "Implicitly cleaning up <TemporaryDirectory:ResourceWarning",
            ":pytest.PytestUnraisableExceptionWarning",
        ),
    ),
}


def _put_interpreters_on_path() -> None:
    """Let `python3.10` mean an interpreter: pyenv's shims of unselected versions only fail."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    real = [str(folder) for folder in sorted(pyenv.glob("versions/3.1[0-3].*/bin"))]
    own = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([*real, os.environ.get("PATH", os.defpath), own])


def _runs(python: str) -> bool:
    """Say whether this interpreter is on PATH and starts."""
    found = shutil.which(python)
    if not found:
        return False
    return subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0


_put_interpreters_on_path()
os.environ.setdefault("UV_PYTHON_DOWNLOADS", "never")
AVAILABLE = [version for version in PYTHONS if _runs(f"python{version}")]
# Where none of ours is found, naming the declared edges lets nox say what is missing.
LOWEST, HIGHEST = (AVAILABLE or PYTHONS)[0], (AVAILABLE or PYTHONS)[-1]


@functools.cache
def _wheel(cache: Path) -> str:
    """Build the wheel once per nox process; return its URL."""
    out = cache / "wheel"
    shutil.rmtree(out, ignore_errors=True)
    command = [nox.virtualenv.UV, "build", "--quiet", "--wheel", "--out-dir", str(out)]
    subprocess.run(command, check=True)
    return next(out.glob("*.whl")).resolve().as_uri()


def _install_wheel(session: nox.Session, extras: str, *requirements: str) -> None:
    """Install what a user would install, and nothing from the checkout."""
    print(f"\n{session.name}: installing", flush=True)
    wheel = f"agentcache[{extras}] @ {_wheel(session.cache_dir)}"
    session.install(
        *("--reinstall-package", "agentcache", "-c", "constraints.txt"), wheel, *requirements
    )


def _install_group(session: nox.Session, group: str, *requirements: str) -> None:
    """Install one dependency group at its pinned versions."""
    tools = nox.project.dependency_groups(PYPROJECT, group)
    session.install("-c", "constraints.txt", *tools, *requirements)


def _pytest(session: nox.Session, *paths: str, ignored_warnings: tuple[str, ...] = ()) -> None:
    """Test the installed package, on two cores: -I keeps the checkout off the import path."""
    found = [str(path) for pattern in paths for path in sorted(Path().glob(pattern))]
    if not found:
        session.error(f"no tests in {', '.join(paths)}")
    options = ["--timeout=300", "--inline-snapshot=disable", "-n2", "--dist=worksteal"]
    options += [f"-Wignore:{warning}" for warning in ignored_warnings]
    session.run("python", "-Im", "pytest", *options, *found, *session.posargs, env=TEST_ENV)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Run both edges: lowest Python with oldest pins, highest Python with newest."""
    if not AVAILABLE:
        session.error(f"needs one of Python {', '.join(PYTHONS)} on PATH")
    missing = [version for version in PYTHONS if version not in AVAILABLE]
    if missing:
        session.warn(f"Python {', '.join(missing)} not found: testing {LOWEST} and {HIGHEST}")
    print(f"Building the wheel; testing Python {LOWEST} and {HIGHEST}", flush=True)
    _wheel(session.cache_dir)
    for version in dict.fromkeys([LOWEST, HIGHEST]):
        session.notify(f"core-{version}")
    for framework in ADAPTERS:
        session.notify(f"adapter-{LOWEST}({framework}-oldest)")
        session.notify(f"adapter-{HIGHEST}({framework}-newest)")
    # From here on pytest has the last word; nox still names a session that failed.
    logging.getLogger("nox").setLevel(logging.ERROR)


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """Run the core suite on the installed wheel, without any framework."""
    tools = nox.project.dependency_groups(PYPROJECT, "test")
    _install_wheel(session, f"{CORE_EXTRAS},cassettes,encryption", *tools, "opentelemetry-sdk")
    _pytest(session, *(f"tests/{each}" for each in CORE_TESTS))


@nox.session(python=PYTHONS)
@nox.parametrize(
    ("framework", "edge"),
    [
        nox.param(name, edge, id=f"{name}-{edge}")
        for name in ADAPTERS
        for edge in ("oldest", "newest")
    ],
)
def adapter(session: nox.Session, framework: str, edge: str) -> None:
    """Run one adapter's suite on its real framework, and the contract suite where it has one."""
    row = ADAPTERS[framework]
    pins, extras = row.oldest, row.extras
    if edge == "newest":
        pins, extras = row.newest, ",".join(filter(None, [row.extras, row.newest_extras]))
    tools = nox.project.dependency_groups(PYPROJECT, "test")
    _install_wheel(session, extras, *tools, *pins)
    paths = [f"tests/{framework}", *(["tests/contract"] if row.contract else [])]
    _pytest(session, *paths, ignored_warnings=row.ignored_warnings)


@nox.session(python=HIGHEST)
def standard_tests(session: nox.Session) -> None:
    """Run langchain-tests' own suites on plain and on forked classes, test by test."""
    tools = nox.project.dependency_groups(PYPROJECT, "test")
    _install_wheel(session, "langchain,loopback", *tools, *LANGCHAIN, "langchain-tests==1.1.9")
    # It brings pytest-asyncio, which aborts where warnings are errors, and records requests.
    options = ["-p", "no:asyncio", "--benchmark-disable", "--disable-recording", "--tb=line"]
    options += ["--timeout=300", "--inline-snapshot=disable", "tests/langchain_standard"]
    session.run("python", "-Im", "pytest", *options, *session.posargs, env=TEST_ENV)


@nox.session(python=HIGHEST)
def pyautogen(session: nox.Session) -> None:
    """Run the classic suite on pyautogen 0.9, the last one under that name."""
    row = ADAPTERS["classic"]
    tools = nox.project.dependency_groups(PYPROJECT, "test")
    _install_wheel(session, row.extras, *tools, "pyautogen[anthropic,openai]==0.9")
    # It describes a model of its own by what pydantic has deprecated since.
    warnings = (*row.ignored_warnings, "Support for class-based `config`:DeprecationWarning")
    _pytest(session, "tests/classic", "tests/contract", ignored_warnings=warnings)


@nox.session(python=HIGHEST)
def autogen_both(session: nox.Session) -> None:
    """Run both AutoGen suites in one environment, as a program that uses both would."""
    rows = [ADAPTERS["agentchat"], ADAPTERS["classic"]]
    extras = ",".join([*(row.extras for row in rows), "autogen-classic"])
    tools = nox.project.dependency_groups(PYPROJECT, "test")
    _install_wheel(session, extras, *tools, *(pin for row in rows for pin in row.newest))
    warnings = tuple(warning for row in rows for warning in row.ignored_warnings)
    paths = ("tests/agentchat", "tests/classic", "tests/contract")
    _pytest(session, *paths, ignored_warnings=warnings)


@nox.session(python=HIGHEST)
def breaks_outside(session: nox.Session) -> None:
    """Show two other break detectors the corpus, and print where they and the truth disagree."""
    _install_wheel(session, "prices", "promptcachelint==0.1.0", "cachecanary==0.4.0")
    session.run("python", "tests/breaks/outside.py", *session.posargs)


@nox.session(python=HIGHEST)
def page(session: nox.Session) -> None:
    """Use the HTML page in a real browser, in light and in dark; its pictures stay in the cache."""
    tools = nox.project.dependency_groups(PYPROJECT, "test")
    _install_wheel(session, "loopback", *tools, "PySide6-WebEngine==6.12.0.140")
    pictures = session.cache_dir / "page"
    flags = {
        "light": "--disable-gpu",
        "dark": "--disable-gpu --blink-settings=preferredColorScheme=0 "
        "--force-prefers-reduced-motion",
    }
    for name, flag in flags.items():
        (pictures / name).mkdir(parents=True, exist_ok=True)
        env = {
            "PAGE_DARK": "1" if name == "dark" else None,
            "PAGE_PICTURES": str((pictures / name).resolve()),
            "QTWEBENGINE_CHROMIUM_FLAGS": flag,
            "QTWEBENGINE_DISABLE_SANDBOX": "1",  # Chromium's own does not start as root
        }
        options = ["--timeout=120", "--inline-snapshot=disable", "tests/page/test_in_browser.py"]
        session.run("python", "-Im", "pytest", *options, *session.posargs, env=TEST_ENV | env)


@nox.session(python=HIGHEST)
def lint(session: nox.Session) -> None:
    """Check style, format and who imports whom."""
    _install_group(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", env={"PYTHONPATH": os.pathsep.join(["core", "adapters"])})


# genai-prices needs 3.11; the stubs of numpy for 3.12 and later do not parse as 3.10.
@nox.session(python="3.11" if "3.11" in AVAILABLE else HIGHEST)
def types(session: nox.Session) -> None:
    """Type-check core and adapters, strictly, as Python 3.10."""
    extras = PYPROJECT["project"]["optional-dependencies"]
    chosen = [word for extra in extras for word in ("--extra", extra)]
    _install_group(session, "types", "-r", "pyproject.toml", *chosen, *LANGCHAIN)
    session.run("mypy", "core", "adapters")
    session.run("pyright", "--pythonpath", str(Path(session.bin) / "python"))


@nox.session(python=HIGHEST)
def demo(session: nox.Session) -> None:
    """Install the wheel as the README says and run the demo."""
    _install_wheel(session, "crewai,engine,loopback")
    session.run("agentcache", "demo", "crewai", *session.posargs, env=TEST_ENV)


@nox.session(python=HIGHEST)
def benchmarks(session: nox.Session) -> None:
    """Measure; `nox -s benchmarks -- --only fork --json FILE` measures less, elsewhere."""
    _install_wheel(session, f"crewai,dask,{CORE_EXTRAS}")
    numbers = str(session.cache_dir / "benchmarks.json")
    session.run("python", "benchmarks/run.py", "--json", numbers, *session.posargs)
