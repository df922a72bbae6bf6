"""Twins for the exports: the same data twice, in one and in two databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.conftest import Databases
from tests.export.twins import Twin
from tests.journeys.conftest import empty_redis

__all__ = ["empty_redis"]


class Twins(NamedTuple):
    """hand: migrated by exported scripts; worker: by a run."""

    hand: Twin
    worker: Twin


@pytest.fixture(params=["one", "two"])
def twins(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Twins]:
    yield Twins(
        Twin(databases, request.param, "hand").filled(), Twin(databases, request.param, "worker").filled()
    )
