"""on_error: rows that cannot be migrated, which only the database can tell."""

from __future__ import annotations

from jobs.actions import runs
from tests.journeys.world import fresh, work
from tests.language.feature import Feature, Rows, counted

BAD = {
    "cast": ("nr int", "nr: {expr: \"(CASE WHEN id = 5 THEN 'x' ELSE id::text END)::int\"}", "nr", "22P02"),
    "source": ("nr int", 'nr: {expr: "10 / (id - 5)"}', "nr", "22012"),
    "check": ("nr int CONSTRAINT not_five CHECK (nr <> 5)", "nr: id", "nr", "23514"),
    "not null": ("nr int NOT NULL", 'nr: {expr: "nullif(id, 5)"}', "nr", "23502"),
    "unique": ("nr int CONSTRAINT once UNIQUE", 'nr: {expr: "CASE WHEN id = 5 THEN 4 ELSE id END"}', "nr", "23505"),
    "foreign key": ("nr int CONSTRAINT known REFERENCES known DEFERRABLE INITIALLY DEFERRED", "nr: id", "nr", "23503"),
    "exclusion": ("nr int4range, CONSTRAINT apart EXCLUDE USING gist (nr WITH &&)",
                  'nr: {expr: "int4range(id, CASE WHEN id = 4 THEN 6 ELSE id + 1 END)"}', "nr", "23P01"),
    "trigger": ("nr int", "nr: id", "", "P0001"),
    "own trigger": ("nr int", "nr: id", "", "UX001"),
    "not a number": ("nr int", "nr: {expr: \"CASE WHEN id = 5 THEN 'NaN' ELSE id::numeric END::int\"}", "nr", "0A000"),
    "no query": ("nr tsquery", "nr: {expr: \"CASE WHEN id = 5 THEN '(' ELSE 'a' END\"}", "nr", "42601"),
    "too long to index": ("nr text UNIQUE", "nr: hard_to_pack", "nr", "54000"),
    "domain": ("nr small", "nr: id", "nr", "23514"),
    "too long": ("nr varchar(2)", "nr: {expr: \"CASE WHEN id = 5 THEN 'long' ELSE 'ok' END\"}", "nr", "22001"),
    "too large": ("nr smallint", 'nr: {expr: "CASE WHEN id = 5 THEN 70000 ELSE id END"}', "nr", "22003"),
}  # fmt: skip
SOURCE = """
CREATE TABLE item (id int PRIMARY KEY, name text, hard_to_pack text);
INSERT INTO item SELECT n, 'item ' || n, (
  SELECT string_agg(md5(n || '-' || m), '') FROM generate_series(1, CASE n WHEN 5 THEN 200 ELSE 1 END) m)
  FROM generate_series(1, 20) n;
"""


WITH_CHILDREN = ("cast", "unique", "foreign key", "trigger")
"""Refused while the row is read, when it is written, at the end of the transaction, and by no column."""


def test_bad_rows_of_every_kind_are_found_and_set_aside(feature: Feature) -> None:
    """widen: false, so that a value too large is a row error; the child follows, all others arrive."""
    target = """
CREATE TABLE known (nr int PRIMARY KEY); INSERT INTO known SELECT n FROM generate_series(1, 20) n WHERE n <> 5;
CREATE DOMAIN small AS int CHECK (VALUE <> 5);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF NEW.old = 5 THEN RAISE 'not five' USING ERRCODE = TG_ARGV[0]; END IF; RETURN NEW; END $$;"""
    tables, expected = "", []
    for why, (column, mapped, guilty, state) in BAD.items():
        name, part = f"t {why}", f"u {why}"
        target += f"""
CREATE TABLE "{name}" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, old int, {column});"""
        tables += f"""
  - {{name: {name}, source: old.item, target: 'new."{name}"', columns: {{old: id, {mapped}}}}}"""
        expected.append((name, "5", guilty, state, True, "item 5"))
        if why not in WITH_CHILDREN:
            continue
        target += f"""
CREATE TABLE "{part}" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item int NOT NULL REFERENCES "{name}");"""
        tables += f"""
  - {{name: {part}, source: old.item, target: 'new."{part}"', where: "id < 7", columns: {{item: {{from: id,
      ref: {name}}}}}}}"""
        expected.append((part, "5", "item", "MG001", True, "item 5"))
    for name, state in (("t trigger", "P0001"), ("t own trigger", "UX001")):
        target += f"""
CREATE TRIGGER no BEFORE INSERT ON "{name}" FOR EACH ROW EXECUTE FUNCTION refuse('{state}');"""
    feature.given(SOURCE, target, f"on_error: quarantine\nwiden: false\ntables:{tables}")
    rows: dict[str, Rows] = {f'SELECT count(*), sum(old) FROM "t {why}"': [(19, 205)] for why in BAD}
    rows |= {f'SELECT count(*) FROM "u {why}"': [(5,)] for why in WITH_CHILDREN}
    aside = (
        "SELECT table_name, source_key, column_name, sqlstate, message <> '', source_row->>'name'"
        " FROM migrator.quarantine"
    )
    feature.check({**rows, f"{aside} ORDER BY 1": sorted(expected)})


