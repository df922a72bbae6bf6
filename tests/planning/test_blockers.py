"""What stands against a start: each is found before anything is changed, and named with its place in the file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from mappings.planning.live_databases import connected
from mappings.planning.planner import Planning
from mappings.problems import Refused
from mappings.schema import own_schema
from tests.conftest import Pair
from tests.factories import unsaved_environment
from tests.journeys.world import execute
from tests.planning.drawing import Board, spec

ITEM = "CREATE TABLE item (id integer PRIMARY KEY, label text);"
THING = "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text);"
MAP = "{source: old.item, target: new.thing, columns: {label: label}}"


LONG_ITEM = f"{ITEM} INSERT INTO item VALUES (1, repeat('x', 30))"


@dataclass(frozen=True)
class Case:
    """Tables, a mapping, and every blocker of its plan."""

    blockers: tuple[str, ...]
    source: str = ITEM
    target: str = THING
    tables: str = MAP


CASES = {
    "a source table that does not exist": Case(
        ("tables[0].source: there is no table old.nothing in this database",),
        tables="{source: old.nothing, target: new.thing, columns: {label: label}}",
    ),
    "a target table that does not exist": Case(
        ("tables[0].target: there is no table new.nothing in this database",),
        tables="{source: old.item, target: new.nothing, columns: {label: label}}",
    ),
    "a view as target": Case(
        ("tables[0].target: new.seen is a view; a table is needed",),
        target=f"{THING} CREATE VIEW seen AS SELECT * FROM thing",
        tables="{source: old.item, target: new.seen, columns: {label: label}}",
    ),
    "a materialised view as target": Case(
        ("tables[0].target: new.seen is a materialised view; a table is needed",),
        target=f"{THING} CREATE MATERIALIZED VIEW seen AS SELECT * FROM thing",
        tables="{source: old.item, target: new.seen, columns: {label: label}}",
    ),
    "a foreign table as target": Case(
        ("tables[0].target: new.far is a foreign table; a table is needed",),
        target="DROP FOREIGN DATA WRAPPER IF EXISTS nothing CASCADE; CREATE FOREIGN DATA WRAPPER nothing;"
        "CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing; CREATE FOREIGN TABLE far (label text) SERVER nowhere",
        tables="{source: old.item, target: new.far, columns: {label: label}}",
    ),
    "a sequence as source and an index as target": Case(
        (
            "tables[0].source: old.count is a sequence; a table is needed",
            "tables[0].target: new.thing_pkey is an index; a table is needed",
        ),
        source="CREATE SEQUENCE count",
        tables="{source: old.count, key: [last_value], target: new.thing_pkey, columns: {label: last_value}}",
    ),
    "a table of the server's own as target": Case(
        ("tables[0].target: pg_catalog.pg_description belongs to the server or to the migrator itself",),
        tables="{source: old.item, target: pg_catalog.pg_description, columns: {description: label}}",
    ),
    "expressions with constants that the server takes for times": Case(
        (
            "tables[0].columns.at: depends on the clock; write the date or time itself",
            "tables[0].columns.all: depends on the clock; write the date or time itself",
            "tables[0].joins[0].condition: depends on the clock; write the date or time itself",
            "tables[0].where: depends on the clock; write the date or time itself",
        ),
        source="CREATE TABLE item (id integer PRIMARY KEY, label text, at timestamptz)",
        target='CREATE TABLE thing (id serial PRIMARY KEY, label text, at timestamptz, "all" text)',
        tables="{source: old.item, alias: i, where: i.at < 'today', key: [i.id],"
        " joins: [{table: old.item, alias: j, condition: j.id = i.id AND j.at > 'yesterday'}], target: new.thing,"
        " columns: {label: {expr: \"coalesce(i.label, 'now')\"}, at: {expr: \"greatest(i.at, ' NOW')\"},"
        " all: {expr: \"('[today,)' = daterange(null, null))::text\"}}}",
    ),
    "constants that depend on the clock": Case(
        (
            "tables[0].columns.at: depends on the clock; write the date or time itself",
            "tables[0].columns.days: depends on the clock; write the date or time itself",
            "tables[0].columns.span: depends on the clock; write the date or time itself",
        ),
        target="CREATE TABLE thing (id serial PRIMARY KEY, label text, at timestamptz, days date[], span daterange)",
        tables="{source: old.item, target: new.thing, columns: {label: {value: now}, at: {value: Now},"
        ' days: {value: [2024-01-01, today]}, span: {value: "[today,)"}}}',
    ),
    "a partition as target": Case(
        ("tables[0].target: this is a partition; name the partitioned table",),
        target="CREATE TABLE whole (id integer PRIMARY KEY, label text) PARTITION BY RANGE (id);"
        "CREATE TABLE thing PARTITION OF whole FOR VALUES FROM (0) TO (9)",
        tables="{source: old.item, target: new.thing, columns: {id: id, label: label}}",
    ),
    "a target column that does not exist": Case(
        ("tables[0].columns.nothing: new.thing has no column nothing",),
        tables="{source: old.item, target: new.thing, columns: {nothing: label}}",
    ),
    "a source column that does not exist": Case(
        ("tables[0].columns.label: old.item has no column Label",),
        tables="{source: old.item, target: new.thing, columns: {label: Label}}",
    ),
    "a column that an expression names and that does not exist": Case(
        ("tables[0].columns.label: there is no source column nothing",),
        tables='{source: old.item, target: new.thing, columns: {label: {expr: "upper(nothing)"}}}',
    ),
    "a condition over a column that does not exist": Case(
        ("tables[0].where: there is no source column nothing",),
        tables='{source: old.item, target: new.thing, where: "nothing = 1", columns: {label: {value: x}}}',
    ),
    "a NOT NULL column without default that is not mapped": Case(
        ("tables[0].columns: new.thing.must is NOT NULL, has no default and is not mapped",),
        target="CREATE TABLE thing (id serial PRIMARY KEY, label text, must int NOT NULL, has int NOT NULL DEFAULT 1)",
    ),
    "a generated column that is mapped": Case(
        ("tables[0].columns.twice: this column is generated by the target and cannot be filled",),
        target="CREATE TABLE thing (id serial PRIMARY KEY, label text,"
        " twice text GENERATED ALWAYS AS (label || label) STORED)",
        tables="{source: old.item, target: new.thing, columns: {twice: label}}",
    ),
    "a source without a key": Case(
        (
            "tables[0].key: old.item has no primary key: name a unique NOT NULL combination of columns in `key`,"
            " or write `key: content`",
        ),
        source="CREATE TABLE item (id integer, label text)",
    ),
    "a key that is not unique": Case(
        ("tables[0].key: several source rows in scope have one key, for example ('1',)",),
        source="CREATE TABLE item (id integer, label text); INSERT INTO item VALUES (1, 'a'), (1, 'b'), (2, 'c')",
        tables="{source: old.item, key: [id], target: new.thing, columns: {label: label}}",
    ),
    "a key with NULL in it": Case(
        ("tables[0].key: some source rows in scope have NULL in their key",),
        source="CREATE TABLE item (id integer UNIQUE, label text); INSERT INTO item VALUES (1, 'a'), (NULL, 'b')",
        tables="{source: old.item, key: [id], target: new.thing, columns: {label: label}}",
    ),
    "a lookup with several rows for one key": Case(
        ("tables[0].columns.label.lookup.key: the lookup has several rows for '2'",),
        source=f"{ITEM} CREATE TABLE word (nr integer, text text);"
        "INSERT INTO word VALUES (1, 'a'), (2, 'b'), (2, 'c'), (NULL, 'd'), (NULL, 'e')",
        tables="{source: old.item, target: new.thing,"
        " columns: {label: {from: id, lookup: {table: old.word, key: nr, value: text}}}}",
    ),
    "a flag of another type": Case(
        ("tables[0].is_migrated: new.thing.is_migrated is integer, not boolean",),
        target="CREATE TABLE thing (id serial PRIMARY KEY, label text, is_migrated integer)",
    ),
    "a source id of another type": Case(
        ("tables[0].link.source_id: new.thing.source_table_id is text, but the key is integer",),
        target="CREATE TABLE thing (id serial PRIMARY KEY, label text, source_table_id text)",
    ),
    "a source id that another mapping added": Case(
        (
            "tables[0].link.source_id: new.thing.source_table_id belongs to mapping other; name another column",
        ),
        target="CREATE TABLE thing (id serial PRIMARY KEY, label text, source_table_id integer UNIQUE);"
        f"{own_schema.SCHEMA}"
        "INSERT INTO migrator.schema_step (run, mapping, side, kind, relation, name, title, sql, undo, alone, fits,"
        " sha256) VALUES (1, 'other', 'target', 'add_column', 'new.thing', 'source_table_id', '', '{}', '{}', false,"
        " '', '')",
    ),
    "a reference to a parent with another number of key columns": Case(
        ("tables[1].columns.parent: the key of item has 2 columns, but 1 are given",),
        source="CREATE TABLE item (a integer, b integer, label text, PRIMARY KEY (a, b));"
        "CREATE TABLE part (id integer PRIMARY KEY, item integer)",
        target=f"{THING} CREATE TABLE piece (id serial PRIMARY KEY, parent bigint)",
        tables=f"{MAP}\n{{source: old.part, target: new.piece, columns: {{parent: {{from: item, ref: item}}}}}}",
    ),
    "references that are generated, or never of their parent's type": Case(
        (
            "tables[0].columns.sum: this column is generated by the target and cannot be filled",
            "tables[0].columns.at: new.thing.id is integer, which does not become timestamp with time zone",
        ),
        target="CREATE TABLE thing (id serial PRIMARY KEY, label text, at timestamptz, sum int"
        " GENERATED ALWAYS AS (1) STORED)",
        tables="{source: old.item, target: new.thing, columns: {label: label, sum: {from: id, ref: item},"
        " at: {from: id, ref: item}}}",
    ),
    "tables that wait for each other": Case(
        ("tables: these tables wait for each other: item -> part -> item; make one reference nullable",),
        source="CREATE TABLE item (id integer PRIMARY KEY, part integer);"
        "CREATE TABLE part (id integer PRIMARY KEY, item integer)",
        target="CREATE TABLE thing (id serial PRIMARY KEY, piece integer NOT NULL);"
        "CREATE TABLE piece (id serial PRIMARY KEY, thing integer NOT NULL)",
        tables="{source: old.item, target: new.thing, columns: {piece: {from: part, ref: part}}}\n"
        "{source: old.part, target: new.piece, columns: {thing: {from: item, ref: item}}}",
    ),
    "a backref without a single target key": Case(
        ("tables[0].link.backref: new.thing has no single key column to write back",),
        target="CREATE TABLE thing (a integer, label text, PRIMARY KEY (a, label))",
        tables="{source: old.item, target: new.thing, link: {backref: new_id}, columns: {a: id, label: label}}",
    ),
    "whole numbers that a float cannot hold": Case(
        (
            "tables[0].columns.number: 1 values would be changed by the column's type, for example"
            " 9007199254740993; source row 2",
        ),
        source="CREATE TABLE item (id integer PRIMARY KEY, number bigint);"
        "INSERT INTO item VALUES (1, 9007199254740992), (2, 9007199254740993)",
        target="CREATE TABLE thing (id serial PRIMARY KEY, number double precision)",
        tables="{source: old.item, target: new.thing, columns: {number: number}}",
    ),
    "texts that PostgreSQL would cut": Case(
        (
            "tables[0].columns.sign: 1 values would be changed by the column's type, for example ab; source row 2",
            f"tables[0].columns.word: 1 values would be changed by the column's type, for example {'x' * 64};"
            " source row 2",
        ),
        source="CREATE TABLE item (id integer PRIMARY KEY, sign text, word text);"
        "INSERT INTO item VALUES (1, 'a', repeat('x', 63)), (2, 'ab', repeat('x', 64)), (3, '', NULL)",
        target='CREATE TABLE thing (id serial PRIMARY KEY, sign "char", word name)',
        tables="{source: old.item, target: new.thing, columns: {sign: sign, word: word}}",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_named_with_its_place(board: Board, name: str) -> None:
    case = CASES[name]
    board.given(case.source, case.target)
    assert board.blockers(case.tables) == list(case.blockers)


def test_a_table_cannot_be_its_own_target(one: Board) -> None:
    one.given(ITEM, "")
    assert one.blockers("{source: old.item, target: old.item, columns: {label: label}}") == [
        "tables[0]: old.item is its own target: say by where which of its rows are copied"
    ]


def test_a_table_of_the_same_name_in_another_database_can_be_the_target(two: Board) -> None:
    two.given(ITEM, "CREATE TABLE old.item (id integer PRIMARY KEY, label text)")
    assert two.blockers("{source: old.item, target: old.item, columns: {id: id, label: label}}") == []


def test_all_problems_are_listed_at_once(board: Board) -> None:
    board.given(ITEM, THING)
    found = board.blockers(
        "{source: old.item, target: new.thing, columns: {label: nothing, none: label}}\n"
        "{name: other, source: old.gone, target: new.gone, columns: {a: b}}"
    )
    assert [text.split(": ")[0] for text in sorted(found)] == [
        "tables[0].columns.label",
        "tables[0].columns.none",
        "tables[1].source",
        "tables[1].target",
    ]


DEPENDENTS = {
    "materialised view new.seen": (
        "CREATE MATERIALIZED VIEW seen AS SELECT label FROM thing",
        "SELECT label",
    ),
    "policy mine on new.thing": (
        "CREATE POLICY mine ON thing FOR SELECT USING (label = current_user)",
        "CREATE POLICY mine ON new.thing AS PERMISSIVE FOR SELECT TO PUBLIC USING (((label)::text = CURRENT_USER))",
    ),
    "trigger watch on new.thing": (
        "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER watch BEFORE UPDATE OF label ON thing FOR EACH ROW EXECUTE FUNCTION watch()",
        "CREATE TRIGGER watch BEFORE UPDATE OF label ON new.thing",
    ),
    'trigger "when" on new.thing': (
        "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        'CREATE TRIGGER "when" BEFORE UPDATE ON thing FOR EACH ROW WHEN (NEW.label IS NULL) EXECUTE FUNCTION watch()',
        'CREATE TRIGGER "when" BEFORE UPDATE ON new.thing FOR EACH ROW WHEN ((new.label IS NULL))',
    ),
    "rule log on new.old_thing": (
        "CREATE TABLE old_thing (t text);"
        "CREATE RULE log AS ON DELETE TO old_thing DO ALSO UPDATE thing SET label = OLD.t WHERE id = 0",
        "CREATE RULE log AS ON DELETE TO new.old_thing DO UPDATE new.thing SET label = old.t",
    ),
    "function new.labels()": (
        "CREATE FUNCTION labels() RETURNS text BEGIN ATOMIC SELECT label FROM thing; END",
        "CREATE OR REPLACE FUNCTION new.labels() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT",
    ),
    "publication news of new.thing": (
        "CREATE PUBLICATION news FOR TABLE thing WHERE (label = 'x')",
        "PUBLICATION news TABLE new.thing WHERE ((label)::text = 'x'::text)",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dependent", DEPENDENTS)
def test_whatever_holds_a_column_that_must_be_widened_is_named_with_its_definition(
    two: Board, dependent: str
) -> None:
    made, definition = DEPENDENTS[dependent]
    two.given(LONG_ITEM, f"CREATE TABLE thing (id serial PRIMARY KEY, label varchar(20)); {made}")
    (blocker,) = two.blockers(MAP)
    assert blocker.startswith(
        f"new.thing.label: the column must be widened, but {dependent} depends on it: {definition}"
    ), blocker


def test_a_type_that_only_the_target_has_says_where_expressions_run(two: Board) -> None:
    two.given(ITEM, "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE thing (id serial PRIMARY KEY, mood mood)")
    table = (
        "{source: old.item, target: new.thing, columns: {mood: {expr: \"coalesce(label::new.mood, 'sad')\"}}}"
    )
    (blocker,) = two.blockers(table)
    assert blocker.startswith(
        'tables[0].columns.mood: type "new.mood" does not exist; expressions run in the source'
    )


def test_a_publication_of_some_columns_is_in_the_way_as_well(two: Board) -> None:
    two.given(
        LONG_ITEM,
        "CREATE TABLE thing (id serial PRIMARY KEY, label varchar(20));"
        "CREATE PUBLICATION news FOR TABLE thing (id, label)",
    )
    (blocker,) = two.blockers(MAP)
    assert blocker.endswith(
        "publication news of new.thing depends on it: PUBLICATION news TABLE new.thing (id, label)"
    )


def test_what_hangs_on_a_child_is_in_the_way_as_well(two: Board) -> None:
    two.given(
        LONG_ITEM,
        "CREATE TABLE thing (id serial, label varchar(20)) PARTITION BY RANGE (id);"
        "CREATE TABLE part PARTITION OF thing FOR VALUES FROM (0) TO (1000);"
        "CREATE MATERIALIZED VIEW seen AS SELECT label FROM part",
    )
    (blocker,) = two.blockers(MAP)
    assert "materialised view new.seen depends on it" in blocker


IN_ANOTHERS_WAY = {
    "its row type is a column's": (
        f"{THING} CREATE TABLE other (x thing[])",
        [
            "tables[0].target: new.thing has to be changed, but column new.other.x is of its row type (new.thing[])"
        ],
    ),
    "it is made of a type": (
        "CREATE TYPE shape AS (id integer, label text); CREATE TABLE thing OF shape (PRIMARY KEY (id))",
        ["tables[0].target: new.thing is made of a type, which has to be changed instead"],
    ),
    "the index's name is taken": (
        f"{THING} CREATE TABLE thing_source_table_id_key ()",
        [
            "tables[0].link.source_id: the index new.thing_source_table_id_key is needed, but that name is taken"
        ],
    ),
    "the index's name is another's": (
        f"{THING} CREATE INDEX thing_source_table_id_key ON thing (label)",
        [
            "tables[0].link.source_id: the index new.thing_source_table_id_key is needed, but that name is taken,"
            " and is another: CREATE INDEX thing_source_table_id_key ON new.thing USING btree (label)"
        ],
    ),
    "source ids are there twice": (
        "CREATE TABLE thing (id serial PRIMARY KEY, label text, source_table_id integer);"
        "INSERT INTO thing (source_table_id) VALUES (7), (7), (NULL), (NULL)",
        [
            "tables[0].link.source_id: a unique index on (source_table_id) is needed, but new.thing has rows that"
            " share 7"
        ],
    ),
    "a rule rewrites what is inserted": (
        f"{THING} CREATE RULE quiet AS ON INSERT TO thing DO INSTEAD NOTHING",
        ["tables[0].target: the target has a rule that may rewrite what is written or deleted: quiet"],
    ),
    "a rule forbids to delete": (
        f"{THING} CREATE RULE lasting AS ON DELETE TO thing DO INSTEAD NOTHING",
        ["tables[0].target: the target has a rule that may rewrite what is written or deleted: lasting"],
    ),
}


@pytest.mark.parametrize("case", IN_ANOTHERS_WAY)
def test_a_change_that_the_server_would_refuse_is_named_before_the_start(two: Board, case: str) -> None:
    made, expected = IN_ANOTHERS_WAY[case]
    two.given(ITEM, made)
    tables = MAP.replace("{label: label}", "{id: id, label: label}") if "OF shape" in made else MAP
    assert two.blockers(tables) == expected


@contextmanager
def role(address: str, rights: str) -> Iterator[str]:
    """The address for a role that has these rights ({0}) and no others."""
    user, place = f"mover_{uuid.uuid4().hex[:8]}", urlsplit(address)
    execute(address, f"CREATE ROLE {user} LOGIN PASSWORD 'x'; {rights.format(user)}")
    try:
        yield place._replace(netloc=f"{user}:x@{place.hostname}:{place.port}").geturl()
    finally:
        execute(address, f"DROP OWNED BY {user}; DROP ROLE {user}")


def test_only_the_owner_may_leave_triggers_off(two: Board) -> None:
    two.given(ITEM, f"{THING}; CREATE TRIGGER same BEFORE UPDATE ON thing FOR EACH ROW"
              " EXECUTE FUNCTION suppress_redundant_updates_trigger()")  # fmt: skip
    tables = MAP.replace("target: new.thing", "target: new.thing, triggers: off")
    assert two.blockers(tables) == []
    with role(two.pair.target, "GRANT ALL ON SCHEMA new TO {0}; GRANT ALL ON new.thing TO {0}") as url:
        assert (
            "tables[0].triggers: only the owner of new.thing may leave its triggers off; let the target's role be a"
            " member of the owner's, or leave them on"
        ) in Board.of(Pair(two.pair.source, url)).blockers(tables)


def test_a_role_that_may_not_change_the_target_is_told_so(two: Board) -> None:
    two.given(ITEM, THING)
    rights = "GRANT USAGE ON SCHEMA new TO {0}; GRANT SELECT, INSERT ON new.thing TO {0}"
    with role(two.pair.target, rights) as url:
        *blockers, needed = Board.of(Pair(two.pair.source, url)).blockers(MAP)
        assert blockers == [
            "tables[0].target: new.thing has to be changed, but belongs to a role that this one is not in",
            "tables[0].target: an index is needed, but this role may not create anything in schema new",
        ]
        assert needed.startswith("target: this role needs CREATE on the database t_")


WRITING = """
CREATE SEQUENCE counts; CREATE DOMAIN code AS text; REVOKE USAGE ON TYPE code FROM PUBLIC;
CREATE FUNCTION word() RETURNS text LANGUAGE sql AS 'SELECT ''w''::text';
CREATE FUNCTION fits(text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
REVOKE EXECUTE ON FUNCTION word(), fits(text) FROM PUBLIC;
CREATE TABLE thing (id bigint PRIMARY KEY DEFAULT nextval('counts'), label code, note text DEFAULT word(),
  filled text DEFAULT word(), CHECK (fits(label)));
CREATE TABLE child (id int, thing bigint REFERENCES thing)
"""


def test_each_right_that_writing_takes_is_named_with_its_grant(two: Board) -> None:
    """Also on what the server uses for a row by itself; a default that is filled is none of them."""
    two.given(ITEM, WRITING)
    rights = "GRANT USAGE ON SCHEMA new TO {0}; GRANT SELECT ON new.thing TO {0}"
    with role(two.pair.target, rights) as url:
        mapping = MAP.replace("{label: label}", "{label: label, filled: label}")
        plan = Board.of(Pair(two.pair.source, url)).plan(mapping)
        name = url.partition("//")[2].partition(":")[0]
        lacking = [b.text.partition("GRANT ")[2] for b in plan.blockers if "may not write all" in b.text]
        assert lacking == [f"{right} TO {name}" for right in (
            "EXECUTE ON FUNCTION new.fits(text)", "EXECUTE ON FUNCTION new.word()", "INSERT ON new.thing",
            "USAGE ON SEQUENCE new.counts", "USAGE ON TYPE new.code",
        )]  # fmt: skip
        told = [w.text for w in plan.warnings if "a rollback will not" in w.text]
        assert told == [
            f"a rollback will not be possible: it needs GRANT {right} TO {name}"
            for right in ("DELETE ON new.thing", "SELECT ON new.child")
        ]


def test_a_role_that_may_not_read_a_column_is_told_so(two: Board) -> None:
    two.given(ITEM, THING)
    rights = "GRANT USAGE ON SCHEMA old TO {0}; GRANT SELECT (id) ON old.item TO {0}"
    with role(two.pair.source, rights) as url:
        board = Board.of(Pair(url, two.pair.target))
        assert board.blockers(MAP.replace("{label: label}", "{label: id}")) == []
        assert board.blockers(MAP) == ["tables[0].source: permission denied for table item"]


REGISTERED = (
    "INSERT INTO migrator.schema_step (run, mapping, side, kind, relation, name, title, sql, undo, alone, fits, sha256)"
    " VALUES (3, 'small', 'target', 'add_column', 'new.thing', 'source_table_id', 'Add it', ARRAY[{0}], '{{}}', false,"
    " '', encode(sha256('{1}'), 'hex'))"
)


def test_a_script_in_the_register_that_was_altered_is_refused(two: Board) -> None:
    two.given(ITEM, f"{THING} {own_schema.SCHEMA} {REGISTERED.format(repr('SELECT 1'), 'SELECT 2')}")
    (blocker,) = two.blockers(MAP.replace("columns", "link: {source_id: false}, columns"))
    assert blocker.startswith("register: Add it: the register in the target was altered after run 3 of small")


def test_a_script_that_differs_from_the_applied_one_is_refused(two: Board) -> None:
    two.given(ITEM, f"{THING} {own_schema.SCHEMA} {REGISTERED.format(repr('SELECT 1'), 'SELECT 1')}")
    (blocker,) = two.blockers(MAP)
    assert "run 3 of small applied another script for it (sha256 " in blocker


def test_a_partition_key_cannot_be_widened(two: Board) -> None:
    two.given(
        "CREATE TABLE item (id integer PRIMARY KEY, label text); INSERT INTO item VALUES (1, repeat('x', 30))",
        "CREATE TABLE thing (label varchar(20) PRIMARY KEY) PARTITION BY HASH (label);"
        "CREATE TABLE part PARTITION OF thing FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    )
    assert two.blockers(MAP) == [
        "new.thing.label: the column must be widened, but it is part of the partition key"
    ]


def test_an_inherited_column_cannot_be_widened(two: Board) -> None:
    two.given(
        "CREATE TABLE item (id integer PRIMARY KEY, label text); INSERT INTO item VALUES (1, repeat('x', 30))",
        "CREATE TABLE base (label varchar(20)); CREATE TABLE thing (id serial PRIMARY KEY) INHERITS (base)",
    )
    assert two.blockers(MAP) == ["new.thing.label: the column must be widened, but the table inherits it"]


def test_a_table_without_its_parents_needs_them_to_be_migrated_before(two: Board) -> None:
    two.given(
        f"{ITEM} CREATE TABLE part (id integer PRIMARY KEY, item integer)",
        f"{THING} CREATE TABLE piece (id serial PRIMARY KEY, parent integer)",
    )
    tables = f"{MAP}\n{{source: old.part, target: new.piece, columns: {{parent: {{from: item, ref: item}}}}}}"

    def blockers() -> list[str]:
        with two.opened() as found:
            plan = Planning(spec(tables), found, ["part"]).plan(1, "0" * 64, "local")
        return [str(problem) for problem in plan.blockers]

    assert blockers() == [
        "tables[1].columns.parent: refers to rows of item, which was never migrated"
        " and is not among the tables of this run"
    ]
    two.given("", "ALTER TABLE thing ADD COLUMN source_table_id integer UNIQUE")
    assert blockers() == []


def test_what_a_server_refuses_in_between_is_one_sentence(two: Board) -> None:
    environment = unsaved_environment("small", two.pair.source, two.pair.target)
    two.given("", "CREATE SCHEMA migrator")
    with (
        pytest.raises(Refused, match="looked at: permission denied for schema migrator"),
        connected(environment) as found,
    ):
        found.target.execute("SET ROLE pg_monitor")
        found.target.execute("SELECT FROM migrator.run")
