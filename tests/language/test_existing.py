"""existing: rows that are in the target already are kept or updated, and come back as they were."""

from __future__ import annotations

import pytest

from tests.language.feature import Feature

SOURCE = """
CREATE TABLE customer (id int PRIMARY KEY, code text, name text, mail text);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customer, total numeric(8, 2));
INSERT INTO customer VALUES (1, 'a', 'Ann', 'ANN@x'), (2, 'b', 'Bob', 'bob@x'), (3, 'c', 'Cid', NULL),
  (4, 'a', 'Ann again', 'ann@X'), (5, NULL, 'No code', NULL), (6, NULL, 'None either', NULL);
INSERT INTO orders VALUES (1, 1, 10), (2, 2, 20), (3, 4, 30), (4, 6, 40);
"""
TARGET = """
CREATE TABLE client (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text, name text, mail text, note text);
CREATE TABLE sale (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client bigint NOT NULL REFERENCES client,
  total numeric);
INSERT INTO client (code, name, mail, note) VALUES ('a', 'Anna', 'ann@x', 'first'), ('z', 'Zoe', NULL, 'stays');
"""
MAPPING = """
tables:
  - name: customer
    source: old.customer
    target: new.client
    existing: {match: [%s], then: %s}
    columns: {code: code, name: name, mail: mail}
  - name: orders
    source: old.orders
    target: new.sale
    columns: {client: {from: customer, ref: customer}, total: total}
"""
CLIENTS = "SELECT id, code, name, note, is_migrated FROM client ORDER BY id"
SALES = "SELECT c.id, total::int FROM sale s JOIN client c ON c.id = s.client ORDER BY total"


@pytest.mark.parametrize("chunk_rows", [0, 2])
def test_keep_leaves_the_row_and_children_point_to_it(feature: Feature, chunk_rows: int) -> None:
    feature.given(SOURCE, TARGET, MAPPING % ("code", "keep"), chunk_rows)
    feature.check(
        {"SELECT code, name, note, is_migrated FROM client ORDER BY name": [
            ("a", "Anna", "first", False), ("b", "Bob", None, True), ("c", "Cid", None, True),
            (None, "No code", None, True), (None, "None either", None, True), ("z", "Zoe", "stays", False)],
         "SELECT c.name, total::int FROM sale s JOIN client c ON c.id = s.client ORDER BY total": [
            ("Anna", 10), ("Bob", 20), ("Anna", 30), ("None either", 40)]},
        counts={"customer": (4, 0, 2, 0), "orders": (4, 0, 0, 0)},
        again={"customer": (0, 0, 0, 0), "orders": (0, 0, 0, 0)},
    )  # fmt: skip


@pytest.mark.parametrize("chunk_rows", [0, 2])
def test_update_overwrites_what_is_mapped_and_keeps_the_id(feature: Feature, chunk_rows: int) -> None:
    feature.given(SOURCE, TARGET, MAPPING % ("code", "update"), chunk_rows)
    feature.check(
        {"SELECT id, name, mail, note, is_migrated FROM client WHERE id < 3 ORDER BY id": [
            (1, "Ann again", "ann@X", "first", True), (2, "Zoe", None, "stays", False)],
         "SELECT c.name, total::int FROM sale s JOIN client c ON c.id = s.client ORDER BY total": [
            ("Ann again", 10), ("Bob", 20), ("Ann again", 30), ("None either", 40)]},
        counts={"customer": (4, 2, 0, 0), "orders": (4, 0, 0, 0)},
    )  # fmt: skip


@pytest.mark.parametrize("then", ["keep", "update"])
def test_match_on_an_expression(feature: Feature, then: str) -> None:
    feature.given(SOURCE, TARGET, MAPPING % ('"lower(mail)"', then))
    names = ["Ann again" if then == "update" else "Anna", "Zoe"]
    feature.check(
        {"SELECT name FROM client WHERE id < 3 ORDER BY id": [(name,) for name in names],
         "SELECT count(*) FROM client": [(6,)]},
        counts={"customer": (4, *((2, 0) if then == "update" else (0, 2)), 0), "orders": (4, 0, 0, 0)},
    )  # fmt: skip


def test_match_on_several_columns(feature: Feature) -> None:
    feature.given(SOURCE, TARGET + "INSERT INTO client (code, name) VALUES ('a', 'Ann'), ('b', 'Robert');",
                  MAPPING % ('code, "lower(name)"', "update"))  # fmt: skip
    feature.check(
        {"SELECT id, code, name, mail FROM client WHERE id < 5 ORDER BY id": [
            (1, "a", "Anna", "ann@x"), (2, "z", "Zoe", None), (3, "a", "Ann", "ANN@x"), (4, "b", "Robert", None)]},
        counts={"customer": (5, 1, 0, 0), "orders": (4, 0, 0, 0)},
    )  # fmt: skip


