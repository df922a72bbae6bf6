"""Rows tried one by one, or by halves, inside the target itself: what a client would ask in thousands of round trips.

All is temporary, and rolled back once it was read. The rows lie in a table, numbered in the order of their keys; what
is tried are the statements that bring them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobs.engine.errors import MISSING_PARENT, MOST_SAID, ROW_CLASSES
from jobs.engine.sql import firing, key_sql
from jobs.engine.sql.firing import Firing
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, dollar_quoted, joined, literal, verbatim

ROWS, FOUND = verbatim("pg_temp.migrator_rows"), verbatim("pg_temp.migrator_found")

ONE = compose("(SELECT * FROM {} AS k WHERE k.__n = $1)", ROWS)
SOME = compose("(SELECT * FROM {} AS k WHERE k.__n BETWEEN $1 AND $2)", ROWS)

PLACE = verbatim("pg_temp.migrator_place")

READ_ON = compose(
    "(SELECT * FROM {} AS k WHERE k.__n BETWEEN $1 AND $2 AND setval('{}', k.__n) IS NOT NULL)", ROWS, PLACE
)
"""The same, and the place of the row that was read last is known although what read it failed: a sequence is not set
back. Where rows go in as they are read, that is the row that was refused."""


class Statement(NamedTuple):
    """One statement that brings rows; answers: whether it returns any."""

    sql: firing.Statement
    answers: bool = False


def rows(table: TablePlan, relation: Sql) -> list[Sql]:
    """The feed's rows with their numbers, and with room for the key of one that has to be in first."""
    order = joined(", ", key_sql.key_of(table, verbatim("f")))
    return [
        compose(
            "CREATE TEMPORARY TABLE migrator_rows ON COMMIT DROP AS\n"
            "SELECT row_number() OVER (ORDER BY {order}) AS __n, {feed_key_text} AS __key, f.* FROM {relation} AS f",
            order=order, feed_key_text=key_sql.feed_key_text(table, verbatim("f")), relation=relation,
        ),
        compose("ALTER TABLE {} ADD PRIMARY KEY (__n)", ROWS),
        verbatim("CREATE TEMPORARY SEQUENCE migrator_place"),
        verbatim(
            "CREATE TEMPORARY TABLE migrator_found (n bigint, state text, message text, detail text, column_name text,"
            " constraint_name text, datatype text) ON COMMIT DROP"
        ),
    ]  # fmt: skip


def functions(one: Sequence[Statement], some: Sequence[Statement], read_on: Sequence[Statement]) -> list[Sql]:
    """What tries one row, several, suspects, and a range by blocks. one, some, read_on: statements over ONE, SOME and
    READ_ON."""
    planned_once = verbatim("SET plan_cache_mode = force_generic_plan")
    return [
        _function(verbatim("migrator_try(bigint)"), _performed(one)),
        # Planned once: to plan a block of ten rows anew takes longer than to insert them.
        _function(verbatim("migrator_try_some(bigint, bigint)"), _performed(some), planned_once),
        _function(verbatim("migrator_read_on(bigint, bigint)"), _performed(read_on), planned_once),
        _function(verbatim("migrator_note(bigint, text, text, text, text, text, text)"), NOTE),
        _function(verbatim("migrator_suspect(bigint, bigint)"), SUSPECT),
        _function(verbatim("migrator_halve(bigint, bigint)"), HALVE, returns=verbatim("bigint")),
        _function(verbatim("migrator_stops(bigint, bigint)"), STOPS, returns=verbatim("bigint")),
        _function(verbatim("migrator_march(bigint, bigint, bigint)"), MARCH),
    ]


def _function(head: Sql, body: Sql, settings: Sql = NOTHING, returns: Sql = verbatim("void")) -> Sql:
    code = compose("#variable_conflict use_column\n{}", body)
    return compose(
        "CREATE FUNCTION pg_temp.{head} RETURNS {returns} LANGUAGE plpgsql {settings} AS {code}",
        head=head, returns=returns, settings=settings, code=dollar_quoted(code),
    )  # fmt: skip


