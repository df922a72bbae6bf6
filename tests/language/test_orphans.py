"""References that are filled after the copy, and whose parent was not migrated: `missing` holds for them as well."""

from __future__ import annotations

from jobs.actions import runs
from tests.journeys.world import fresh, said, work
from tests.language.feature import Feature, Rows, counted

EMP = """
CREATE TABLE emp (id int PRIMARY KEY, name text, boss int);
INSERT INTO emp VALUES (1, 'a', NULL), (2, 'BAD', 1), (3, 'c', 2), (4, 'd', 3), (5, 'e', 1), (6, 'f', 99);
"""
STAFF = """
CREATE TABLE staff (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text CONSTRAINT good CHECK (name <> 'BAD'), boss bigint REFERENCES staff);
"""
MAPPING = """
tables:
  - {source: old.emp, target: new.staff, %s columns: {name: name, boss: {from: boss, ref: emp%s}}}
"""
QUARANTINE = "on_error: quarantine" + MAPPING
SHOWN = "SELECT s.name, b.name FROM staff s LEFT JOIN staff b ON b.id = s.boss ORDER BY 1"
ASIDE = "SELECT source_key, column_name, sqlstate, source_row->>'name' FROM migrator.quarantine ORDER BY 1"
FOUR: Rows = [("2", "name", "23514", "BAD"), ("3", "boss", "MG001", "c"), ("4", "boss", "MG001", "d"),
              ("6", "boss", "MG001", "f")]  # fmt: skip
LINKS = {"back": "backref: new_id", "ids": "map: false", "map": "source_id: false", "usual": ""}


def test_rows_whose_parent_was_not_migrated_are_set_aside_with_their_children(feature: Feature) -> None:
    tables = "".join(f"""
  - {{name: {case}, source: old.{case}, target: new.{case}, link: {{{link}}},
      columns: {{name: name, boss: {{from: boss, ref: {case}}}}}}}""" for case, link in LINKS.items())  # fmt: skip
    feature.given(
        "".join(EMP.replace("emp", case) for case in LINKS), "".join(STAFF.replace("staff", case) for case in LINKS),
        f"on_error: quarantine\ntables:{tables}", chunk_rows=2,
    )  # fmt: skip
    aside = (
        "SELECT table_name, string_agg(concat_ws(' ', source_key, column_name, sqlstate, source_row->>'name'), ', '"
        " ORDER BY source_key), max(message) FILTER (WHERE source_key = '4') FROM migrator.quarantine GROUP BY 1"
        " ORDER BY 1"
    )
    counts = (
        "SELECT table_name, sum(inserted), sum(quarantined) FROM migrator.ledger WHERE phase IN ('copy', 'prune')"
        " AND run = (SELECT min(run) FROM migrator.ledger) GROUP BY 1 ORDER BY 1"
    )
    four = ", ".join(" ".join(map(str, row)) for row in FOUR)
    expected: dict[str, Rows] = {SHOWN.replace("staff", case): [("a", None), ("e", "a")] for case in LINKS}
    expected[aside] = [(case, four, f"the {case} row 3 was not migrated") for case in LINKS]
    expected[counts] = [(case, 2, 4) for case in LINKS]
    run = feature.check(
        expected, counts=dict.fromkeys(LINKS, (2, 0, 0, 4)), again=dict.fromkeys(LINKS, (0, 0, 0, 4))
    )
    assert feature.source("SELECT id FROM old.back WHERE new_id IS NOT NULL ORDER BY id") == [(1,), (5,)]
    assert any(text.startswith("Set aside after the copy") and "3 of back" in text for text in said(run))


