"""A small whole config, to be broken in one place at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tessera.config.load import validate
from tessera.config.schema import Config

TEXT = (Path(__file__).parents[2] / "workflow" / "config.yaml").read_text()


@pytest.fixture
def text() -> str:
    """The config as YAML."""
    return TEXT


@pytest.fixture
def changed(raw) -> Callable[..., Config]:
    """A function that validates the config with some values set: `{"stage1.cond.norm": "pre"}`."""

    def change(values: dict[str, Any] | None = None, **sections: Any) -> Config:
        for path, value in {**(values or {}), **sections}.items():
            *parents, last = path.split(".")
            place = raw
            for key in parents:
                place = place.setdefault(key, {})
            place[last] = value
        return validate(raw)

    return change
