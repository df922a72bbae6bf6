"""Which rows of a feed the target may refuse, as far as one statement can ask: suspects, which are then tried.

Nothing here has the last word but what was asked of the very function that reads a text: a trigger may fill what is
NULL, and a row may be there already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.engine.errors import MOST_SAID
from jobs.engine.sql import key_sql
from jobs.engine.sql.new_rows import there
from jobs.engine.sql.references import parents
from jobs.engine.sql.walks.bounds import row
from jobs.engine.sql.walks.chunk_range import Range
from mappings.catalog.types import numeric_size
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan, Value
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, verbatim

ASKS_INPUT = 160000
"""Since this version a server tells whether it can read a text as a type, without an error."""

KEY, PLACE = ident("migrator key"), ident("migrator place")

# {0}: the table.
COLUMNS = verbatim("""
SELECT a.attname, a.attnotnull OR t.typnotnull, format_type(a.atttypid, a.atttypmod), a.atttypmod, t.typtype = 'd'
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = {0}::regclass AND a.attnum > 0 AND NOT a.attisdropped
""")

CHECKS = verbatim("""
SELECT pg_get_expr(c.conbin, c.conrelid), ARRAY(
         SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))
  FROM pg_constraint c WHERE c.conrelid = {0}::regclass AND c.contype = 'c'
""")

FOREIGN_KEYS = verbatim("""
SELECT c.conname, c.confrelid::regclass::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(n, place)
               JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.conrelid, k.n) ORDER BY k.place),
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k(n, place)
               JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.confrelid, k.n) ORDER BY k.place)
  FROM pg_constraint c WHERE c.conrelid = {0}::regclass AND c.contype = 'f' AND c.confrelid <> c.conrelid
""")

UNIQUE = verbatim("""
SELECT c.relname,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k.place, false) FROM generate_series(1, i.indnkeyatts) AS k(place)),
       ARRAY(SELECT CASE o.oprnamespace WHEN 'pg_catalog'::regnamespace THEN '' ELSE n.nspname::text END
               FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS k(class, place)
               JOIN pg_opclass p ON p.oid = k.class
               JOIN pg_amop s ON s.amopfamily = p.opcfamily AND s.amopstrategy = 3
                AND (s.amoplefttype, s.amoprighttype) = (p.opcintype, p.opcintype)
               JOIN pg_operator o ON o.oid = s.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
              WHERE k.place <= i.indnkeyatts ORDER BY k.place),
       coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum > 0
                AND (a.attnum = ANY (i.indkey::int2[]) OR a.attnum IN (
                     SELECT d.refobjsubid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                        AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                        AND d.refobjid = i.indrelid)))
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = {0}::regclass AND i.indisunique
""")
"""pg_amop.amopstrategy: 3 is the equality of a B-tree, which every unique index is."""


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index: its keys as SQL over the table's columns, the schema of each key's equality, its predicate, ''
    for none, and the columns that it is made from."""

    keys: Sequence[Sql]
    operators: Sequence[str]
    where: Sql
    columns: Sequence[str]


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """A column of the target as it is now. modifier: of its type, -1 if it has none."""

    name: str
    not_null: bool
    type: str
    modifier: int
    is_domain: bool


