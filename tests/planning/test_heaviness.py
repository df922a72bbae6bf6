"""How heavy a change is said to be, against what PostgreSQL does to the files on disk; on 16 and on 18."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from jobs.engine.errors import StepFailed
from jobs.engine.schema import apply
from mappings.schema.lock_cost import of_type_change
from tests.conftest import Databases, Pair
from tests.engine.rig import Rig
from tests.planning.drawing import Board

FILES = """
SELECT c.relname, pg_relation_filenode(c.oid) FROM pg_class c
 WHERE c.relnamespace = 'new'::regnamespace AND c.relkind IN ('r', 'i', 'S') AND c.relname LIKE 'thing%'
"""
SCANS = "SELECT pg_stat_get_xact_numscans('new.thing'::regclass)"

LIGHT = [
    ("varchar(20)", "varchar(255)"), ("varchar(20)", "varchar"), ("varchar(20)", "text"), ("text", "varchar"),
    ("bit varying(3)", "bit varying(9)"), ("numeric(6,2)", "numeric(9,2)"), ("numeric(6,2)", "numeric"),
    ("timestamp(0)", "timestamp(6)"), ("timestamp(0)", "timestamp"), ("timestamptz(0)", "timestamptz(3)"),
    ("time(0)", "time(3)"), ("timetz(0)", "timetz(3)"), ("interval(0)", "interval(3)"), ("cidr", "inet"),
    ("interval day to second(0)", "interval day to second(3)"), ("interval day to second(0)", "interval(6)"),
]  # fmt: skip
INDEXED = [("timestamp", "timestamptz"), ("timestamptz", "timestamp")]
HEAVY = [
    ("varchar(50)", "varchar(20)"), ("text", "varchar(50)"), ("char(3)", "char(9)"), ("char(3)", "varchar(9)"),
    ("char(3)", "text"), ("numeric(6,2)", "numeric(9,3)"), ("numeric(9,2)", "numeric(6,2)"),
    ("numeric", "numeric(9,2)"), ("timestamp(6)", "timestamp(0)"), ("timestamp(0)", "timestamptz(3)"),
    ("smallint", "integer"), ("integer", "bigint"), ("bigint", "integer"), ("integer", "numeric"),
    ("integer", "text"), ("real", "double precision"), ("date", "timestamp"),
     ("json", "jsonb"),
    ("text[]", "varchar[]"), ("varchar(20)[]", "varchar(30)[]"), ("bit(3)", "bit(5)"),
]  # fmt: skip
CHANGES = [(*pair, "catalog only") for pair in LIGHT]
CHANGES += [(*pair, "index build") for pair in INDEXED] + [(*pair, "full rewrite") for pair in HEAVY]


@pytest.fixture(scope="module", params=[16, 18])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A database for all tests of the file, on each version."""
    made = Databases(request.getfixturevalue(f"pg{request.param}"))
    yield made.pair("one")
    made.drop()


@pytest.fixture(scope="module")
def conn(pair: Pair) -> Iterator[psycopg.Connection]:
    """A session as a worker's: in UTC."""
    with psycopg.connect(pair.target, autocommit=True) as session:
        session.execute("SET timezone = 'UTC'; SET search_path = new")
        yield session


@pytest.fixture
def board(pair: Pair) -> Board:
    """Empty schemas."""
    return Board(pair)


def files(conn: psycopg.Connection) -> dict[str, int]:
    return dict(conn.execute(FILES).fetchall())


def type_of(conn: psycopg.Connection) -> str:
    row = conn.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'thing'::regclass AND attname = 'v'"
    ).fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize(("old", "new", "weight"), CHANGES)
def test_a_change_of_type(conn: psycopg.Connection, board: Board, old: str, new: str, weight: str) -> None:
    conn.execute(
        f"CREATE TABLE thing (id int PRIMARY KEY, v {old}); INSERT INTO thing VALUES (1, NULL)".encode()
    )
    if "json" not in old:
        conn.execute("CREATE INDEX thing_v ON thing (v)")
    before, files_before = type_of(conn), files(conn)
    conn.execute(f"ALTER TABLE thing ALTER v TYPE {new}".encode())
    changed = {name for name, file in files(conn).items() if files_before.get(name) != file}
    expected = {"catalog only": set(), "index build": {"thing_v"}, "full rewrite": set(files_before)}
    assert changed == expected[weight]
    assert of_type_change(before, type_of(conn)) == weight


