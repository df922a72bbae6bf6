"""The join that counts what is wrong in a part of a table, and tells in which smaller parts it is."""

from __future__ import annotations

from jobs.engine.sql import compare, judged, key_sql
from jobs.engine.sql.walks.chunk_range import Part, Range
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, verbatim

SMALLER = 64
"""Parts into which a part is divided, one for each bit of a number."""

ONE_SNAPSHOT = verbatim("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
"""What is counted and what is then looked at are the same rows."""


def counted(plan: Plan, table: TablePlan, relation: Sql, chunk: Range, part: Part, identical: bool) -> Sql:
    """One row: (source rows, found in the target, missing, extra, different, kept, kept and alike, and by the bits of a
    number the smaller parts in which any row is wrong; NULL: none).

    Nothing is put together of the rows, so that all of them may be wrong, and several processes may count.
    """
    place = compose("({} & {}) / {}", _hashed(table, part), part.of * SMALLER - 1, part.of)
    rows = judged.judged(
        plan, table, relation, chunk,
        compose("CASE WHEN {} THEN true END AS different", compare.differs(plan, table, identical)),
        compose(
            "CASE WHEN {} THEN 1::bigint << ({})::integer END AS bit", judged.wrong(plan, table, identical), place
        ),
    )  # fmt: skip
    return compose(
        "SELECT {}, count(c.different), {}, bit_or(c.bit)\n  FROM {} AS c",
        judged.COUNTED,
        judged.KEPT,
        rows,
    )


def _hashed(table: TablePlan, part: Part) -> Sql:
    """The hash of a joined row's key, which both of its sides have."""
    fed = key_sql.hashed(key_sql.key_of(table, verbatim("f")), part.by_image)
    if table.link.link_by == "map":  # which joins no row that the feed has not
        return fed
    result = key_sql.hashed(key_sql.source_ids(table, verbatim("t")), part.by_image)
    return compose("CASE WHEN f.present THEN {} ELSE {} END", fed, result)


def smaller(part: Part, bits: int | None) -> Part:
    """The smaller parts that `counted` told of."""
    result = [place for place in range(SMALLER) if (bits or 0) >> place & 1]
    return Part(
        part.of * SMALLER,
        tuple(one + part.of * place for one in part.chosen for place in result),
        part.by_image,
    )
