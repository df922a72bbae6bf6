"""Which rows of a feed the target may refuse, as far as one statement can ask: suspects, which are then tried.

Nothing here has the last word but what was asked of the very function that reads a text: a trigger may fill what is
NULL, and a row may be there already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.engine.sql import insert_rows, key_sql, parents
from jobs.engine.sql.key_sql import Range
from mappings.catalog.types import numeric_size
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan, Value
from mappings.sql import ident, literal

ASKS_INPUT = 160000
"""Since this version a server tells whether it can read a text as a type, without an error."""

KEY, PLACE = '"migrator key"', '"migrator place"'

COLUMNS = """
SELECT a.attname, a.attnotnull OR t.typnotnull, format_type(a.atttypid, a.atttypmod), a.atttypmod, t.typtype = 'd'
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""

CHECKS = """
SELECT pg_get_expr(c.conbin, c.conrelid), ARRAY(
         SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))
  FROM pg_constraint c WHERE c.conrelid = {table}::regclass AND c.contype = 'c'
"""

FOREIGN_KEYS = """
SELECT c.conname, c.confrelid::regclass::text,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(n, place)
               JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.conrelid, k.n) ORDER BY k.place),
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k(n, place)
               JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.confrelid, k.n) ORDER BY k.place)
  FROM pg_constraint c WHERE c.conrelid = {table}::regclass AND c.contype = 'f' AND c.confrelid <> c.conrelid
"""

UNIQUE = """
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
 WHERE i.indrelid = {table}::regclass AND i.indisunique
"""
"""pg_amop.amopstrategy: 3 is the equality of a B-tree, which every unique index is."""


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index: its keys as SQL over the table's columns, the schema of each key's equality, its predicate, ''
    for none, and the columns that it is made from."""

    keys: Sequence[str]
    operators: Sequence[str]
    where: str
    columns: Sequence[str]


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """A column of the target as it is now. modifier: of its type, -1 if it has none."""

    name: str
    not_null: bool
    type: str
    modifier: int
    is_domain: bool


def unreadable(table: TablePlan, chunk: Range, most: int) -> str | None:
    """(key, column, message, SQLSTATE) of source rows in which a text cannot be read as what it becomes; None: no
    column reads any. most: rows."""
    reads = [(value.target, value.read) for value in table.values if value.read]
    if not reads or table.feed.distinct:
        return None
    wrong = [f"NOT pg_input_is_valid({read.sql}, {literal(read.type)})" for _, read in reads]
    which = " ".join(f"WHEN {condition} THEN {place}" for place, condition in enumerate(wrong, start=1))
    key = key_sql.source_key_text(table)
    texts = ", ".join(read.sql for _, read in reads)
    columns = [f'{key} AS "key"', f'CASE {which} END AS "which"', f'ARRAY[{texts}] AS "given"']
    parts = [table.feed.where_sql, key_sql.source_range(table, chunk), f"({' OR '.join(wrong)})"]
    where = " AND ".join(part for part in parts if part)
    names, types = key_sql.texts([name for name, _ in reads]), key_sql.texts([read.type for _, read in reads])
    return (
        f"SELECT x.key, ({names})[x.which], e.message, e.sql_error_code FROM (\n"
        f"SELECT {', '.join(columns)}\n  FROM {table.feed.from_sql} WHERE {where}\n"
        f") AS x, pg_input_error_info(x.given[x.which], ({types})[x.which]) AS e LIMIT {most}"
    )


@dataclass(frozen=True, slots=True)
class Fed:
    """Rows of a feed, and the condition on `f` that they are not in the target yet."""

    relation: str
    new: str


def fed(plan: Plan, table: TablePlan, relation: str, chunk: Range, guarded: bool) -> Fed:
    """The feed's rows that are to be brought."""
    return Fed(relation, insert_rows.guard(plan, table, chunk, guarded) or "\n WHERE true")


def missing_parents(plan: Plan, table: TablePlan, fed: Fed, number: int, ref: Reference) -> str:
    """(key, parent's key) of rows whose parent was not migrated."""
    found = parents.resolve(plan, number, ref)
    return (
        f"SELECT {key_sql.feed_key_text(table, 'f')}, ({parents.first_lost(plan, number, ref)})\n"
        f"  FROM {fed.relation} AS f\n  {found.joins}{fed.new} AND {found.missing}"
    )


