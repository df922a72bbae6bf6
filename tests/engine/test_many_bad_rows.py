"""Many bad rows: each is found and named, and no row is read again for each of them."""

from __future__ import annotations

import pytest

from jobs.engine.moving import bad_rows
from jobs.engine.target import analyze
from jobs.engine.target.ledger import Done
from tests.engine.rig import Rig, Rows

ROWS, SPREAD = 2_000, 50
BAD = ROWS // SPREAD
SEVENTH = f"n % {SPREAD} = 7"
AMOUNT = "amount: amount"
KINDS = {  # the source's amount over n, the target's column, the mapping of it, the SQLSTATE, the column to blame
    "read by the copy": (f"CASE WHEN {SEVENTH} THEN 'many' ELSE n::text END", "integer", AMOUNT, "22P02", "amount"),
    "read by an expression": (f"CASE WHEN {SEVENTH} THEN '1-' ELSE n::text END", "integer",
                              'amount: {expr: "trim(amount)::int"}', "22P02", "amount"),
    "a check": ("n::text", f"integer CHECK (amount % {SPREAD} <> 7)", AMOUNT, "23514", "amount"),
    "a domain": ("n::text", "wholesome", AMOUNT, "23514", "amount"),
    "not null": (f"CASE WHEN NOT {SEVENTH} THEN n::text END", "integer NOT NULL", AMOUNT, "23502", "amount"),
    "too long": (f"CASE WHEN {SEVENTH} THEN 'a long word' ELSE n::text END", "varchar(8)", AMOUNT, "22001", "amount"),
    "too large": (f"CASE WHEN {SEVENTH} THEN '12345.6' ELSE n::text END", "numeric(6, 2)", AMOUNT, "22003", "amount"),
    "twice": (f"CASE WHEN {SEVENTH} THEN (n - 1)::text ELSE n::text END", "integer UNIQUE", AMOUNT, "23505", "amount"),
    "twice as an expression has it": (f"CASE WHEN {SEVENTH} THEN 'N' || n - 1 ELSE 'n' || n END", "text", AMOUNT,
                                      "23505", "thing_lower_idx"),
    "no such row": (f"CASE WHEN {SEVENTH} THEN '0' ELSE n::text END", "integer REFERENCES known", AMOUNT, "23503",
                    "amount"),
    "a trigger": ("n::text", "integer", AMOUNT, "P0001", ""),
    "a trigger after the row": ("n::text", "integer", AMOUNT, "P0001", ""),
}  # fmt: skip
TARGET = f"""
CREATE TABLE known (nr int PRIMARY KEY); INSERT INTO known SELECT generate_series(1, {ROWS});
CREATE DOMAIN wholesome AS integer CHECK (VALUE % {SPREAD} <> 7);
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not this one'; END$$;
"""
TRIGGER = (
    "CREATE TRIGGER no {0} INSERT ON thing FOR EACH ROW WHEN (NEW.amount % 50 = 7) EXECUTE FUNCTION no()"
)
READ = (
    "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables"
    " WHERE relname = '{0}' AND schemaname IN ('old', 'new', 'migrator')"
)


def given(rig: Rig, kind: str) -> None:
    """A source of which every fiftieth row is bad."""
    amount, column, mapped, _, _ = KINDS[kind]
    rig.old(
        "CREATE TABLE item (id integer PRIMARY KEY, amount text, note text);"
        f"INSERT INTO item SELECT n, {amount}, 'note ' || n FROM generate_series(1, {ROWS}) n; ANALYZE item"
    )
    rig.new(f"{TARGET} CREATE TABLE thing (id serial PRIMARY KEY, amount {column}, note text);")
    if kind.startswith("twice as"):
        rig.new("CREATE UNIQUE INDEX ON thing (lower(amount)) WHERE note <> ''")
    if kind.startswith("a trigger"):
        rig.new(TRIGGER.format("AFTER" if kind.endswith("after the row") else "BEFORE"))
    columns = f"columns: {{{mapped}, note: note}}"
    rig.ready(f"{{source: old.item, target: new.thing, {columns}}}", "on_error: quarantine\nwiden: false")


def set_aside(rig: Rig) -> Rows:
    """What the quarantine says of its rows, each kind once."""
    return rig.new(
        "SELECT column_name, sqlstate, count(*), bool_and(message <> ''),"
        f" bool_and(source_key::int % {SPREAD} = 7 AND source_row->>'note' = 'note ' || source_key)"
        " FROM migrator.quarantine GROUP BY 1, 2"
    )


def read(rig: Rig, table: str) -> int:
    """Rows that were read of a table so far."""
    conn = rig.target if table == "migration_map" else rig.source
    conn.execute("SELECT pg_stat_force_next_flush()")
    conn.execute("SELECT 1")
    row = conn.execute(READ.format(table).encode()).fetchone()
    return row[0] if row and row[0] else 0