def _performed(statements: Sequence[Statement]) -> Sql:
    lines = joined("\n", (_line(each) for each in statements))
    return compose('DECLARE "migrator row" record;\nBEGIN\n{}\nEND', lines)


def _line(statement: Statement) -> Sql:
    fires = isinstance(statement.sql, Firing)
    told = statement.sql if isinstance(statement.sql, str) else statement.sql.sql
    if not (statement.answers or fires):
        return compose("{};", told)
    looped = compose('FOR "migrator row" IN {} LOOP END LOOP;', told)
    return compose("{} PERFORM {};", looped, firing.OURS.sql) if fires else looped


BLAMES = joined(" OR ", (compose("starts_with(state, {})", literal(name)) for name in ROW_CLASSES))

DIAGNOSTICS = verbatim("""
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    guilty = COLUMN_NAME, rule = CONSTRAINT_NAME, kind = PG_DATATYPE_NAME;""")

DECLARED = verbatim("state text; message text; detail text; guilty text; rule text; kind text;")

NOTE = compose(
    "BEGIN INSERT INTO {found} VALUES ($1, $2, left($3, {most}),"
    " CASE $2 WHEN {lost} THEN $4 ELSE left($4, {most}) END, $5, $6, $7); END",
    found=FOUND, most=MOST_SAID + 1, lost=literal(MISSING_PARENT),
)  # fmt: skip
"""Keeps no more of what a server says than a row in the quarantine does; of a parent that is missing all of its key."""

UNDO = verbatim("MG000")
"""Raised to take a trial back that went well."""

SUSPECT = compose(
    """
DECLARE {declared}
BEGIN
  IF $2 IS NOT NULL THEN PERFORM pg_temp.migrator_try($2); END IF;
  BEGIN
    PERFORM pg_temp.migrator_try($1);
  EXCEPTION WHEN OTHERS THEN{diagnostics}
    IF NOT ({blames}) THEN RAISE; END IF;
  END;
  RAISE EXCEPTION USING ERRCODE = '{undo}';
EXCEPTION WHEN OTHERS THEN
  IF state IS NOT NULL AND SQLSTATE = '{undo}' THEN
    PERFORM pg_temp.migrator_note($1, state, message, detail, guilty, rule, kind);
  END IF;
  state := SQLSTATE;
  IF NOT ({blames}) THEN RAISE; END IF;
END""",
    declared=DECLARED, diagnostics=DIAGNOSTICS, blames=BLAMES, undo=UNDO,
)  # fmt: skip
"""Tries row $1 alone, or after row $2; both are taken back. Where row $2 itself fails nothing is known of row $1."""

FEW = 16
"""So many rows are tried one by one rather than by halves."""

HALVE = compose(
    """
DECLARE {declared} middle bigint := ($1 + $2) / 2; bad bigint := 0;
BEGIN
  BEGIN
    IF $1 = $2 THEN PERFORM pg_temp.migrator_try($1); ELSE PERFORM pg_temp.migrator_try_some($1, $2); END IF;
    RETURN 0;
  EXCEPTION WHEN OTHERS THEN{diagnostics}
    IF NOT ({blames}) THEN RAISE; END IF;
  END;
  IF $1 = $2 THEN
    PERFORM pg_temp.migrator_note($1, state, message, detail, guilty, rule, kind);
    RETURN 1;
  ELSIF $2 - $1 < {few} THEN
    FOR n IN $1..$2 LOOP bad := bad + pg_temp.migrator_halve(n, n); END LOOP;
    RETURN bad;
  END IF;
  RETURN pg_temp.migrator_halve($1, middle) + pg_temp.migrator_halve(middle + 1, $2);
END""",
    declared=DECLARED, diagnostics=DIAGNOSTICS, blames=BLAMES, few=FEW,
)  # fmt: skip
"""Tries rows $1 to $2, and where they fail each half; returns how many are bad. Good rows stay in, so that of two rows
that exclude each other the later is bad."""

