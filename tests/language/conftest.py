"""Each feature of the mapping language, in one database and across two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.conftest import Databases
from tests.language.feature import Feature


@pytest.fixture(params=["one", "two"])
def feature(
    request: pytest.FixtureRequest, databases: Databases, transactional_db: None
) -> Iterator[Feature]:
    """Empty schemas `old` (source) and `new` (target), in one and in two databases."""
    with closing(Feature(databases.pair(request.param))) as made:
        yield made


@pytest.fixture(params=["one", "two"])
def feature16(
    request: pytest.FixtureRequest, databases16: Databases, transactional_db: None
) -> Iterator[Feature]:
    """The same on PostgreSQL 16."""
    with closing(Feature(databases16.pair(request.param))) as made:
        yield made
