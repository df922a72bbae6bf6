"""Scripts that prove: a table's rows against its source, and what stands against taking them back."""

from __future__ import annotations

from jobs.engine.sql import dependants, judged, links, remove
from jobs.engine.sql.key_sql import MAP, of_table
from jobs.engine.sql.walks.chunk_range import Range
from jobs.exporting import proving
from jobs.exporting.blocks import (
    COUNT_DECLARED,
    RUN_DECLARED,
    Statement,
    begun,
    block,
    require_run,
    run_to_take_back,
    scripted,
)
from jobs.exporting.moving import relation_of, staged_first
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal, verbatim

MOST_SAMPLES = 20
COUNTS = (
    *(verbatim("source_rows"), verbatim("matched"), verbatim("missing"), verbatim("extra")),
    *(verbatim("different"), verbatim("kept"), verbatim("alike")),
)
DECLARED = joined(
    "\n",
    [
        RUN_DECLARED,
        *(compose("migrator_{} bigint;", name) for name in COUNTS),
        verbatim("migrator_sample record;"),
        verbatim("migrator_backrefs bigint := 0;"),
    ],
)


def verify(plan: Plan, table: TablePlan) -> tuple[Statement, ...]:
    """Executes the mapping once more and compares every column; stops where anything is missing or different."""
    relation = relation_of(plan, table, Range(), "verify")
    into = joined(", ", (compose("migrator_{}", name) for name in COUNTS))
    samples = judged.samples(plan, table, relation, Range(), MOST_SAMPLES)
    failed = compose(
        "RAISE EXCEPTION '%: % missing, % extra, % different', "
        "{name}, migrator_missing, migrator_extra, migrator_different;",
        name=literal(table.name),
    )
    told, none = _backrefs(plan, table)
    body = compose(
        "{require_run}\n{staged_first}"
        "{compare}\n  INTO {into};\n{more_extra}"
        "RAISE INFO '%: % source rows, % in the target, % missing, % extra, % different; % kept, % of them alike',"
        " {name}, {into};\n"
        "{told}IF migrator_missing + migrator_extra + migrator_different > 0 THEN\n"
        "FOR migrator_sample IN SELECT * FROM ({samples}) AS x(kind, source_key, columns) LOOP\n"
        "RAISE INFO '% %: %', migrator_sample.kind, migrator_sample.source_key, migrator_sample.columns;\n"
        "END LOOP;\n{failed}\nEND IF;\n{none}",
        require_run=require_run(plan), staged_first=staged_first(plan, table),
        compare=judged.counted(plan, table, relation, Range()), into=into,
        more_extra=_more_extra(plan, table), name=literal(table.name), samples=samples, failed=failed,
        told=told, none=none,
    )  # fmt: skip
    return (block(DECLARED, body),)


def _backrefs(plan: Plan, table: TablePlan) -> tuple[Sql, Sql]:
    """Tells which back-references are not as they were written; and stops for that. Between two databases a script at
    the source does."""
    if not (table.link.backref and plan.same_database):
        return NOTHING, NOTHING
    pairs = compose("({})", links.linked_pairs(plan, table))
    told = compose(
        "FOR migrator_sample IN {differing} LOOP\n  migrator_backrefs := migrator_sample.count;\n"
        "  RAISE INFO 'different %: % should be %, is %', migrator_sample.key, {column}, migrator_sample.id,"
        " coalesce(migrator_sample.found, 'NULL');\nEND LOOP;\n",
        differing=links.differing_backrefs(table, pairs, MOST_SAMPLES), column=literal(table.link.backref),
    )  # fmt: skip
    return told, backrefs_differ(table, verbatim("migrator_backrefs"))


def backrefs_differ(table: TablePlan, count: Sql) -> Sql:
    """Stops where some do, with how many."""
    return compose(
        "IF {count} > 0 THEN\n  RAISE EXCEPTION '%: % of % do not name the row''s own target row', {name}, {count},"
        " {column};\nEND IF;\n",
        count=count, name=literal(table.name), column=literal(f"{table.source}.{table.link.backref}"),
    )  # fmt: skip


def _more_extra(plan: Plan, table: TablePlan) -> Sql:
    """Where ranges do not hold in the target, what no source row claims shows only in the totals."""
    if table.link.link_by == "source_id" and table.link.aligned:
        return NOTHING
    if table.link.link_by == "source_id":
        first = ident(table.link.source_id[0])
        claimed = compose("SELECT count(t.{}) FROM {} AS t", first, table.into.target_sql)
    else:
        claimed = compose("SELECT count(*) FROM {} AS m WHERE {}", MAP, of_table(plan, table.name))
    return compose("migrator_extra := greatest(0, ({}) - migrator_matched);\n", claimed)


BLOCKERS = joined(
    "\n",
    [
        RUN_DECLARED,
        COUNT_DECLARED,
        verbatim("migrator_child record;"),
    ],
)