STOPS = compose(
    """
DECLARE state text;
BEGIN
  PERFORM pg_temp.migrator_read_on($1, $2);
  RETURN 0;
EXCEPTION WHEN OTHERS THEN
  state := SQLSTATE;
  IF NOT ({blames}) THEN RAISE; END IF;
  RETURN (SELECT greatest($1, least($2, p.last_value)) FROM {place} AS p);
END""",
    blames=BLAMES, place=PLACE,
)  # fmt: skip
"""Tries rows $1 to $2; returns 0 if they went in, else the row at which they seem to have been stopped."""

FIRST_BLOCK, LARGEST_BLOCK = 32, 4096

AS_MANY = 3
"""So many times as long are blocks of which it is known where they stop: their rows are not tried one by one."""

MARCH = compose(
    """
DECLARE place bigint := $1; upper bigint; size bigint := {first_block}; found bigint; bad bigint := 0;
  stopped bigint; tells boolean := true;
BEGIN
  WHILE place <= $2 AND bad <= $3 LOOP
    upper := least(place + size - 1, $2);
    stopped := CASE WHEN tells THEN pg_temp.migrator_stops(place, upper) END;
    IF stopped = 0 THEN
      found := 0;
    ELSE
      tells := CASE WHEN NOT tells THEN false WHEN stopped = place THEN true
                    ELSE pg_temp.migrator_stops(place, stopped - 1) = 0 END;
      upper := CASE WHEN tells THEN stopped ELSE upper END;
      found := pg_temp.migrator_halve(CASE WHEN tells THEN stopped ELSE place END, upper);
      tells := tells AND found > 0;
    END IF;
    bad := bad + found;
    place := upper + 1;
    size := CASE WHEN bad = 0 THEN 2 * size ELSE ceil(sqrt((place - $1)::float8 / bad))::bigint END;
    size := CASE WHEN bad > 0 AND tells THEN {as_many} * size ELSE size END;
    size := least(greatest(size, 2), {largest_block});
  END LOOP;
END""",
    first_block=FIRST_BLOCK,
    largest_block=LARGEST_BLOCK,
    as_many=AS_MANY,
)
"""Tries rows $1 to $2 block by block, until more than $3 are found.

The row at which a block seems to stop is tried alone, after those before it; that is three statements for each bad row
and reads half a block once more. Where it does not tell (a trigger that comes after the statement, rows that are sorted
first), no block is asked for it any more, and blocks are halved: between bad rows that are g rows apart, blocks of s
rows cost g / s statements that go through and about s rows that are tried alone, least where s is the root of g.
"""


def try_suspects(suspects: Sequence[tuple[str, str]]) -> Sql:
    """Tries each suspect alone. suspects: (key, key of the row that has to be in first, or '')."""
    keys, firsts = (key_sql.texts([pair[place] for pair in suspects]) for place in (0, 1))
    return compose(
        "SELECT count(pg_temp.migrator_suspect(x.n, x.first)::text) FROM (SELECT s.__n AS n, o.__n AS first\n"
        "  FROM unnest({keys}, {firsts}) AS x(key, first) JOIN {rows} AS s ON s.__key = x.key\n"
        "  LEFT JOIN {rows} AS o ON o.__key = x.first ORDER BY s.__n OFFSET 0) AS x",
        keys=keys, firsts=firsts, rows=ROWS,
    )  # fmt: skip


def halve(most: int) -> Sql:
    """Tries all rows, block by block and bad blocks by halves, until more than `most` are found."""
    return compose(
        "SELECT pg_temp.migrator_march(min(__n), max(__n), {most}) FROM {rows} HAVING count(*) > 0",
        most=most,
        rows=ROWS,
    )


READ_FOUND = compose(
    "SELECT r.__key, f.state, f.message, f.detail, f.column_name, f.constraint_name, f.datatype"
    " FROM {found} AS f JOIN {rows} AS r ON r.__n = f.n ORDER BY f.n",
    found=FOUND,
    rows=ROWS,
)
"""The bad rows, each with what the server said of it."""