def brought(plan: Plan, table: TablePlan, keys: Sequence[str]) -> str:
    """Which of these source keys the target has already."""
    given = f"SELECT k.key FROM unnest({key_sql.texts(keys)}) AS k(key)"
    if table.link.link_by == "map":
        return f"{given} WHERE {insert_rows.is_mapped(plan, table, 'k.key')}"
    ids = [f"t.{ident(name)}" for name in table.link.source_id]
    parts = key_sql.decoded("k.key", [part.type for part in table.feed.key])
    same = key_sql.equal(ids, parts, key_sql.kept_operators(table))
    return f"{given} WHERE EXISTS (SELECT FROM {table.into.target_sql} AS t WHERE {same} OFFSET 0)"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a feed's rows. Each question returns (key, column to blame | '', key of a row that has to be in
    first | '') of the suspects; None: there is nothing to ask. columns: of the target, as they are now."""

    table: TablePlan
    fed: Fed
    columns: Mapping[str, TargetColumn]
    version: int

    def ill_formed(self) -> str | None:
        """Rows with a value that its column does not take: NULL, too long, too large, of no domain."""
        wrong = self._wrong()
        if not wrong:
            return None
        which = " ".join(f"WHEN {condition} THEN {literal(name)}" for name, condition in wrong)
        return (
            f"SELECT {key_sql.feed_key_text(self.table, 'f')}, CASE {which} END, ''\n"
            f"  FROM {self.fed.relation} AS f{self.fed.new} AND ({' OR '.join(sql for _, sql in wrong)})"
        )

    def breaking(self, checks: Sequence[tuple[str, Sequence[str]]]) -> str | None:
        """Rows that violate a CHECK whose columns are all filled from the feed. checks: CHECKS."""
        return self._mapped_where([f"({sql}) IS FALSE" for sql, names in checks if self._fills(names)])

    def pointing_nowhere(self, keys: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> str | None:
        """Rows that refer to no row of another table, by foreign keys filled from the feed. keys: FOREIGN_KEYS."""
        asked = []
        for parent, names, parent_names in keys:
            if self._fills(names):
                same = self._equal(parent_names, "p", names, "m")
                lost = f"NOT EXISTS (SELECT FROM {parent} AS p WHERE {same} OFFSET 0)"
                asked.append(f"({_known(names, 'm')} AND {lost})")
        return self._mapped_where(asked)

    def repeated(self, index: Unique) -> str | None:
        """Rows that say what may be said once, after another row of the feed or one that is in the target."""
        if not self._fills(index.columns):
            return None
        names = [f'"migrator {number}"' for number, _ in enumerate(index.keys, start=1)]
        keys = ", ".join(f"{key} AS {name}" for key, name in zip(index.keys, names, strict=True))
        which = f" WHERE {index.where}" if index.where else ""
        own = ", ".join(f"m.{name}" for name in names)
        known = " AND ".join(f"m.{name} IS NOT NULL" for name in names)
        same = key_sql.equal(
            [f"t.{name}" for name in names], [f"d.{name}" for name in names], index.operators
        )
        return (
            f"SELECT d.{KEY}, '', CASE WHEN d.turn > 1 THEN d.first ELSE '' END FROM (\n"
            f"SELECT m.{KEY}, {own}, row_number() OVER w AS turn, first_value(m.{KEY}) OVER w AS first\n"
            f"  FROM (SELECT {KEY}, {PLACE}, {keys} FROM {self._mapped()} AS n{which} OFFSET 0) AS m WHERE {known}\n"
            f"WINDOW w AS (PARTITION BY {own} ORDER BY m.{PLACE})\n) AS d\n WHERE d.turn > 1 OR EXISTS ("
            f"SELECT FROM (SELECT {keys} FROM {self.table.into.target_sql}{which}) AS t WHERE {same} OFFSET 0)"
        )

    def _equal(self, names: Sequence[str], alias: str, others: Sequence[str], other: str) -> str:
        """Whether columns say what those that are filled say, by the types' own operators."""
        operators = {value.target: value.operators for value in self.table.values}
        return key_sql.equal(
            [f"{alias}.{ident(name)}" for name in names],
            [f"{other}.{ident(name)}" for name in others],
            [operators[name] for name in others],
        )

    def _fills(self, names: Sequence[str]) -> bool:
        return bool(names) and {value.target for value in self.table.values}.issuperset(names)

    def _mapped_where(self, conditions: Sequence[str]) -> str | None:
        if not conditions:
            return None
        return f"SELECT m.{KEY}, '', '' FROM {self._mapped()} AS m\n WHERE {' OR '.join(conditions)}"

    def _mapped(self) -> str:
        """Well-formed rows under the names of the target's columns."""
        table, order = self.table, key_sql.row(key_sql.key_of(self.table, "f"))
        named = [f"f.c{n}::{v.type} AS {ident(v.target)}" for n, v in enumerate(table.values, start=1)]
        listed = [f"{key_sql.feed_key_text(table, 'f')} AS {KEY}", f"{order} AS {PLACE}", *named]
        well = "".join(f" AND ({condition}) IS NOT TRUE" for _, condition in self._wrong())
        return (
            f"(\nSELECT {', '.join(listed)}\n  FROM {self.fed.relation} AS f{self.fed.new}{well} OFFSET 0\n)"
        )

    def _wrong(self) -> list[tuple[str, str]]:
        """For each column that may refuse a value, when it does."""
        numbered = enumerate(self.table.values, start=1)
        found = (
            (v.target, _refused(f"f.c{n}", v, self.columns[v.target], self.version)) for n, v in numbered
        )
        return [(name, f"({' OR '.join(conditions)})") for name, conditions in found if conditions]


def _refused(sql: str, value: Value, column: TargetColumn, version: int) -> list[str]:
    """Conditions under which a column refuses the value `sql` of the feed."""
    found = [f"{sql} IS NULL"] if column.not_null else []
    length = column.modifier - 4
    if value.type in ("character varying", "bpchar") and length > 0 and not column.is_domain:
        found.append(f"char_length(rtrim({sql}::text, ' ')) > {length}")
    if value.type == value.wire == "numeric" and length >= 0:
        precision, scale = numeric_size(column.modifier)
        found.append(f"abs(round({sql}, {scale})) >= 1e{precision - scale}::numeric")
    if version >= ASKS_INPUT and (column.is_domain or value.wire != value.type):
        found.append(f"NOT pg_input_is_valid({sql}::text, {literal(column.type)})")
    return found


def _known(names: Sequence[str], alias: str) -> str:
    return " AND ".join(f"{alias}.{ident(name)} IS NOT NULL" for name in names)
