"""existing.match over a reference to the same table: a tree is merged level by level, parents first."""

from __future__ import annotations

import re

import pytest

from tests.journeys.world import fresh, work
from tests.language.feature import Feature

SOURCE = """
CREATE TABLE folder (id int PRIMARY KEY, parent int, name text NOT NULL);
CREATE TABLE doc (id int PRIMARY KEY, folder int NOT NULL, title text);
INSERT INTO folder VALUES (9, NULL, 'Home'), (2, 9, 'Reports'), (3, 2, '2024'), (4, 2, '2025'), (5, 9, 'Photos'),
  (1, 5, '2024'), (7, NULL, 'Other'), (8, 7, 'Reports'), (10, 2, '2024');
INSERT INTO doc SELECT id, id, 'd' || id FROM folder;
"""
TARGET = """
CREATE TABLE folder (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint %s REFERENCES folder,
  name text NOT NULL, note text);
CREATE TABLE doc (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, folder bigint NOT NULL REFERENCES folder,
  title text);
INSERT INTO folder (parent, name, note) VALUES (%s, 'Spare', 's'), (%s, 'Home', 'h'), (2, 'Reports', 'r'),
  (3, '2024', 'y');
"""
MAPPING = """
tables:
  - source: old.folder
    target: new.folder
    existing: {match: [%s, name], then: %s}
    link: {source_id: %s}
    columns: {parent: {%s, ref: folder}, name: name}
  - {source: old.doc, target: new.doc, columns: {folder: {from: folder, ref: folder}, title: title}}
"""
TREE = """
WITH RECURSIVE t AS (SELECT id, name AS path FROM folder WHERE parent IS NULL OR parent = id
  UNION ALL SELECT f.id, t.path || '/' || f.name FROM folder f JOIN t ON t.id = f.parent AND f.id <> f.parent) """
FOLDERS = TREE + "SELECT path, note FROM t JOIN folder USING (id) ORDER BY path"
DOCS = TREE + "SELECT title, path FROM t JOIN doc d ON d.folder = t.id ORDER BY d.title"
FOUND: list[tuple[object, ...]] = [
    ("Home", "h"), ("Home/Photos", None), ("Home/Photos/2024", None), ("Home/Reports", "r"),
    ("Home/Reports/2024", "y"), ("Home/Reports/2025", None), ("Other", None), ("Other/Reports", None), ("Spare", "s"),
]  # fmt: skip
FILED: list[tuple[object, ...]] = [
    ("d1", "Home/Photos/2024"), ("d10", "Home/Reports/2024"), ("d2", "Home/Reports"), ("d3", "Home/Reports/2024"),
    ("d4", "Home/Reports/2025"), ("d5", "Home/Photos"), ("d7", "Other"), ("d8", "Other/Reports"), ("d9", "Home"),
]  # fmt: skip
ROOTS = '"coalesce(parent, 0)"'


@pytest.mark.parametrize(("then", "link", "chunk_rows", "counts"), [
    ("keep", "source_table_id", 2, (5, 0, 4, 0)), ("update", "false", 0, (5, 4, 0, 0)),
])  # fmt: skip
def test_rows_are_found_below_where_their_parents_went(
    feature: Feature, then: str, link: str, chunk_rows: int, counts: tuple[int, int, int, int]
) -> None:
    """Also the second of two rows in one place, and parents whose keys are larger than their children's."""
    feature.given(
        SOURCE, TARGET % ("", "NULL", "NULL"), MAPPING % (ROOTS, then, link, "from: parent"), chunk_rows
    )
    feature.check(
        {FOLDERS: FOUND, DOCS: FILED},
        counts={"folder": counts, "doc": (9, 0, 0, 0)},
        again={"folder": (0, 0, 0, 0), "doc": (0, 0, 0, 0)},
    )


