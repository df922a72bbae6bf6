"""ref to the same table, and circles of tables."""

from __future__ import annotations

import pytest

from tests.language.feature import Feature

NODES = """
CREATE TABLE node (id int PRIMARY KEY, parent int, name text);
INSERT INTO node VALUES (1, 5, 'a'), (2, NULL, 'root'), (3, 3, 'own'), (5, 2, 'b'), (9, 1, 'c'), (4, 9, 'd');
"""
SHOWN = "SELECT n.name, p.name FROM node n LEFT JOIN node p ON p.id = n.parent ORDER BY 1"
LINKS = ["source_id: false", "map: false", "map: true"]
KEYS = {
    "always": "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "uuid": "id uuid DEFAULT gen_random_uuid() PRIMARY KEY",
    "serial": "id serial PRIMARY KEY",
}


@pytest.mark.parametrize(("feature", "link", "chunk_rows"), [
    ("one", LINKS[0], 0), ("one", LINKS[1], 2), ("one", LINKS[2], 2),
    ("two", LINKS[0], 2), ("two", LINKS[1], 0), ("two", LINKS[2], 2),
], indirect=["feature"])  # fmt: skip
def test_rows_in_any_order_point_to_each_other(feature: Feature, link: str, chunk_rows: int) -> None:
    target = (
        "CREATE TABLE node (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint"
        " REFERENCES node, name text)"
    )
    feature.given(NODES, target, f"""
tables:
  - {{source: old.node, target: new.node, link: {{{link}}}, columns: {{name: name, parent: {{from: parent,
      ref: node}}}}}}
""", chunk_rows)  # fmt: skip
    feature.check(
        {SHOWN: [("a", "b"), ("b", "root"), ("c", "a"), ("d", "c"), ("own", "own"), ("root", None)]}
    )


def test_a_not_null_reference_to_rows_with_new_keys(feature: Feature) -> None:
    """Neither deferrable nor nullable: parents and children must go in together, roots point to themselves."""
    cases = {f"{kind}_{place}": (kind, link) for kind in KEYS for place, link in enumerate(LINKS)}
    target, tables = "", ""
    for case, (kind, link) in cases.items():
        column = "uuid" if kind == "uuid" else "bigint"
        target += (
            f"CREATE TABLE {case} ({KEYS[kind]}, parent {column} NOT NULL REFERENCES {case}, name text);"
        )
        tables += f"""
  - {{name: {case}, source: old.node, target: new.{case}, link: {{{link}}},
      columns: {{name: name, parent: {{expr: "coalesce(parent, id)", ref: {case}}}}}}}"""
    feature.given(NODES, target, f"tables:{tables}")
    expected = [("a", "b"), ("b", "root"), ("c", "a"), ("d", "c"), ("own", "own"), ("root", "root")]
    feature.check({SHOWN.replace("node", case): expected for case in cases})


@pytest.mark.parametrize("not_null", ["", "NOT NULL"])
def test_a_deep_chain_in_reverse(feature: Feature, not_null: str) -> None:
    """2,000 rows, each of which points to the next."""
    feature.given("""
CREATE TABLE node (id int PRIMARY KEY, parent int, name text);
INSERT INTO node SELECT n, least(n + 1, 2000), n::text FROM generate_series(1, 2000) n;
""", f"CREATE TABLE node (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent int {not_null} REFERENCES node,"
    " name text)", """
tables: [{source: old.node, target: new.node, columns: {name: name, parent: {from: parent, ref: node}}}]
""", chunk_rows=500)  # fmt: skip
    deep = """WITH RECURSIVE up AS (SELECT id, parent, 1 AS depth FROM node WHERE name = '1'
      UNION ALL SELECT n.id, n.parent, depth + 1 FROM up JOIN node n ON n.id = up.parent WHERE n.id <> up.id)
    SELECT max(depth) FROM up"""
    feature.check({deep: [(2000,)]})