@pytest.mark.parametrize("kind", KINDS)
def test_bad_rows_are_set_aside_without_reading_the_rest_again(
    rig: Rig, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are set aside once more by a catch-up, and come in once their cause is gone."""
    monkeypatch.setattr(bad_rows, "find", lambda *_: pytest.fail("searched through the source"))
    given(rig, kind)
    _, _, _, state, column = KINDS[kind]
    expected = [(column, state, BAD, True, True)]
    before = read(rig, "item")
    assert rig.copy() == Done(inserted=ROWS - BAD, quarantined=BAD)
    assert set_aside(rig) == expected
    assert read(rig, "item") - before < 5 * ROWS
    again = rig.again()
    analyze.before_looking(again)
    before = read(rig, "item")
    assert rig.copy(again) == Done(quarantined=BAD)
    assert set_aside(rig) == expected
    assert read(rig, "item") - before < 5 * ROWS
    if kind.startswith("a trigger"):
        rig.new("DROP TRIGGER no ON thing")
        third = rig.again(3)
        assert rig.copy(third) == Done(inserted=BAD)
        assert set_aside(rig) == []


WRITTEN = "SELECT n_tup_ins::int FROM pg_stat_user_tables WHERE relid = '{0}'::regclass"


@pytest.mark.parametrize("kind", ["twice", "twice as an expression has it", "no such row", "a trigger"])
def test_no_row_goes_in_twice_once_it_is_known_what_to_ask(rig_one: Rig, kind: str) -> None:
    """Of what the server counts as inserted, taken back or not: good rows once, and bad ones to hear what is wrong."""
    rig = rig_one
    given(rig, kind)
    work, chunks = rig.work(), rig.cut(ROWS // 2)
    done = Done(inserted=(ROWS - BAD) // 2, quarantined=BAD // 2)
    assert rig.copy(work, chunks[0]) == done
    before = written(rig)
    assert rig.copy(work, chunks[1]) == done
    rows, mapped = (now - then for now, then in zip(written(rig), before, strict=True))
    assert mapped == done.inserted
    assert rows == done.rows if kind != "a trigger" else done.rows < rows < 3 * done.rows


def written(rig: Rig) -> list[int]:
    """How many rows the server has put into the target and into the map so far."""
    rig.target.execute("SELECT pg_stat_force_next_flush()")
    rig.target.execute("SELECT 1")
    asked = [WRITTEN.format(table) for table in ("new.thing", "migrator.migration_map")]
    return [row[0] for query in asked for row in rig.target.execute(query.encode())]


MATCHED = "{source: old.item, target: new.thing, existing: {match: [code], then: update}, columns: {%s}}"


def test_a_second_start_reads_the_map_by_the_keys_of_its_rows(rig: Rig) -> None:
    """Text keys, rows that were there, and three bad rows: nobody has told the planner anything of the map."""
    rig.old(
        "CREATE TABLE item (code text PRIMARY KEY, amount text); INSERT INTO item SELECT md5(n::text),"
        f" CASE WHEN n IN (5, 900, 1700) THEN 'many' ELSE n::text END FROM generate_series(1, {ROWS}) n; ANALYZE item"
    )
    rig.new(
        "CREATE TABLE thing (id bigserial PRIMARY KEY, code text UNIQUE, amount integer);"
        f"INSERT INTO thing (code) SELECT md5(n::text) FROM generate_series(1, {ROWS}, 10) n"
    )
    rig.ready(MATCHED % "code: code, amount: amount", "on_error: quarantine")
    assert rig.copy() == Done(inserted=ROWS * 9 // 10 - 3, updated=ROWS // 10, quarantined=3)
    first = read(rig, "migration_map")
    assert first < 10 * ROWS
    again = rig.again()
    analyze.before_looking(again)
    assert rig.copy(again) == Done(quarantined=3)
    assert read(rig, "migration_map") - first < 10 * ROWS


XID = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


def test_where_a_trigger_stops_a_statement_is_known(rig_one: Rig) -> None:
    """Each statement that is tried takes a transaction number: the row at which one stops is asked alone, no others."""
    rig = rig_one
    given(rig, "a trigger")
    work, chunks = rig.work(), rig.cut(ROWS // 2)
    rig.copy(work, chunks[0])
    ((before,),) = rig.target.execute(XID).fetchall()
    assert rig.copy(work, chunks[1]) == Done(inserted=(ROWS - BAD) // 2, quarantined=BAD // 2)
    ((after,),) = rig.target.execute(XID).fetchall()
    assert after - before < 8 * BAD // 2