def unreadable(table: TablePlan, chunk: Range, most: int) -> Sql | None:
    """(key, column, message, SQLSTATE) of source rows in which a text cannot be read as what it becomes; None: no
    column reads any. most: rows."""
    reads = [(value.target, value.read) for value in table.values if value.read]
    if not reads or table.feed.distinct:
        return None
    wrong = [compose("NOT pg_input_is_valid({}, {})", read.sql, literal(read.type)) for _, read in reads]
    which = joined(
        " ", (compose("WHEN {} THEN {}", condition, place) for place, condition in enumerate(wrong, start=1))
    )
    key = key_sql.source_key_text(table)
    texts = joined(", ", (read.sql for _, read in reads))
    columns = [
        compose('{} AS "key"', key),
        compose('CASE {} END AS "which"', which),
        compose('ARRAY[{}] AS "given"', texts),
    ]
    where = [
        table.feed.where_sql,
        key_sql.source_range(table, chunk),
        compose("({})", joined(" OR ", wrong)),
    ]
    names, types = key_sql.texts([name for name, _ in reads]), key_sql.texts([read.type for _, read in reads])
    return compose(
        "SELECT x.key, ({names})[x.which], left(e.message, {said}), e.sql_error_code FROM (\n"
        "SELECT {columns}\n  FROM {from_sql} WHERE {where}\n"
        ") AS x, pg_input_error_info(x.given[x.which], ({types})[x.which]) AS e LIMIT {most}",
        names=names, columns=joined(", ", columns), from_sql=table.feed.from_sql,
        where=joined(" AND ", (part for part in where if part)), types=types, most=most,
        said=MOST_SAID + 1,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fed:
    """Rows of a feed, and the condition on `f` that they are not in the target yet."""

    relation: Sql
    new: Sql


def fed(plan: Plan, table: TablePlan, relation: Sql, chunk: Range, guarded: bool) -> Fed:
    """The feed's rows that are to be brought."""
    return Fed(relation, there.guard(plan, table, chunk, guarded) or verbatim("\n WHERE true"))


def missing_parents(plan: Plan, table: TablePlan, fed: Fed, number: int, ref: Reference) -> Sql:
    """(key, parent's key) of rows whose parent was not migrated."""
    result = parents.resolve(plan, number, ref)
    return compose(
        "SELECT {feed_key_text}, ({first_lost})\n  FROM {relation} AS f\n  {joins}{new} AND {missing}",
        feed_key_text=key_sql.feed_key_text(table, verbatim("f")),
        first_lost=parents.first_lost(plan, number, ref), relation=fed.relation, joins=result.joins,
        new=fed.new, missing=result.missing,
    )  # fmt: skip


def brought(plan: Plan, table: TablePlan, keys: Sequence[str]) -> Sql:
    """Which of these source keys the target has already."""
    given = compose("SELECT k.key FROM unnest({}) AS k(key)", key_sql.texts(keys))
    if table.link.link_by == "map":
        return compose("{} WHERE {}", given, there.is_mapped(plan, table, verbatim("k.key")))
    ids = key_sql.source_id_columns(table, verbatim("t"))
    parts = key_sql.decoded(verbatim("k.key"), [part.type for part in table.feed.key])
    same = key_sql.equal(ids, parts, key_sql.kept_operators(table))
    return compose(
        "{given} WHERE EXISTS (SELECT FROM {target_sql} AS t WHERE {same} OFFSET 0)",
        given=given, target_sql=table.into.target_sql, same=same,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a feed's rows. Each question returns (key, column to blame | '', key of a row that has to be in
    first | '') of the suspects; None: there is nothing to ask. columns: of the target, as they are now."""

    table: TablePlan
    fed: Fed
    columns: Mapping[str, TargetColumn]
    version: int

    def ill_formed(self) -> Sql | None:
        """Rows with a value that its column does not take: NULL, too long, too large, of no domain."""
        wrong = self._wrong()
        if not wrong:
            return None
        which = joined(
            " ", (compose("WHEN {} THEN {}", condition, literal(name)) for name, condition in wrong)
        )
        return compose(
            "SELECT {feed_key_text}, CASE {which} END, ''\n  FROM {relation} AS f{new} AND ({wrong})",
            feed_key_text=key_sql.feed_key_text(self.table, verbatim("f")), which=which,
            relation=self.fed.relation, new=self.fed.new, wrong=joined(" OR ", (sql for _, sql in wrong)),
        )  # fmt: skip

    def breaking(self, checks: Sequence[tuple[Sql, Sequence[str]]]) -> Sql | None:
        """Rows that violate a CHECK whose columns are all filled from the feed. checks: CHECKS."""
        return self._mapped_where(
            [compose("({}) IS FALSE", sql) for sql, names in checks if self._fills(names)]
        )

    def pointing_nowhere(self, keys: Sequence[tuple[Sql, Sequence[str], Sequence[str]]]) -> Sql | None:
        """Rows that refer to no row of another table, by foreign keys filled from the feed. keys: FOREIGN_KEYS."""
        asked = []
        for parent, names, parent_names in keys:
            if self._fills(names):
                same = self._equal(parent_names, verbatim("p"), names, verbatim("m"))
                lost = compose("NOT EXISTS (SELECT FROM {} AS p WHERE {} OFFSET 0)", parent, same)
                asked.append(compose("({} AND {})", _known(names, verbatim("m")), lost))
        return self._mapped_where(asked)

    def repeated(self, index: Unique) -> Sql | None:
        """Rows that say what may be said once, after another row of the feed or one that is in the target."""
        if not self._fills(index.columns):
            return None
        names = [compose('"migrator {}"', number) for number, _ in enumerate(index.keys, start=1)]
        keys = joined(
            ", ", (compose("{} AS {}", key, name) for key, name in zip(index.keys, names, strict=True))
        )
        which = compose(" WHERE {}", index.where) if index.where else NOTHING
        own = joined(", ", (compose("m.{}", name) for name in names))
        known = joined(" AND ", (compose("m.{} IS NOT NULL", name) for name in names))
        same = key_sql.equal(
            [compose("t.{}", name) for name in names],
            [compose("d.{}", name) for name in names],
            index.operators,
        )
        return compose(
            "SELECT d.{key}, '', CASE WHEN d.turn > 1 THEN d.first ELSE '' END FROM (\n"
            "SELECT m.{key}, {own}, row_number() OVER w AS turn, first_value(m.{key}) OVER w AS first\n"
            "  FROM (SELECT {key}, {place}, {keys} FROM {mapped} AS n{which} OFFSET 0) AS m WHERE {known}\n"
            "WINDOW w AS (PARTITION BY {own} ORDER BY m.{place})\n) AS d\n WHERE d.turn > 1 OR EXISTS ("
            "SELECT FROM (SELECT {keys} FROM {target_sql}{which}) AS t WHERE {same} OFFSET 0)",
            key=KEY, own=own, place=PLACE, keys=keys, mapped=self._mapped(), which=which, known=known,
            target_sql=self.table.into.target_sql, same=same,
        )  # fmt: skip

    def _equal(self, names: Sequence[str], alias: Sql, others: Sequence[str], other: Sql) -> Sql:
        """Whether columns say what those that are filled say, by the types' own operators."""
        operators = {value.target: value.operators for value in self.table.values}
        return key_sql.equal(
            [compose("{}.{}", alias, ident(name)) for name in names],
            [compose("{}.{}", other, ident(name)) for name in others],
            [operators[name] for name in others],
        )

    def _fills(self, names: Sequence[str]) -> bool:
        return bool(names) and {value.target for value in self.table.values}.issuperset(names)

    def _mapped_where(self, conditions: Sequence[Sql]) -> Sql | None:
        if not conditions:
            return None
        return compose(
            "SELECT m.{}, '', '' FROM {} AS m\n WHERE {}", KEY, self._mapped(), joined(" OR ", conditions)
        )

    def _mapped(self) -> Sql:
        """Well-formed rows under the names of the target's columns."""
        table, order = self.table, row(key_sql.key_of(self.table, verbatim("f")))
        named = [
            compose("f.c{}::{} AS {}", n, v.type, ident(v.target))
            for n, v in enumerate(table.values, start=1)
        ]
        listed = [
            compose("{} AS {}", key_sql.feed_key_text(table, verbatim("f")), KEY),
            compose("{} AS {}", order, PLACE),
            *named,
        ]
        well = joined("", (compose(" AND ({}) IS NOT TRUE", condition) for _, condition in self._wrong()))
        return compose(
            "(\nSELECT {listed}\n  FROM {relation} AS f{new}{well} OFFSET 0\n)",
            listed=joined(", ", listed), relation=self.fed.relation, new=self.fed.new, well=well,
        )  # fmt: skip

    def _wrong(self) -> list[tuple[str, Sql]]:
        """For each column that may refuse a value, when it does."""
        numbered = enumerate(self.table.values, start=1)
        result = (
            (v.target, _refused(compose("f.c{}", n), v, self.columns[v.target], self.version))
            for n, v in numbered
        )
        return [
            (name, compose("({})", joined(" OR ", conditions))) for name, conditions in result if conditions
        ]


def _refused(sql: Sql, value: Value, column: TargetColumn, version: int) -> list[Sql]:
    """Conditions under which a column refuses the value `sql` of the feed."""
    result = [compose("{} IS NULL", sql)] if column.not_null else []
    length = column.modifier - 4
    if value.type in ("character varying", "bpchar") and length > 0 and not column.is_domain:
        result.append(compose("char_length(rtrim({}::text, ' ')) > {}", sql, length))
    if value.type == value.wire == "numeric" and length >= 0:
        precision, scale = numeric_size(column.modifier)
        result.append(compose("abs(round({}, {})) >= 1e{}::numeric", sql, scale, precision - scale))
    if version >= ASKS_INPUT and (column.is_domain or value.wire != value.type):
        result.append(compose("NOT pg_input_is_valid({}::text, {})", sql, literal(column.type)))
    return result


def _known(names: Sequence[str], alias: Sql) -> Sql:
    return joined(" AND ", (compose("{}.{} IS NOT NULL", alias, ident(name)) for name in names))