def test_rows_of_a_later_run_are_found_below_those_of_an_earlier(feature: Feature) -> None:
    feature.given(
        SOURCE, TARGET % ("", "NULL", "NULL"), MAPPING % (ROOTS, "keep", "source_table_id", "from: parent")
    )
    before = feature.state()
    first = feature.verified()
    feature.source("INSERT INTO old.folder VALUES (0, 11, 'May'), (11, 10, 'Spring'), (12, 9, 'Reports')")
    second = feature.verified()
    spring: list[tuple[object, ...]] = [
        ("Home/Reports/2024/Spring", None),
        ("Home/Reports/2024/Spring/May", None),
    ]
    feature.expect({FOLDERS: [*FOUND[:5], *spring, *FOUND[5:]]})
    feature.source("DELETE FROM old.folder WHERE id IN (0, 11, 12)")
    feature.undo(second, first)
    assert feature.state() == before


@pytest.mark.parametrize(("missing", "expected", "aside"), [
    ("quarantine", FOUND, 2),
    ("null", [*FOUND[:6], ("Lost", None), ("Lost/Deep", None), *FOUND[6:]], 0),
])  # fmt: skip
def test_a_parent_that_is_nowhere(
    feature: Feature, missing: str, expected: list[tuple[object, ...]], aside: int
) -> None:
    """Its children and all below them are set aside, or become roots, by the reference's own policy."""
    mapping = MAPPING % (ROOTS, "keep", "source_table_id", f'from: parent, missing: "{missing}"')
    feature.given(SOURCE, TARGET % ("", "NULL", "NULL"), f"on_error: quarantine{mapping}")
    feature.source("INSERT INTO old.folder VALUES (0, 20, 'Deep'), (20, 99, 'Lost')")
    run = feature.brings({FOLDERS: expected})
    assert run.tables.get(name="folder").quarantined == aside
    feature.undo(run)


def test_a_match_with_null_finds_nothing_and_the_plan_counts_its_rows(feature: Feature) -> None:
    feature.given(
        SOURCE, TARGET % ("", "NULL", "NULL"), MAPPING % ("parent", "keep", "source_table_id", "from: parent")
    )
    text = "2 source rows have NULL in their match, which finds no row that is there: each becomes a new row;"
    assert f"tables[0].existing.match: {text} source rows 7, 9" in feature.warnings()
    feature.brings({"SELECT count(*) FROM folder WHERE name = 'Home'": [(2,)]})


def test_rows_in_a_circle_are_refused(feature: Feature) -> None:
    """Where each waits for the other none is the first; a root that names itself is a circle as well."""
    feature.given(SOURCE, TARGET % ("NOT NULL", "1", "2"), MAPPING % (
        "parent", "keep", "source_table_id", 'expr: "coalesce(parent, id)"'))  # fmt: skip
    assert "9 source rows are in a circle of parents or below one: 1, 10, 2 and 6 more" in feature.blockers()
    mapping = MAPPING % (ROOTS, "keep", "source_table_id", "from: parent")
    feature.define(f"version: 1\nname: feature\n{mapping}")
    feature.target("ALTER TABLE new.folder ALTER parent DROP NOT NULL")
    feature.source("UPDATE old.folder SET parent = 3 WHERE id = 2")
    circle = "tables[0].columns.parent: rows are found in new.folder level by level, parents first, but 4 source rows"
    assert circle in feature.blockers()
    feature.source("UPDATE old.folder SET parent = 9 WHERE id = 2")
    run = feature.start()
    feature.source("UPDATE old.folder SET parent = 3 WHERE id = 2")
    assert re.search("column parent, the folder row [23] was not migrated", work(run).error), fresh(run).error


def test_a_match_over_a_circle_of_tables_is_refused(feature: Feature) -> None:
    feature.given(
        "CREATE TABLE dept (id int PRIMARY KEY, head int); CREATE TABLE staff (id int PRIMARY KEY, dept int);",
        "CREATE TABLE dept (id int PRIMARY KEY, head int); CREATE TABLE staff (id int PRIMARY KEY, dept int);",
        """
tables:
  - source: old.dept
    target: new.dept
    existing: {match: [head], then: keep}
    columns: {id: id, head: {from: head, ref: staff}}
  - {source: old.staff, target: new.staff, columns: {id: id, dept: {from: dept, ref: dept}}}
""",
    )
    text = "tables[0].existing.match[0]: head refers to a table that waits for this one, so it is filled only after"
    assert text in feature.blockers()