def test_a_circle_and_what_hangs_on_it(feature: Feature) -> None:
    """D1's head is BAD; so D1 goes, with it Ann, whom D2 has as its head; what was copied below them follows."""
    feature.given("""
CREATE TABLE dept (land text, nr int, name text, head int, PRIMARY KEY (land, nr));
CREATE TABLE staff (id int PRIMARY KEY, name text, land text, nr int);
CREATE TABLE item (what text, staff int);
INSERT INTO dept VALUES ('it', 1, 'D1', 2), ('it', 2, 'D2', 1), ('no', 1, 'D3', NULL), ('no', 2, 'D4', 4);
INSERT INTO staff VALUES (1, 'Ann', 'it', 1), (2, 'BAD', 'it', 1), (3, 'Cid', 'no', 1), (4, 'Dan', 'no', 2);
INSERT INTO item VALUES ('pen', 1), ('pen', 1), ('pen', 4), ('cup', NULL);
""", """
CREATE TABLE dept (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, head int);
CREATE TABLE staff (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text CHECK (name <> 'BAD'),
  dept int NOT NULL REFERENCES dept);
ALTER TABLE dept ADD FOREIGN KEY (head) REFERENCES staff;
CREATE TABLE item (what text, staff int REFERENCES staff);
CREATE TABLE loose (what text, staff int REFERENCES staff);
CREATE TABLE fixed (what text, staff int NOT NULL REFERENCES staff);
""", """
on_error: quarantine
tables:
  - {source: old.dept, target: new.dept, columns: {name: name, head: {from: head, ref: staff}}}
  - {source: old.staff, target: new.staff, columns: {name: name, dept: {from: [land, nr], ref: dept}}}
  - {source: old.item, key: content, target: new.item, columns: {what: what, staff: {from: staff, ref: staff}}}
  - {name: loose, source: old.item, key: content, target: new.loose,
      columns: {what: what, staff: {from: staff, ref: staff, missing: "null"}}}
  - {name: fixed, source: old.item, key: content, where: staff IS NOT NULL, target: new.fixed,
      columns: {what: what, staff: {from: staff, ref: staff, missing: "null"}}}
""")  # fmt: skip
    items = "SELECT what, s.name FROM item LEFT JOIN staff s ON s.id = staff ORDER BY 1, 2"
    feature.check(
        {"SELECT d.name, s.name FROM dept d LEFT JOIN staff s ON s.id = head ORDER BY 1": [("D3", None), ("D4", "Dan")],
         "SELECT name FROM staff ORDER BY 1": [("Cid",), ("Dan",)],
         items: [("cup", None), ("pen", "Dan")],
         items.replace("item", "loose"): [("cup", None), ("pen", "Dan"), ("pen", None), ("pen", None)],
         items.replace("item", "fixed"): [("pen", "Dan")],
         "SELECT table_name, source_key, column_name, sqlstate FROM migrator.quarantine WHERE table_name IN"
         " ('dept', 'staff') ORDER BY 1, 2": [
            ("dept", '["it", "1"]', "head", "MG001"), ("dept", '["it", "2"]', "head", "MG001"),
            ("staff", "1", "dept", "MG001"), ("staff", "2", "name", "23514")],
         "SELECT table_name, sqlstate, count(*) FROM migrator.quarantine WHERE table_name IN ('item', 'fixed')"
         " GROUP BY 1, 2 ORDER BY 1": [("fixed", "23502", 2), ("item", "MG001", 2)]},
        counts={"dept": (2, 0, 0, 2), "staff": (2, 0, 0, 2), "item": (2, 0, 0, 2), "loose": (4, 0, 0, 0),
                "fixed": (1, 0, 0, 2)},
    )  # fmt: skip


def test_missing_null_and_stop(feature: Feature) -> None:
    feature.given(EMP, STAFF, QUARANTINE % ("", ', missing: "null"'))
    feature.check(
        {SHOWN: [("a", None), ("c", None), ("d", "c"), ("e", "a"), ("f", None)], ASIDE: FOUR[:1]},
        counts={"emp": (5, 0, 0, 1)},
    )
    feature.undo(*feature.mapping.runs.filter(status="verified"))
    before = feature.state()
    feature.define(f"version: 1\nname: feature\n{QUARANTINE % ('', ', missing: stop')}")
    run = feature.run()
    assert (run.status, run.error) == (
        "failed", "emp: source row 3, column boss, the emp row 2 was not migrated (SQLSTATE MG001)",
    )  # fmt: skip
    feature.undo(run)
    assert feature.state() == before


def test_a_child_that_stops_the_run_keeps_everything_where_it_was(feature: Feature) -> None:
    feature.given(EMP, STAFF + "CREATE TABLE desk (id int PRIMARY KEY, staff bigint REFERENCES staff)", f"""
{QUARANTINE % ("", "")}
  - {{name: desk, source: old.emp, where: "id IN (1, 4)", target: new.desk,
      columns: {{id: id, staff: {{from: id, ref: emp, missing: stop}}}}}}
""")  # fmt: skip
    before = feature.state()
    run = feature.run()
    assert (run.status, run.error) == (
        "failed", "desk: source row 4, column staff, the emp row 4 was not migrated (SQLSTATE MG001)",
    )  # fmt: skip
    assert feature.target("SELECT count(*) FROM new.staff") == [(5,)]
    feature.undo(run)
    assert feature.state() == before