def test_outside_utc_the_zone_rewrites_the_table(conn: psycopg.Connection, board: Board) -> None:
    conn.execute("CREATE TABLE thing (id int, v timestamp)")
    before = files(conn)
    with conn.transaction():
        conn.execute("SET LOCAL timezone = 'Europe/Berlin'")
        conn.execute("ALTER TABLE thing ALTER v TYPE timestamptz")
    assert before != files(conn)
    zones = "timestamp without time zone", "timestamp with time zone"
    assert of_type_change(*zones, utc=False) == "full rewrite"


MAP = "{source: old.item, target: new.thing, link: {source_id: false}, is_migrated: false, columns: {label: label}}"
LONG = "CREATE TABLE item (id int PRIMARY KEY, label text); INSERT INTO item VALUES (1, repeat('x', 30))"
BIG = "CREATE TABLE item (id int PRIMARY KEY, label bigint); INSERT INTO item VALUES (1, 3000000000)"
TEXT = "CREATE TABLE thing (id serial PRIMARY KEY, label varchar(20), other int);"
NUMBER = "CREATE TABLE thing (id serial PRIMARY KEY, label int, other int);"
AROUND = {
    # what is around the column: source, target, weight, files that change, scans, tables that are locked as well
    "nothing": (LONG, TEXT, "catalog only", set(), 0, ()),
    "an index": (LONG, f"{TEXT} CREATE INDEX thing_a ON thing (label)", "catalog only", set(), 0, ()),
    "a partial index": (LONG, f"{TEXT} CREATE INDEX thing_a ON thing (other) WHERE label <> ''", "index build",
                        {"thing_a"}, 1, ()),
    "an index on an expression": (LONG, f"{TEXT} CREATE INDEX thing_a ON thing (lower(label))", "index build",
                                  {"thing_a"}, 1, ()),
    "a check": (LONG, f"{TEXT} ALTER TABLE thing ADD CHECK (label <> '')", "table scan", set(), 1, ()),
    "a check that was never made": (LONG, f"{TEXT} ALTER TABLE thing ADD CHECK (label <> '') NOT VALID",
                                    "catalog only", set(), 0, ()),
    "a foreign key": (LONG, f"CREATE TABLE up (label varchar(20) PRIMARY KEY); {TEXT}"
                      "ALTER TABLE thing ADD FOREIGN KEY (label) REFERENCES up", "catalog only", set(), 0, ("new.up",)),
    "a foreign key of another": (LONG, f"{TEXT} ALTER TABLE thing ADD UNIQUE (label);"
                                 "CREATE TABLE down (label varchar(20) REFERENCES thing (label))", "catalog only",
                                 set(), 0, ("new.down",)),
    "statistics": (LONG, f"{TEXT} CREATE STATISTICS s ON label, other FROM thing", "catalog only", set(), 0, ()),
    "how its values are stored": (LONG, f"{TEXT} ALTER TABLE thing ALTER label SET STORAGE EXTERNAL,"
                                  "ALTER label SET COMPRESSION pglz, ALTER label SET STATISTICS 7", "catalog only",
                                  set(), 0, ()),
    "a view": (LONG, f"{TEXT} CREATE VIEW seen AS SELECT label FROM thing", "catalog only", set(), 0, ()),
    "a number": (BIG, NUMBER, "full rewrite", {"thing", "thing_pkey"}, None, ()),
    "a number and an index": (BIG, f"{NUMBER} CREATE INDEX thing_a ON thing (label)", "full rewrite",
                              {"thing", "thing_pkey", "thing_a"}, None, ()),
    "a serial": (BIG, "CREATE TABLE thing (id serial PRIMARY KEY, label serial)", "full rewrite",
                 {"thing", "thing_pkey", "thing_label_seq"}, None, ()),
}  # fmt: skip
LOCKS = """
SELECT DISTINCT l.relation::regclass::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation AND c.relkind = 'r'
 WHERE l.pid = pg_backend_pid() AND l.mode = 'AccessExclusiveLock' AND c.relnamespace = 'new'::regnamespace
"""


