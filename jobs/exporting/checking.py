"""Scripts that prove: a table's rows against its source, and what stands against taking them back."""

from __future__ import annotations

from jobs.engine.sql import compare, dependants, remove
from jobs.engine.sql.key_sql import MAP, Range, of_table
from jobs.exporting import proving
from jobs.exporting.blocks import RUN_DECLARED, begun, block, require_run, run_to_take_back
from jobs.exporting.moving import relation_of, staged_first
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal, verbatim

MOST_SAMPLES = 20
COUNTS = ("source_rows", "matched", "missing", "extra", "different", "kept", "alike")
DECLARED = "\n".join(
    [RUN_DECLARED, *(f"migrator_{name} bigint;" for name in COUNTS), "migrator_sample record;"]
)


def verify(plan: Plan, table: TablePlan) -> tuple[str, ...]:
    """Executes the mapping once more and compares every column; stops where anything is missing or different."""
    relation = relation_of(plan, table, Range(), "verify")
    into = ", ".join(f"migrator_{name}" for name in COUNTS)
    samples = compare.samples(plan, table, relation, Range(), MOST_SAMPLES)
    failed = (
        "RAISE EXCEPTION '%: % missing, % extra, % different', "
        f"{literal(table.name)}, migrator_missing, migrator_extra, migrator_different;"
    )
    body = (
        f"{require_run(plan)}\n{staged_first(plan, table)}"
        f"{compare.compare(plan, table, relation, Range())}\n  INTO {into};\n{_more_extra(plan, table)}"
        "RAISE INFO '%: % source rows, % in the target, % missing, % extra, % different; % kept, % of them alike',"
        f" {literal(table.name)}, {into};\n"
        "IF migrator_missing + migrator_extra + migrator_different > 0 THEN\n"
        f"FOR migrator_sample IN SELECT * FROM ({samples}) AS x(kind, source_key, columns) LOOP\n"
        "RAISE INFO '% %: %', migrator_sample.kind, migrator_sample.source_key, migrator_sample.columns;\n"
        f"END LOOP;\n{failed}\nEND IF;\n"
    )
    return (block(DECLARED, body),)


def _more_extra(plan: Plan, table: TablePlan) -> str:
    """Where ranges do not hold in the target, what no source row claims shows only in the totals."""
    if table.link.link_by == "source_id" and table.link.aligned:
        return ""
    if table.link.link_by == "source_id":
        first = ident(table.link.source_id[0])
        claimed = f"SELECT count(t.{first}) FROM {table.into.target_sql} AS t"
    else:
        claimed = f"SELECT count(*) FROM {MAP} AS m WHERE {of_table(plan, table.name)}"
    return f"migrator_extra := greatest(0, ({claimed}) - migrator_matched);\n"


OBSTACLES = "\n".join(
    [RUN_DECLARED, "migrator_count bigint;", "migrator_keys text[];", "migrator_child record;"]
)

FORCE = "SET migrator.force = 'on'"
"""What makes a rollback go on although something stands against it."""


def obstacles(plan: Plan, table: TablePlan) -> tuple[str, ...]:
    """Stops, before anything is undone, where rows were changed since or rows of others point to them."""
    changed = dependants.changed(plan, table, verbatim("migrator_run"), False, 5)
    forced = f"To go on nevertheless, execute {FORCE} in the same session first."
    body = (
        f"{run_to_take_back(plan)}\n"
        f"IF migrator_run IS NULL OR NOT {begun(table.name)} THEN\n{proving.unknown(plan, table)}  RETURN;\nEND IF;\n"
        "IF current_setting('migrator.force', true) = 'on' THEN\n  RETURN;\nEND IF;\n"
        "PERFORM set_config('enable_nestloop', 'off', true);\n"
        f"{proving.before(plan, table, forced)}"
        f"{changed}\n  INTO migrator_count, migrator_keys;\n"
        "IF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: % rows were changed since, for example source rows %', "
        f"{literal(table.name)}, migrator_count, migrator_keys USING HINT = {literal(forced)};\nEND IF;\n"
        f"{_dependants(plan, table, forced)}"
    )
    return (block(OBSTACLES, body),)


def _dependants(plan: Plan, table: TablePlan, forced: str) -> str:
    """Rows that point to the run's rows through any foreign key, and that the run did not bring itself."""
    run = verbatim("$1")
    rows = f"SELECT t.* FROM {remove.owned(plan, table, run, False, Range())}"
    own = "".join(
        f" WHEN {literal(other.into.target_sql)}::regclass THEN {literal(_own_rows(plan, other.into.target_sql))}"
        for other in {one.into.target_sql: one for one in plan.moved}.values()
    )
    pairs = (
        "(SELECT string_agg(format('c.%I = p.%I', a.attname, b.attname), ' AND ')"
        " FROM unnest(k.conkey, k.confkey) AS u(x, y)"
        " JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x"
        " JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.y)"
    )
    falls = f" OR c.xmin IN ({dependants.written(run)})"
    return (
        f"FOR migrator_child IN SELECT k.conrelid::regclass AS name, {pairs} AS pairs,\n"
        f" CASE k.conrelid{own} ELSE 'false' END\n"
        f" || CASE WHEN {dependants.FALLS} THEN {literal(falls)} ELSE '' END{_back_references(plan, table)} AS own\n"
        "  FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conparentid = 0\n"
        f"   AND k.confrelid = {literal(table.into.target_sql)}::regclass LOOP\n"
        "EXECUTE format('SELECT count(*) FROM %s AS c JOIN (%s) AS p ON %s WHERE NOT (%s)', migrator_child.name,\n"
        f" {literal(rows)}, migrator_child.pairs, migrator_child.own) INTO migrator_count USING migrator_run;\n"
        "IF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: % rows of % that the run did not bring point to its rows', "
        f"{literal(table.name)}, migrator_count, migrator_child.name USING HINT = {literal(forced)};\n"
        "END IF;\nEND LOOP;\n"
    )


def _back_references(plan: Plan, table: TablePlan) -> str:
    """The source rows that the run itself wrote the target's ids into, where that is a foreign key; more of `own`."""
    found = ""
    for other in plan.moved:
        sharing = other.into.target_sql == table.into.target_sql
        if not (sharing and dependants.writes_back_to(plan, other, other.feed.source_sql)):
            continue
        own = literal(f" OR {dependants.is_back_reference(plan, other, verbatim('$1'))}")
        named = f"a.attrelid = k.conrelid AND a.attname = {literal(other.link.backref or '')}"
        column = f"SELECT a.attnum FROM pg_attribute AS a WHERE {named}"
        same = f"k.conrelid = {literal(other.feed.source_sql)}::regclass AND k.conkey = ARRAY({column})"
        found += f"\n || CASE WHEN {same} THEN {own} ELSE '' END"
    return found


def _own_rows(plan: Plan, target: str) -> str:
    """Whether a row `c` of a target table is one that the run brought, by any of its table mappings."""
    run = verbatim("$1")
    tables = [table for table in plan.moved if table.into.target_sql == target]
    return " OR ".join(dependants.is_own(plan, table, run, False) for table in tables)