@pytest.mark.parametrize(("feature", "then", "chunk_rows"), [
    ("one", "keep", 0), ("one", "update", 2), ("two", "keep", 2), ("two", "update", 0),
], indirect=["feature"])  # fmt: skip
def test_doubles_in_the_source_make_one_row(feature: Feature, then: str, chunk_rows: int) -> None:
    source = """
CREATE TABLE customer (id int PRIMARY KEY, code text, name text, mail text);
CREATE TABLE orders (id int PRIMARY KEY, customer int, total numeric);
INSERT INTO customer SELECT n, 'c' || n % 3, 'name ' || n FROM generate_series(1, 9) n;
INSERT INTO orders SELECT n, n, n FROM generate_series(1, 9) n;
"""
    feature.given(source, TARGET, MAPPING % ("code", then), chunk_rows)
    last = {"keep": ["name 3", "name 1", "name 2"], "update": ["name 9", "name 7", "name 8"]}[then]
    inserted = (3, 6, 0, 0) if then == "update" else (3, 0, 6, 0)
    feature.check(
        {"SELECT code, name FROM client WHERE code LIKE 'c%' ORDER BY code":
            [(f"c{n}", name) for n, name in enumerate(last)],
         "SELECT c.code, s.total::int FROM sale s JOIN client c ON c.id = s.client ORDER BY total":
            [(f"c{n % 3}", n) for n in range(1, 10)]},
        counts={"customer": inserted, "orders": (9, 0, 0, 0)},
    )  # fmt: skip


def test_before_images_restore_byte_for_byte(feature: Feature) -> None:
    source = "CREATE TABLE item (id int PRIMARY KEY, code int); INSERT INTO item VALUES (1, 1), (2, 2);"
    columns = (
        "f float8, r real, n numeric, j json, b jsonb, y bytea, t text, a text[], m int[], d"
        ' interval, at timestamptz, c char(5), p point, bp bpchar, ba bpchar[], bd padded, q "char"'
    )
    target = f"""
CREATE DOMAIN padded AS bpchar;
CREATE TABLE thing (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code int UNIQUE, {columns});
INSERT INTO thing (code, {", ".join(c.split()[0] for c in columns.split(", "))}) VALUES
  (1, 0.1::float8 + 0.2::float8, 1e-37, 1.1000, '{{"b" : 1,  "b":2}}', '{{"n": 1.00}}', '\\x00ff5c',
  E'a\\tb\\\\ "c" '';', '[2:3]={{NULL,"a,b"}}',
   '{{}}', '1 mon -30 days', 'infinity', 'ab', '(0.1,-0)', 'ab  ', '{{{{"c ",d}}}}', 'e ', 'x'),
  (2, 'NaN', '-0', 'NaN', NULL, NULL, '', '', NULL, '{{{{1}},{{2}}}}', NULL, '0001-01-01 BC', NULL, NULL,
   ' ', '{{}}', NULL, '');
"""
    feature.given(source, target, """
tables:
  - source: old.item
    target: new.thing
    existing: {match: [code], then: update}
    columns:
      code: code
      f: {value: 1.5}
      r: {value: 2.5}
      n: {value: 7}
      j: {value: {x: 1}}
      b: {value: {x: 1}}
      y: {value: bytes}
      t: {value: text}
      a: {value: [x]}
      m: {value: [1]}
      d: {value: 1 day}
      at: {value: "2024-01-01 00:00Z"}
      c: {value: xyz}
      p: {value: "(1,1)"}
      bp: {value: b}
      ba: {value: [b]}
      bd: {value: b}
      q: {value: q}
""")  # fmt: skip
    feature.check(
        {"SELECT id, f, t, a FROM thing ORDER BY id": [(1, 1.5, "text", ["x"]), (2, 1.5, "text", ["x"])]},
        counts={"item": (0, 2, 0, 0)},
    )


def test_a_row_of_an_earlier_run_counts_as_existing_too(feature: Feature) -> None:
    feature.given(SOURCE, TARGET, MAPPING % ("code", "update"))
    before = feature.state()
    first = feature.verified()
    feature.source("INSERT INTO old.customer VALUES (7, 'b', 'Bobby', 'b@b'), (8, 'n', 'New', NULL)")
    second = feature.verified()
    names = "SELECT name FROM client WHERE code IN ('b', 'n') ORDER BY 1"
    feature.expect({names: [("Bobby",), ("New",)]})
    assert feature.rolled_back(second).status == "rolled_back"
    feature.expect({names: [("Bob",)]})
    feature.source("DELETE FROM old.customer WHERE id > 6")
    feature.undo(first)
    assert feature.state() == before


def test_update_of_a_changed_source_row_is_not_repeated(feature: Feature) -> None:
    """A row that is mapped stays mapped: a change in the source is a difference that verification reports."""
    feature.given(SOURCE, TARGET, MAPPING % ("code", "update"))
    feature.verified()
    feature.source("UPDATE old.customer SET name = 'Roberto' WHERE id = 2")
    run = feature.run()
    assert run.status == "mismatch"
    assert [table.different for table in run.tables.all()] == [1, 0]


def test_an_updated_child_may_point_to_a_new_parent(feature: Feature) -> None:
    """The rollback restores the child before it takes the parent."""
    feature.given(SOURCE, TARGET + """
ALTER TABLE sale ADD code int UNIQUE; INSERT INTO sale (client, total, code) VALUES (2, 99, 2);
""", """
tables:
  - {name: customer, source: old.customer, target: new.client, columns: {code: code, name: name, mail: mail}}
  - name: orders
    source: old.orders
    target: new.sale
    existing: {match: [code], then: update}
    columns: {code: id, client: {from: customer, ref: customer}, total: total}
""")  # fmt: skip
    feature.check(
        {"SELECT s.id = 1, c.name, total::int FROM sale s JOIN client c ON c.id = s.client ORDER BY s.code": [
            (False, "Ann", 10), (True, "Bob", 20), (False, "Ann again", 30), (False, "None either", 40)]},
        counts={"customer": (6, 0, 0, 0), "orders": (3, 1, 0, 0)},
    )  # fmt: skip