def test_a_bad_row_among_rows_that_are_there_already(feature: Feature) -> None:
    feature.given(SOURCE, """
CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, old int, name text CHECK (name <> 'item 5'));
INSERT INTO item (old, name) VALUES (4, 'four'), (5, 'five');
""", """
on_error: quarantine
tables: [{source: old.item, target: new.item, existing: {match: [old], then: update}, columns: {old: id, name: name}}]
""", chunk_rows=8)  # fmt: skip
    feature.check({"SELECT old, name FROM item WHERE id < 3 ORDER BY id": [(4, "item 4"), (5, "five")]},
                  counts={"item": (18, 1, 0, 1)})  # fmt: skip


def test_too_many_bad_rows_stop_the_run(feature: Feature) -> None:
    feature.given(SOURCE, "CREATE TABLE item (id int PRIMARY KEY CHECK (id % 3 > 0))", """
on_error: quarantine
max_quarantined: 4
tables: [{source: old.item, target: new.item, columns: {id: id}}]
""", chunk_rows=5)  # fmt: skip
    before = feature.state()
    run = feature.run()
    assert run.status == "failed"
    assert run.error.startswith("more than 4 rows cannot be migrated; the last: item: source row")
    feature.undo(run)
    assert feature.state() == before


def test_stop_names_the_first_bad_row(feature: Feature) -> None:
    feature.given(SOURCE, "CREATE TABLE item (id int PRIMARY KEY CONSTRAINT odd CHECK (id <> 9))",
                  "tables: [{source: old.item, target: new.item, columns: {id: id}}]", chunk_rows=5)  # fmt: skip
    before = feature.state()
    run = feature.run()
    assert run.status == "failed"
    assert run.error.startswith("item: source row 9, column id, ") and "23514" in run.error
    feature.target("ALTER TABLE new.item DROP CONSTRAINT odd")
    runs.retry(fresh(run), None)
    run = work(run)
    assert run.status == "verified"
    feature.target("ALTER TABLE new.item ADD CONSTRAINT odd CHECK (id <> 9) NOT VALID")
    feature.undo(run)
    feature.target("ALTER TABLE new.item VALIDATE CONSTRAINT odd")
    assert feature.state() == before


def test_retry_takes_the_rows_whose_cause_is_mended(feature: Feature) -> None:
    feature.given(SOURCE, """
CREATE TABLE item (id int PRIMARY KEY, name text CONSTRAINT no_five CHECK (id NOT IN (5, 6)));
CREATE TABLE part (id serial PRIMARY KEY, item int NOT NULL REFERENCES item);
""", """
on_error: quarantine
tables:
  - {source: old.item, target: new.item, columns: {id: id, name: name}}
  - {name: part, source: old.item, target: new.part, columns: {item: {from: id, ref: item}}}
""", chunk_rows=8)  # fmt: skip
    run = feature.verified()
    assert counted(run) == {"item": (18, 0, 0, 2), "part": (18, 0, 0, 2)}
    feature.target("ALTER TABLE new.item DROP CONSTRAINT no_five, ADD CONSTRAINT no_five CHECK (id <> 6)")
    runs.retry(fresh(run), None)
    run = work(run)
    assert run.status == "verified"
    assert counted(run) == {"item": (19, 0, 0, 1), "part": (19, 0, 0, 1)}
    assert feature.target("SELECT table_name, source_key FROM migrator.quarantine ORDER BY 1") == [
        ("item", "6"),
        ("part", "6"),
    ]
    assert feature.target("SELECT count(*) FROM new.part") == [(19,)]
    feature.undo(run)
    assert feature.target("SELECT (SELECT count(*) FROM new.item), (SELECT count(*) FROM new.part)") == [
        (0, 0)
    ]


def test_a_row_that_cannot_be_read_any_more_is_named_by_the_verification(feature: Feature) -> None:
    """It is in the target and mapped, so it is not set aside, nor by a second start; a retry takes it as it then is."""
    tables = "{source: old.item, target: new.item, columns: {id: id, amount: amount}}"
    feature.given(
        "CREATE TABLE item (id int PRIMARY KEY, amount text);"
        "INSERT INTO item SELECT n, n FROM generate_series(1, 20) n",
        "CREATE TABLE item (id int PRIMARY KEY, amount int)",
        f"on_error: quarantine\ntables: [{tables}]",
        chunk_rows=8,
    )
    first = feature.verified()
    feature.source("UPDATE old.item SET amount = 'many' WHERE id = 7")
    runs.verify(fresh(first), None)
    first, second = work(first), feature.run()
    for run in (first, second):
        named = 'item: source row 7, column amount, invalid input syntax for type integer: "many" (SQLSTATE 22P02)'
        assert (run.status, run.error) == ("failed", named)
    assert feature.target("SELECT amount FROM new.item WHERE id = 7") == [(7,)]
    feature.source("UPDATE old.item SET amount = '7' WHERE id = 7")
    for run in (first, second):
        runs.retry(fresh(run), None)
        assert work(run).status == "verified"
    feature.undo(second, first)
