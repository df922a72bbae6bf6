"""Schemas `old` (source) and `new` (target) for planning, emptied for each test; no control database is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrator_site.embedded import Postgres
from tests.conftest import Databases, Pair
from tests.planning.drawing import Board


@pytest.fixture(scope="module")
def pair(pg18: Postgres) -> Iterator[Pair]:
    """Two databases, for all tests of a file."""
    made = Databases(pg18)
    yield made.pair("two")
    made.drop()


@pytest.fixture
def one(pair: Pair) -> Board:
    """Source and target in one database."""
    return Board(Pair(pair.source, pair.source))


@pytest.fixture
def two(pair: Pair) -> Board:
    """Source and target in two databases."""
    return Board(pair)


@pytest.fixture(params=["one", "two"])
def board(request: pytest.FixtureRequest, pair: Pair) -> Board:
    """Both layouts."""
    return Board(Pair(pair.source, pair.source) if request.param == "one" else pair)
