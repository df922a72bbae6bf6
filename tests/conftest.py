"""Fixtures for all tests: fresh databases, servers of both versions, the marker for tests without servers."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import psycopg
import pytest
from django.apps import apps
from django.db import connection as control
from django.test import TransactionTestCase

from migrator_site.embedded import Postgres, Valkey
from tests.debian import MISSING, Debian, installed
from tests.servers import SERVERS

pytest.register_assert_rewrite("tests.language.feature")  # before whoever imports it first

TESTS = Path(__file__).parent
UNIT = TESTS / "unit"
LONG = [TESTS / place for place in (
    "browser", "test_crawl.py", "test_demo_data.py", "test_embedded.py", "test_supervisor.py", "test_slow_clients.py",
    "journeys/test_cut_connections.py", "journeys/test_dying_workers.py", "export/test_recipes.py",
    "export/test_hostile_users.py", "export/test_hostile_identifiers.py", "test_random_expressions.py",
    "unit/test_fences.py",
)]  # fmt: skip
"""Browsers, servers that are installed and started, the whole demo, every address by every account, connections that
have to be waited for, workers that are killed, every recipe by every export, expressions by chance, and whether each
import contract holds."""

RARE = [TESTS / place for place in (
    *(f"language/test_{name}.py" for name in (
        "shapes", "key_equality", "content_keys", "lists_to_rows", "combinations", "target_keys", "self_references",
        "orphans", "taken_values", "merged_trees", "shared_targets", "several_parents", "extension_types", "types",
        "identifiers", "own_names", "widening",
    )),
    *(f"journeys/test_{name}.py" for name in (
        "throttles", "late_arrivals", "retries", "timeouts", "passing_troubles", "page_walks", "back_again",
        "told_alike", "wide_tables", "concurrency",
    )),
    "export/test_adopting.py", "export/test_bad_values.py", "export/test_folders.py", "export/test_flyway.py",
    "engine/test_wide_rows.py", "engine/test_digests.py", "test_rehearsal.py", "test_sign_in.py",
)]  # fmt: skip
"""What the common path, the rest of the language and the other journeys do not go through: a third of the time."""

BOTH_LAYOUTS = [TESTS / place for place in ("language", "journeys", "export")]
"""Where each test runs in one database and between two, and takes seconds."""


class Pair(NamedTuple):
    """URLs of a source and a target database, of a superuser; the same URL twice in the layout `one`."""

    source: str
    target: str


class Databases:
    """Makes fresh databases on a server, and drops them all at the end of the test."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._made: list[tuple[Postgres, str]] = []

    def pair(self, layout: Literal["one", "two"] = "two", target: Postgres | None = None) -> Pair:
        """`one`: source and target are the same database; target: another server for the target (layout two)."""
        source = self.fresh()
        return Pair(source, source if layout == "one" else self.fresh(target))

    def fresh(self, server: Postgres | None = None) -> str:
        """The URL of a new, empty database."""
        server, name = server or self.server, f"t_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            # Copying files takes a sixth of the time of the default, which writes every page to the log.
            made = f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy"
            connection.execute(made)
        self._made.append((server, name))
        return server.url(name)

    def drop(self) -> None:
        for server, name in self._made:
            with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._made.clear()


def forget_rows(_: TransactionTestCase) -> None:
    """Empties the control database after a test that committed.

    Django's own way truncates every table, whose files are then made anew, and writes all permissions again:
    half a second for what a few deletes do.
    """
    kept = {"django_content_type", "auth_permission"}
    models = [model._meta for model in apps.get_models(include_auto_created=True)]
    tables = sorted({model.db_table for model in models if model.managed} - kept)
    with control.cursor() as cursor:
        deletes = "; ".join(f'DELETE FROM "{table}"' for table in tables)
        cursor.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; COMMIT")


def pytest_configure(config: pytest.Config) -> None:
    TransactionTestCase._fixture_teardown = forget_rows  # type: ignore[attr-defined]
    config.addinivalue_line("markers", "unit: needs no servers (everything under tests/unit)")
    config.addinivalue_line(
        "markers",
        "thorough: needs no servers but time; run by `make test`, not by `make check`",
    )
    config.addinivalue_line("markers", "bench: the benchmark, not part of `make test`")
    config.addinivalue_line(
        "markers", "long: takes long, and runs by `make long` (LONG, RARE, and one layout of two)"
    )
    config.addinivalue_line("markers", "faults: breaks processes and servers, slow, not part of `make test`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(UNIT):
            item.add_marker("unit")
        if _takes_long(item.path) or _is_the_other_layout(item):
            item.add_marker("long")


@functools.cache
def _takes_long(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in (*LONG, *RARE))


def _is_the_other_layout(item: pytest.Item) -> bool:
    """Whether a test that runs in both layouts runs in one database here; between two is harder, and runs always.

    Of the engine's own tests and of what takes a moment both run always.
    """
    params = (
        item.callspec.params.values()
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else ()
    )
    only = any(
        "two" not in mark.args[1] for mark in item.iter_markers("parametrize") if "one" in mark.args[1]
    )
    return "one" in params and not only and item.path.parent in BOTH_LAYOUTS


@pytest.fixture(scope="session")
def pg18(pytestconfig: pytest.Config) -> Postgres:
    """The PostgreSQL 18 of this test run; the control database of the tests is on it too."""
    return pytestconfig.stash[SERVERS][0]


@pytest.fixture(scope="session")
def valkey(pytestconfig: pytest.Config) -> Valkey:
    return pytestconfig.stash[SERVERS][1]


@pytest.fixture(scope="session")
def pg16(pg18: Postgres) -> Iterator[Postgres]:
    """A PostgreSQL 16, started by the first test that asks for it."""
    server = Postgres(pg18.home, version=16, fast=True)
    server.start()
    yield server
    server.stop("immediate")


@pytest.fixture(scope="session")
def pg15(pg18: Postgres) -> Iterator[Postgres]:
    """Debian's PostgreSQL 15 with citext, hstore, ltree, ICU, started by the first test that asks for it."""
    if not installed():
        pytest.skip(MISSING)
    server = Debian(pg18.home)
    server.start()
    yield server
    server.stop("immediate")


@pytest.fixture
def seated(db: None) -> None:
    """A worker is seated, so that pages do not ask for one."""
    from tests import factories  # needs Django's apps

    factories.make_seat()


@pytest.fixture
def databases(pg18: Postgres) -> Iterator[Databases]:
    """Fresh databases on PostgreSQL 18: `databases.pair("one")`, `databases.pair("two")`."""
    made = Databases(pg18)
    yield made
    made.drop()


@pytest.fixture
def databases16(pg16: Postgres) -> Iterator[Databases]:
    """The same on PostgreSQL 16."""
    made = Databases(pg16)
    yield made
    made.drop()


@pytest.fixture
def databases15(pg15: Postgres) -> Iterator[Databases]:
    """The same on Debian's PostgreSQL 15."""
    made = Databases(pg15)
    yield made
    made.drop()
