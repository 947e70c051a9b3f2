"""What a demo needs to be installed, and how to say so."""

from importlib.metadata import version

from agentcache.errors import MissingExtraError, OptionError

__all__ = ["check_below", "needed"]


def needed(package: str, extra: str, *words: str) -> MissingExtraError:
    """The error for a missing package; `words` go into the install line beside the extra."""
    error = MissingExtraError(extra, package)
    error.msg = (
        f"The demo needs {package!r}. Install what it runs on, from a checkout of agentcache: "
        f"pip install {' '.join([repr(f'.[{extra}]'), *words])}"
    )
    return error


def check_below(package: str, major: int, *, because: str) -> None:
    """Raise OptionError where an installed package is newer than the framework can use."""
    found = version(package)
    if int(found.partition(".")[0]) >= major:
        raise OptionError(
            f"{because}; {package} {found} is installed. pip install '{package}<{major}'"
        )