FORCE = "SET migrator.force = 'on'"
"""What makes a rollback go on although something stands against it."""


def blockers(plan: Plan, table: TablePlan) -> tuple[Statement, ...]:
    """Stops, before anything is undone, where rows were changed since or rows of others point to them."""
    changed = dependants.changed(scripted(plan, table), 5)
    forced = f"To go on nevertheless, execute {FORCE} in the same session first."
    body = compose(
        "{run_to_take_back}\n"
        "IF migrator_run IS NULL OR NOT {begun} THEN\n{unknown}  RETURN;\nEND IF;\n"
        "IF current_setting('migrator.force', true) = 'on' THEN\n  RETURN;\nEND IF;\n"
        "PERFORM set_config('enable_nestloop', 'off', true);\n"
        "{before}{flagged}"
        "{changed}\n  INTO migrator_count, migrator_keys;\n"
        "IF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: % rows were changed since, for example source rows %', "
        "{name}, migrator_count, migrator_keys USING HINT = {forced};\nEND IF;\n"
        "{dependants}",
        run_to_take_back=run_to_take_back(plan), begun=begun(table.name), unknown=proving.unknown(plan, table),
        before=proving.before(plan, table, forced), flagged=proving.flagged(plan, table, forced), changed=changed,
        name=literal(table.name),
        forced=literal(forced), dependants=_dependants(plan, table, forced),
    )  # fmt: skip
    return (block(BLOCKERS, body),)


def _dependants(plan: Plan, table: TablePlan, forced: str) -> Sql:
    """Rows that point to the run's rows through any foreign key, and that the run did not bring itself."""
    run = verbatim("$1")
    rows = compose("SELECT t.* FROM {}", remove.owned(scripted(plan, table, run), Range()))
    own = joined(
        "",
        (
            compose(
                " WHEN {}::regclass THEN {}",
                literal(other.into.target_sql),
                literal(_own_rows(plan, other.into.target_sql)),
            )
            for other in {one.into.target_sql: one for one in plan.moved}.values()
        ),
    )
    pairs = verbatim(
        "(SELECT string_agg(format('c.%I = p.%I', a.attname, b.attname), ' AND ')"
        " FROM unnest(k.conkey, k.confkey) AS u(x, y)"
        " JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.x"
        " JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.y)"
    )
    falls = compose(" OR c.xmin IN ({})", dependants.written(run))
    return compose(
        "FOR migrator_child IN SELECT k.conrelid::regclass AS name, {pairs} AS pairs,\n"
        " CASE k.conrelid{own} ELSE 'false' END\n"
        " || CASE WHEN {falls} THEN {these} ELSE '' END{back_references} AS own\n"
        "  FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conparentid = 0\n"
        "   AND k.confrelid = {target_sql}::regclass LOOP\n"
        "EXECUTE format('SELECT count(*) FROM %s AS c JOIN (%s) AS p ON %s WHERE NOT (%s)', migrator_child.name,\n"
        " {rows}, migrator_child.pairs, migrator_child.own) INTO migrator_count USING migrator_run;\n"
        "IF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: % rows of % that the run did not bring point to its rows', "
        "{name}, migrator_count, migrator_child.name USING HINT = {forced};\n"
        "END IF;\nEND LOOP;\n",
        pairs=pairs, own=own, falls=dependants.FALLS, these=literal(falls),
        back_references=_back_references(plan, table), target_sql=literal(table.into.target_sql),
        rows=literal(rows), name=literal(table.name), forced=literal(forced),
    )  # fmt: skip


def _back_references(plan: Plan, table: TablePlan) -> Sql:
    """The source rows that the run itself wrote the target's ids into, where that is a foreign key; more of `own`."""
    result = NOTHING
    for other in plan.moved:
        sharing = other.into.target_sql == table.into.target_sql
        if not (sharing and dependants.writes_back_to(plan, other, other.feed.source_sql)):
            continue
        own = literal(compose(" OR {}", dependants.is_back_reference(scripted(plan, other, verbatim("$1")))))
        named = compose("a.attrelid = k.conrelid AND a.attname = {}", literal(other.link.backref or ""))
        column = compose("SELECT a.attnum FROM pg_attribute AS a WHERE {}", named)
        same = compose(
            "k.conrelid = {}::regclass AND k.conkey = ARRAY({})", literal(other.feed.source_sql), column
        )
        result = compose("{}\n || CASE WHEN {} THEN {} ELSE '' END", result, same, own)
    return result


def _own_rows(plan: Plan, target: str) -> Sql:
    """Whether a row `c` of a target table is one that the run brought, by any of its table mappings."""
    run = verbatim("$1")
    tables = [table for table in plan.moved if table.into.target_sql == target]
    return joined(" OR ", (dependants.is_own(scripted(plan, table, run)) for table in tables))
