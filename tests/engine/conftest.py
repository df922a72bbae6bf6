"""The engine on real databases, in both layouts, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrator_site.embedded import Postgres
from tests.conftest import Databases, Pair
from tests.engine.rig import Rig


@pytest.fixture(scope="module")
def pair(pg18: Postgres) -> Iterator[Pair]:
    """Two databases, for all tests of a file."""
    made = Databases(pg18)
    yield made.pair("two")
    made.drop()


@pytest.fixture
def rig_one(pair: Pair) -> Iterator[Rig]:
    """In one database."""
    made = Rig(Pair(pair.source, pair.source))
    yield made
    made.close()


@pytest.fixture
def rig_two(pair: Pair) -> Iterator[Rig]:
    """In two databases."""
    made = Rig(pair)
    yield made
    made.close()


@pytest.fixture(params=["one", "two"])
def rig(request: pytest.FixtureRequest) -> Rig:
    """In one and in two databases."""
    made: Rig = request.getfixturevalue(f"rig_{request.param}")
    return made
