"""Files for Flyway: named by its rules, executed as it would, in the order of their versions, and undone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.export.conftest import Twins
from tests.export.twins import Twin, likeness

NAME = re.compile(r"([VU])(\d+(?:\.\d+)*)__(\w+)\.sql")
"""Flyway: prefix, version, separator, description, suffix."""


def version(path: Path) -> list[int]:
    found = NAME.fullmatch(path.name)
    assert found, path.name
    return [int(part) for part in found[2].split(".")]


def migrate(twin: Twin, folder: Path, prefix: str = "V", *, back: bool = False) -> None:
    """What Flyway does: each file in a transaction, unless its .conf says that it must be in none."""
    found = sorted(folder.rglob(f"{prefix}*.sql"), key=version, reverse=back)
    assert found
    if not back:
        assert found == sorted(folder.glob("V*.sql"))
    for path in found:
        assert not re.search(r"^\\", path.read_text(), flags=re.MULTILINE), "psql's commands are not SQL"
        conf = path.with_name(f"{path.name}.conf")
        alone = conf.exists() and "executeInTransaction=false" in conf.read_text()
        done = twin.try_psql(path, options=["-v", "ON_ERROR_STOP=1", *([] if alone else ["-1"])])
        assert done.returncode == 0, f"{path.name}: {done.stderr}"


def test_it_ends_in_what_a_worker_makes_and_back(twins: Twins, tmp_path: Path) -> None:
    hand, worker = twins
    before = hand.state()
    folder = hand.export(tmp_path / "out", "flyway", rows=50)
    hand.psql(folder / "by_psql/1_before")
    migrate(hand, folder)
    hand.psql(folder / "by_psql/2_after")
    worker.verified()
    assert likeness(hand) == likeness(worker)
    hand.psql(folder / "by_psql/3_before_undo")
    migrate(hand, folder, "U", back=True)
    assert hand.state() == before


@pytest.mark.parametrize("twins", ["one"], indirect=True)
def test_what_cannot_be_in_a_transaction_says_so(twins: Twins, tmp_path: Path) -> None:
    hand = twins.hand
    hand.target("INSERT INTO new.remark SELECT -n FROM generate_series(1, 20000) n; ANALYZE new.remark")
    folder = hand.export(tmp_path / "out", "flyway")
    (index,) = folder.glob("V*add_index_remark*.sql")
    assert "CREATE UNIQUE INDEX CONCURRENTLY" in index.read_text()
    for path in folder.rglob("[VU]*.sql"):
        needs = re.search(r"^COMMIT;|CONCURRENTLY", path.read_text(), flags=re.MULTILINE)
        assert path.with_name(f"{path.name}.conf").exists() or not needs, path.name
    versions = [version(path) for path in folder.glob("V*.sql")]
    assert len({tuple(found) for found in versions}) == len(versions)
    assert sorted(versions) == sorted(version(path) for path in folder.glob("undo/U*.sql"))
    migrate(hand, folder)
    assert ("index", "new.remark") in [row[:2] for row in hand.shape_of_both()[1]]