@pytest.mark.parametrize("around", AROUND)
def test_a_plan_says_what_its_change_does(conn: psycopg.Connection, board: Board, around: str) -> None:
    source, target, weight, changed, scans, locked = AROUND[around]
    board.given(source, target)
    plan = board.plan(MAP)
    assert plan.blockers == ()
    (step,) = plan.steps
    files_before = files(conn)
    with conn.transaction():
        conn.execute("SET LOCAL search_path = ''")
        scans_before = conn.execute(SCANS).fetchone()
        for statement in step.sql:
            conn.execute(statement.encode())
        scans_after = conn.execute(SCANS).fetchone()
        held = {name for (name,) in conn.execute(LOCKS)} - {"new.thing"}
    files_after = files(conn)
    assert {name for name, file in files_after.items() if files_before[name] != file} == changed
    assert scans_before and scans_after and (scans is None or scans_after[0] - scans_before[0] == scans)
    assert (step.weight, step.heaviness.also_locked) == (weight, locked)
    assert held == set(locked)


@pytest.mark.parametrize(
    "around", ["nothing", "a partial index", "a number", "a serial", "a view", "how its values are stored"]
)
def test_there_and_back_and_there_again(pair: Pair, around: str) -> None:
    source, target, *_ = AROUND[around]
    rig = Rig(pair)
    try:
        rig.old(source)
        rig.new(f"{target}; ALTER TABLE thing REPLICA IDENTITY FULL")
        (step,) = rig.planned(MAP).steps
        rig.register()
        before = everything(rig)
        assert apply.apply(rig.sides, rig.plan, 1, step, print)
        after = everything(rig)
        assert after != before
        assert not apply.apply(rig.sides, rig.plan, 1, step, print)
        assert apply.undo(rig.sides, apply.applied(rig.target, "rig")[0], print) == ""
        assert everything(rig) == before
        assert apply.apply(rig.sides, rig.plan, 1, step, print)
        assert everything(rig) == after
    finally:
        rig.close()


EVERYTHING = """
SELECT 'column', c.relname, a.attname, concat_ws(' ', format_type(atttypid, atttypmod), a.attacl::text,
       col_description(c.oid, attnum), pg_get_expr(d.adbin, d.adrelid), a.attstorage, a.attcompression,
       a.attstattarget)
  FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = attnum
 WHERE c.relnamespace = 'new'::regnamespace AND relkind IN ('r', 'v')
UNION ALL SELECT 'relation', relname, relkind::text, concat_ws(' ', relacl::text, reloptions::text,
       relowner::regrole::text, obj_description(oid, 'pg_class'), CASE relkind WHEN 'v' THEN pg_get_viewdef(oid)
       WHEN 'i' THEN pg_get_indexdef(oid) END) FROM pg_class WHERE relnamespace = 'new'::regnamespace
UNION ALL SELECT 'sequence', seqrelid::regclass::text, '', concat_ws(' ', seqtypid::regtype, seqmax, seqmin)
  FROM pg_sequence
ORDER BY 1, 2, 3
"""


def everything(rig: Rig) -> list[tuple[object, ...]]:
    """Columns, relations and sequences of schema new, with rights, options, owners and comments."""
    return rig.target.execute(EVERYTHING).fetchall()


VIEWS = f"""{TEXT} INSERT INTO thing (label) VALUES ('here');
CREATE VIEW seen WITH (security_barrier = true, security_invoker = true) AS
  SELECT id, label AS "Label", upper(label) AS loud FROM thing WHERE label <> '' WITH LOCAL CHECK OPTION;
CREATE VIEW "Above" AS SELECT "Label" FROM seen UNION ALL SELECT label FROM thing;
COMMENT ON VIEW seen IS 'what is seen; it''s quoted'; COMMENT ON COLUMN seen."Label" IS 'the label';
ALTER VIEW seen ALTER COLUMN "Label" SET DEFAULT 'none';
GRANT SELECT, UPDATE ON seen TO PUBLIC; GRANT SELECT ("Label") ON "Above" TO viewer WITH GRANT OPTION;
ALTER VIEW "Above" OWNER TO viewer; GRANT INSERT ON "Above" TO postgres; REVOKE DELETE ON "Above" FROM viewer;
"""