def test_a_self_reference_by_a_composite_key_to_a_copied_key(feature: Feature) -> None:
    feature.given("""
CREATE TABLE node (land text, nr int, up_land text, up_nr int, name text, PRIMARY KEY (land, nr));
INSERT INTO node VALUES ('a', 1, 'b', 1, 'kid'), ('b', 1, NULL, NULL, 'top'), ('b', 2, 'a', 1, 'grandkid');
""", "CREATE TABLE node (id text PRIMARY KEY, parent text REFERENCES node, name text)", """
tables:
  - source: old.node
    target: new.node
    columns: {id: {expr: "land || nr"}, name: name, parent: {from: [up_land, up_nr], ref: node}}
""")  # fmt: skip
    feature.check({SHOWN: [("grandkid", "kid"), ("kid", "top"), ("top", None)]})


@pytest.mark.parametrize("not_null", ["", "NOT NULL"])
def test_rows_of_a_later_run_find_parents_of_an_earlier(feature: Feature, not_null: str) -> None:
    feature.given(NODES, f"CREATE TABLE node (id serial PRIMARY KEY, parent int {not_null} REFERENCES"
                         f" node, name text)", """
tables: [{source: old.node, target: new.node, columns: {name: name, parent: {expr: "coalesce(parent, id)", ref: node}}}]
""")  # fmt: skip
    before = feature.state()
    first = feature.verified()
    feature.source("INSERT INTO old.node VALUES (0, 10, 'y'), (10, 1, 'x')")
    second = feature.verified()
    feature.expect({SHOWN: [("a", "b"), ("b", "root"), ("c", "a"), ("d", "c"), ("own", "own"), ("root", "root"),
                            ("x", "a"), ("y", "x")]})  # fmt: skip
    feature.source("DELETE FROM old.node WHERE id IN (0, 10)")
    feature.undo(second, first)
    assert feature.state() == before


CIRCLE = """
CREATE TABLE dept (id int PRIMARY KEY, name text, head int);
CREATE TABLE staff (id int PRIMARY KEY, name text, dept int);
INSERT INTO dept VALUES (1, 'D1', 2), (2, 'D2', 1), (3, 'D3', NULL);
INSERT INTO staff VALUES (1, 'Ann', 1), (2, 'Bob', 1), (3, 'Cid', 3);
"""
CIRCLE_MAPPING = """
tables:
  - {source: old.dept, target: new.dept, link: {%s}, columns: {name: name, head: {from: head, ref: staff}}}
  - {source: old.staff, target: new.staff, link: {%s}, columns: {name: name, dept: {from: dept, ref: dept}}}
"""


@pytest.mark.parametrize("link", LINKS)
def test_a_circle_of_two_tables_with_a_nullable_side(feature: Feature, link: str) -> None:
    feature.given(CIRCLE, """
CREATE TABLE dept (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, head int);
CREATE TABLE staff (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, name text, dept int NOT NULL REFERENCES dept);
ALTER TABLE dept DROP head, ADD head uuid REFERENCES staff;
""", CIRCLE_MAPPING % (link, link))  # fmt: skip
    feature.check({
        "SELECT d.name, s.name FROM dept d LEFT JOIN staff s ON s.id = head ORDER BY 1":
            [("D1", "Bob"), ("D2", "Ann"), ("D3", None)],
        "SELECT s.name, d.name FROM staff s JOIN dept d ON d.id = dept ORDER BY 1":
            [("Ann", "D1"), ("Bob", "D1"), ("Cid", "D3")]})  # fmt: skip


def test_a_circle_that_no_null_breaks_is_refused(feature: Feature) -> None:
    feature.given(CIRCLE, """
CREATE TABLE dept (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, head int NOT NULL);
CREATE TABLE staff (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, dept int NOT NULL);
""", CIRCLE_MAPPING % ("", ""))  # fmt: skip
    assert "these tables wait for each other" in feature.blockers()
