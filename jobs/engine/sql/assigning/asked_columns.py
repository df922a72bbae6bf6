"""What has to be known of a row before a value can be assigned to it, as SQL over its feed."""

from __future__ import annotations

from jobs.engine.sql.references import parents
from mappings.plan.model import Plan
from mappings.plan.references import Assigned, Reference
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql, compose, joined, verbatim


class Columns:
    """The mapped columns that have to be known of a row, as SQL over the feed: `named`, with the `joins` they need.

    late: references that are filled after all rows are in; of these `there` is where the parent is by now, if it is,
    and `unknown` whether it is not.
    """

    def __init__(self, plan: Plan, table: TablePlan) -> None:
        wanted = table.asked_to_assign
        self.named = {
            value.target: compose("f.c{}::{}", number, value.type)
            for number, value in enumerate(table.values, start=1)
            if value.target in wanted
        }
        self.joins: list[Sql] = []
        self.late: dict[str, Sql] = {}
        self.there: dict[str, Sql] = {}
        self.unknown: list[Sql] = []
        for target, refs in table.referring.items():
            if target in wanted and not refs[0][1].assigned:
                self._refer(plan, table, target, refs)

    def _refer(self, plan: Plan, table: TablePlan, target: str, refs: list[tuple[int, Reference]]) -> None:
        values = []
        for number, ref in refs:
            result = parents.resolve(plan, number, ref)
            values.append(parents.reference_value(number, ref, result, strict=False))
            self.joins.append(result.joins)
        value = parents.together(refs, values)
        if any(ref.deferred or ref.parent == table.name for _, ref in refs):
            by = [parents.looked_up_by(number, ref) for number, ref in refs]
            asked = joined(" OR ", (compose("({})", _all_known(parts)) for parts in by))
            keys = joined(", ", (part for parts in by for part in parts))
            self.late[target] = compose("CASE WHEN {} THEN jsonb_build_array({})::text END", asked, keys)
            self.there[target] = value
            self.unknown.append(compose("({}) AND ({}) IS NULL", asked, value))
            self.named[target] = compose("NULL::{}", refs[0][1].type)
        else:
            self.named[target] = value

    def place(self, how: Assigned) -> tuple[Sql, Sql]:
        """(among which rows values must differ, what that is for rows that are there)."""
        place = [self.late.get(name) or as_text(how, name, self.named[name]) for name in how.within]
        there = [as_text(how, name, self.there.get(name, self.named[name])) for name in how.within]
        known = together(there)
        if self.unknown:
            known = compose("CASE WHEN NOT ({}) THEN {} END", joined(" OR ", self.unknown), known)
        return together(place), known


def _all_known(parts: list[Sql]) -> Sql:
    return joined(" AND ", (compose("{} IS NOT NULL", part) for part in parts))


def as_text(how: Assigned, name: str, value: Sql) -> Sql:
    """A value of a column of `within` as a text that equal values share."""
    return compose("lower(({})::text)" if name in how.folded else "({})::text", value)


def together(texts: list[Sql]) -> Sql:
    return compose("jsonb_build_array({})::text", joined(", ", texts)) if texts else verbatim("''::text")