@pytest.fixture
def viewer(pair: Pair) -> Iterator[None]:
    """A role of its own, that may make views."""
    with psycopg.connect(pair.target, autocommit=True) as session:
        session.execute("DROP SCHEMA IF EXISTS old, new CASCADE")
        session.execute("DROP ROLE IF EXISTS viewer; CREATE ROLE viewer")
        session.execute(f"GRANT CREATE ON DATABASE {session.info.dbname} TO viewer".encode())
        yield
        session.execute("DROP SCHEMA IF EXISTS new CASCADE; DROP OWNED BY viewer; DROP ROLE viewer")


def test_views_come_back_as_they_were(pair: Pair, viewer: None) -> None:
    rig = Rig(pair)
    try:
        rig.old(LONG)
        rig.new(f"GRANT USAGE, CREATE ON SCHEMA new TO viewer; {VIEWS}")
        (step,) = rig.planned(MAP).steps
        assert [(one.name, one.fate) for one in step.affected] == [
            ('new."Above"', "is dropped and made again in the same transaction"),
            ("new.seen", "is dropped and made again in the same transaction"),
        ]
        rig.register()
        before = everything(rig)
        assert apply.apply(rig.sides, rig.plan, 1, step, print)
        wider = [tuple(str(part).replace("character varying(255)", "character varying(20)") for part in row)
                 for row in everything(rig)]  # fmt: skip
        assert wider == [tuple(str(part) for part in row) for row in before]
        rig.new("CREATE VIEW later AS SELECT label FROM thing")  # a view that the step did not know
        assert apply.undo(rig.sides, apply.applied(rig.target, "rig")[0], print) == ""
        rig.new("DROP VIEW later")
        assert everything(rig) == before
        assert rig.new('SELECT "Label", loud FROM seen') == [("here", "HERE")]
    finally:
        rig.close()


HELD = {
    "view new.seen cannot be made again without loss, because of its trigger watch":
        "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER watch INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION watch()",
    "view new.seen cannot be made again without loss, because of its rule quiet":
        "CREATE RULE quiet AS ON INSERT TO seen DO INSTEAD NOTHING",
    "view new.seen cannot be made again without loss, because of function new.labels()":
        "CREATE FUNCTION labels() RETURNS SETOF seen LANGUAGE sql AS 'SELECT * FROM new.seen'",
    "view new.seen cannot be made again without loss, because of rule _RETURN on materialized view new.kept":
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM seen",
}  # fmt: skip


@pytest.mark.parametrize("text", HELD)
def test_a_view_that_cannot_come_back_as_it_was_stands_in_the_way(board: Board, text: str) -> None:
    board.given(LONG, f"{TEXT} CREATE VIEW seen AS SELECT label FROM thing; {HELD[text]}")
    assert board.blockers(MAP) == [f"new.thing.label: the column must be widened, but {text}"]


def test_a_view_that_changed_after_the_plan_is_not_put_back_as_it_was(pair: Pair) -> None:
    rig = Rig(pair)
    try:
        rig.old(LONG)
        rig.new(f"{TEXT} CREATE VIEW seen AS SELECT label FROM thing")
        (step,) = rig.planned(MAP).steps
        rig.register()
        rig.new("CREATE OR REPLACE VIEW seen AS SELECT label FROM thing WHERE id > 1")
        with pytest.raises(StepFailed, match="views over the column were changed since; plan again"):
            apply.apply(rig.sides, rig.plan, 1, step, print)
    finally:
        rig.close()


def test_a_sequence_that_has_counted_on_keeps_the_width(pair: Pair) -> None:
    rig = Rig(pair)
    try:
        rig.old(BIG)
        rig.new(AROUND["a serial"][1])
        (step,) = rig.planned(MAP).steps
        rig.register()
        apply.apply(rig.sides, rig.plan, 1, step, print)
        rig.new("SELECT setval('thing_label_seq', 3000000000)")
        assert "was kept" in apply.undo(rig.sides, apply.applied(rig.target, "rig")[0], print)
    finally:
        rig.close()
