"""A disk that is really full, a server that takes no more connections: paused with the reason, resumed by hand."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from jobs import actions
from migrator_site.embedded import Postgres
from tests.conftest import Pair
from tests.journeys.stock import MAPPING, PROMISE, SOURCE, TARGET, open_stock
from tests.journeys.world import NewWorld, World, execute, fresh, work

BALLAST_LEAVES = 1_000_000


@pytest.fixture
def small_disk(pg18: Postgres) -> Iterator[Path]:
    """A file system of 8 MB, on which the server has the tablespace `small`; all but 1 MB of it is taken."""
    disk = pg18.place / "small"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        space = disk / "space"
        space.mkdir(mode=0o700)
        pg18.account.owns(space)
        execute(pg18.url("postgres"), f"CREATE TABLESPACE small LOCATION '{space}'")
        (disk / "ballast").write_bytes(bytes(8 * 2**20 - BALLAST_LEAVES))
        yield disk
        execute(pg18.url("postgres"), "DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.faults
def test_a_full_disk_pauses_the_run_until_there_is_room(new_world: NewWorld, small_disk: Path) -> None:
    stock = open_stock(new_world("two"))
    stock.target("ALTER TABLE thing SET TABLESPACE small")
    run = stock.started()
    assert run.status == "paused"
    assert "No space left on device" in run.error
    assert "(SQLSTATE 53100)" in run.error
    actions.resume(run, None)
    assert work(run).status == "paused"
    (small_disk / "ballast").unlink()
    actions.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert stock.complaints() == []
    stock.target("DROP TABLE thing")


@pytest.fixture
def small_role(new_world: NewWorld, pg18: Postgres) -> Iterator[World]:
    """The stock, reached by a role that owns the target and whose connections can be limited."""
    stock = new_world("two")
    parts = urlsplit(stock.pair.target)
    role, target = f"mover_{parts.path[1:]}", parts.path[1:]
    stock.target(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'; ALTER DATABASE {target} OWNER TO {role}")
    url = urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.hostname}:{parts.port}"))
    execute(url, TARGET)
    stock.pair = Pair(stock.pair.source, url)
    stock.environment.target_url = url
    stock.environment.save()
    yield stock
    execute(pg18.url("postgres"), f"DROP DATABASE {target} WITH (FORCE)")
    execute(pg18.url("postgres"), f"DROP ROLE {role}")


def test_too_many_connections_pause_the_run_until_there_are_some(small_role: World, pg18: Postgres) -> None:
    stock = small_role
    stock.source(SOURCE % 500)
    stock.define(MAPPING, PROMISE)
    limit = f"ALTER ROLE {urlsplit(stock.pair.target).username} CONNECTION LIMIT"
    run = stock.start()
    execute(pg18.url("postgres"), f"{limit} 0")
    assert work(run).status == "paused"
    assert "no free connection left" in fresh(run).error
    execute(pg18.url("postgres"), f"{limit} -1")
    actions.resume(fresh(run), None)
    assert work(run).status == "verified"
    assert stock.complaints() == []
