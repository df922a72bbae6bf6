"""The acceptance helper itself, on tables made by hand: silent about a good migration, loud about a fault."""

from __future__ import annotations

import pytest

from tests.conftest import Databases, Pair
from tests.journeys.acceptance import Promise, broken
from tests.journeys.world import execute

MIGRATED = """
CREATE TABLE old (id integer, name text);
INSERT INTO old SELECT n, 'name ' || n % 4 FROM generate_series(1, 9) n;
CREATE TABLE new (id integer, title text, source_id integer);
INSERT INTO new SELECT id + 100, upper(name), id FROM old WHERE id <> 5;
INSERT INTO new VALUES (1, 'WAS HERE', NULL);
CREATE SCHEMA migrator;
CREATE TABLE migrator.migration_map (mapping text, table_name text, source_key text, target_key text);
INSERT INTO migrator.migration_map SELECT 'm', 't', source_id, id FROM new WHERE source_id IS NOT NULL;
INSERT INTO migrator.migration_map VALUES ('other', 't', '1', '1');
"""

PROMISE = Promise(
    "m",
    "t",
    "SELECT id::text, upper(name) FROM old WHERE id <> 5",
    "SELECT source_id::text, id::text, title FROM new WHERE source_id IS NOT NULL",
)

FAULTS = {
    "a lost row": (
        "DELETE FROM new WHERE source_id = 7",
        ["1 lost: ('7', 'NAME 3')", "1 in the map, but not in the target: ('7', '107')"],
    ),
    "a row and its map row lost": (
        "DELETE FROM new WHERE source_id = 7; DELETE FROM migrator.migration_map WHERE source_key = '7'",
        ["1 lost: ('7', 'NAME 3')"],
    ),
    "a doubled row": (
        "INSERT INTO new SELECT 900, title, source_id FROM new WHERE source_id = 7",
        [
            "1 doubled or not meant: ('7', 'NAME 3')",
            "2 several rows for one source key: ('7',)",
            "1 missing in the map: ('7', '900')",
        ],
    ),
    "a row that was not meant": (
        "INSERT INTO new VALUES (105, 'NAME 1', 5); INSERT INTO migrator.migration_map VALUES ('m', 't', '5', '105')",
        ["1 doubled or not meant: ('5', 'NAME 1')"],
    ),
    "another value": (
        "UPDATE new SET title = 'name 3' WHERE source_id = 7",
        ["1 lost: ('7', 'NAME 3')", "1 doubled or not meant: ('7', 'name 3')"],
    ),
    "a row lacking in the map": (
        "DELETE FROM migrator.migration_map WHERE source_key = '7'",
        ["1 missing in the map: ('7', '107')"],
    ),
    "a map row that points elsewhere": (
        "UPDATE migrator.migration_map SET target_key = '106' WHERE source_key = '7'",
        ["1 missing in the map: ('7', '107')", "1 in the map, but not in the target: ('7', '106')"],
    ),
    "a doubled map row": (
        "INSERT INTO migrator.migration_map VALUES ('m', 't', '7', '107')",
        ["1 in the map, but not in the target: ('7', '107')"],
    ),
}


@pytest.fixture
def migrated(databases: Databases) -> Pair:
    """A database in which everything is as it was promised."""
    pair = databases.pair("one")
    execute(pair.source, MIGRATED)
    return pair


def test_a_good_migration_has_no_complaints(migrated: Pair) -> None:
    assert broken(*migrated, PROMISE) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_named(migrated: Pair, fault: str) -> None:
    statements, complaints = FAULTS[fault]
    execute(migrated.target, statements)
    assert broken(*migrated, PROMISE) == complaints
