"""What every test of the classic adapter gets."""

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import autogen  # noqa: F401 - pyautogen 0.9 warns of itself when it is imported

HERE = Path(__file__).parent
AUTOGENS_OWN = (
    "ignore:Cost calculation not available for model:UserWarning",
    "ignore:`LLMConfig:DeprecationWarning",
    "ignore:The `copy` method is deprecated:DeprecationWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for warning in AUTOGENS_OWN:
                item.add_marker(pytest.mark.filterwarnings(warning))
