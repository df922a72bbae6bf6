"""Exported scripts mean what they say, whatever another user of the database made."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import pgbouncer
from tests.conftest import Databases
from tests.export.twins import SOURCE, TARGET, Twin, likeness
from tests.hostile import lay, maker, robbed, unlay

NOTED = """
CREATE TABLE noted (op text, client bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted SELECT TG_OP, 0; RETURN coalesce(NEW, OLD); END $$;
CREATE TRIGGER first BEFORE INSERT OR UPDATE OR DELETE ON client FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON account DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION note();
"""


def varied(statements: str) -> str:
    """With varchar in the place of text, for which PostgreSQL itself has no operators."""
    return statements.replace(" text", " varchar")


def test_traps_in_a_schema_of_everybody_catch_no_script(databases: Databases, tmp_path: Path) -> None:
    hand, worker = (
        Twin(databases, "one", name).filled(varied(SOURCE), varied(TARGET) + NOTED)
        for name in ("hand", "worker")
    )
    name = maker()
    hand.target(f"ALTER DATABASE {urlsplit(hand.pair.target).path[1:]} SET search_path = new, public")
    lay(hand.pair, name, "new")
    before = hand.state()
    try:
        folder = hand.export(tmp_path / "out", rows=17)
        hand.psql(folder)
        worker.target(f"ALTER DATABASE {urlsplit(worker.pair.target).path[1:]} SET search_path = new, public")
        worker.verified()
        assert likeness(hand) == likeness(worker)
        hand.psql(folder / "undo")
        noted = hand.target("SELECT DISTINCT op FROM new.noted ORDER BY 1")
        assert noted == [("DELETE",), ("INSERT",), ("UPDATE",)]
        hand.target("TRUNCATE new.noted")
        assert hand.state() == before
        assert robbed(hand.pair, name) == []
    finally:
        unlay(hand.pair, name)


@pytest.mark.skipif(not pgbouncer.installed(), reason=pgbouncer.MISSING)
def test_a_script_stops_where_its_settings_do_not_hold(databases: Databases, tmp_path: Path) -> None:
    hand = Twin(databases, "one", "hand").filled(SOURCE, TARGET)
    folder = hand.export(tmp_path / "out")
    (tmp_path / "pool").mkdir()
    first = sorted(folder.glob("*.sql"))[0]
    with pgbouncer.pooled(hand.pair.target, tmp_path / "pool", "transaction", True) as url:
        command = ["psql", "-X", "-q", url]
        held = [
            subprocess.Popen([*command, "-c", "SELECT pg_sleep(1)"], stdout=subprocess.DEVNULL)
            for _ in range(3)
        ]
        assert [process.wait() for process in held] == [0, 0, 0]  # the pool has three sessions to give now
        found = subprocess.run([*command, "-f", str(first)], capture_output=True, text=True, check=False)
    assert found.returncode == 3
    assert "the settings at the top of this script are not in force" in found.stderr
    assert hand.target("SELECT to_regnamespace('migrator')") == [(None,)]