def test_too_many_orphans_stop_the_run(feature: Feature) -> None:
    feature.given(EMP, STAFF, "max_quarantined: 3\n" + QUARANTINE % ("", ""))
    before = feature.state()
    run = feature.run()
    assert run.status == "failed"
    assert run.error.startswith("more than 3 rows cannot be migrated; the last: emp: source row")
    feature.undo(run)
    assert feature.state() == before


def test_retry_and_later_runs_bring_what_was_set_aside_once_its_parent_is_in(feature: Feature) -> None:
    feature.given(EMP, STAFF, QUARANTINE % ("", ""), chunk_rows=2)
    before = feature.state()
    first = feature.verified()
    runs.retry(fresh(first), None)
    first = work(first)
    assert (first.status, counted(first)) == ("verified", {"emp": (2, 0, 0, 4)})
    feature.expect({ASIDE: FOUR})
    feature.source("INSERT INTO old.emp VALUES (99, 'late', NULL)")
    second = feature.verified()
    assert counted(second) == {"emp": (2, 0, 0, 3)}
    feature.expect({SHOWN: [("a", None), ("e", "a"), ("f", "late"), ("late", None)], ASIDE: FOUR[:3]})
    feature.target("ALTER TABLE new.staff DROP CONSTRAINT good")
    runs.retry(fresh(second), None)
    second = work(second)
    assert (second.status, counted(second)) == ("verified", {"emp": (5, 0, 0, 0)})
    feature.expect({
        SHOWN: [("BAD", "a"), ("a", None), ("c", "BAD"), ("d", "c"), ("e", "a"), ("f", "late"), ("late", None)],
        ASIDE: [],
    })  # fmt: skip
    assert feature.rolled_back(second).status == "rolled_back"
    feature.expect({SHOWN: [("a", None), ("e", "a")], ASIDE: FOUR})
    feature.target("ALTER TABLE new.staff ADD CONSTRAINT good CHECK (name <> 'BAD')")
    feature.source("DELETE FROM old.emp WHERE id = 99")
    feature.undo(first)
    assert feature.state() == before


EXISTING = "INSERT INTO staff (name, boss) OVERRIDING SYSTEM VALUE VALUES ('c', NULL), ('x', NULL), ('d', 2);"


def test_rows_that_were_there_are_as_they_were(feature: Feature) -> None:
    """c was there and is set aside; g is a new row for two source rows, of which one has no parent."""
    feature.given(EMP + "INSERT INTO emp VALUES (7, 'g', 2), (8, 'g', 1), (9, 'x', 1)", STAFF + EXISTING, """
on_error: quarantine
tables:
  - {name: emp, source: old.emp, target: new.staff, existing: {match: [name], then: update},
      columns: {name: name, boss: {from: boss, ref: emp}}}
""")  # fmt: skip
    feature.check(
        {SHOWN: [("a", None), ("c", None), ("d", "x"), ("e", "a"), ("x", "a")],
         "SELECT source_key, column_name FROM migrator.quarantine ORDER BY 1": [
            ("2", "name"), ("3", "boss"), ("4", "boss"), ("6", "boss"), ("7", "boss"), ("8", "boss")],
         "SELECT message FROM migrator.quarantine WHERE source_key = '8'": [
            ("its target row came with the emp row 7, which was set aside",)]},
        counts={"emp": (2, 1, 0, 6)},
    )  # fmt: skip


def test_kept_rows_stay_and_are_not_mapped(feature: Feature) -> None:
    feature.given(EMP, STAFF + EXISTING, QUARANTINE % ("existing: {match: [name], then: keep},", ""))
    feature.check(
        {SHOWN: [("a", None), ("c", None), ("d", "x"), ("e", "a"), ("x", None)], ASIDE: FOUR},
        counts={"emp": (2, 0, 0, 4)},
    )


def test_what_others_hung_on_such_a_row_is_not_taken_with_it(feature: Feature) -> None:
    feature.given(EMP, STAFF + """
CREATE TABLE note (staff bigint REFERENCES staff ON DELETE CASCADE);
CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO new.note VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER hang AFTER INSERT ON staff FOR EACH ROW WHEN (NEW.name = 'd') EXECUTE FUNCTION hang();
""", QUARANTINE % ("", ""))  # fmt: skip
    run = feature.run()
    assert run.status == "failed"
    assert run.error.startswith("emp: 1 rows of new.note point to rows that have to be set aside")
    feature.target("DELETE FROM new.note")
    runs.retry(fresh(run), None)
    run = work(run)
    assert (run.status, counted(run)) == ("verified", {"emp": (2, 0, 0, 4)})
