"""What only a look at all keys tells: matches that never hold, circles of parents, keys that are spelled otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mappings.compiling.columns import Compiler
from mappings.compiling.names.resolve import Databases
from mappings.fitting import key_spelling, match_keys, taken_values
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem


def problems(
    tables: Sequence[TablePlan], compilers: Mapping[str, Compiler], databases: Databases
) -> tuple[list[Problem], list[Problem]]:
    """(warnings, blockers). Reads whole tables."""
    warnings: list[Problem] = []
    blockers: list[Problem] = []
    plans = {table.name: table for table in tables}
    for plan in tables:
        child = compilers[plan.name]
        if not child.sound:
            continue
        warnings += taken_values.suffixed(plan, child.table.path, databases)
        warnings += match_keys.never_matching(plan, child.table.path, databases.source)
        blockers += match_keys.circles(plan, child.table.path, databases.source)
        for ref in filter(lambda ref: ref.parent and not ref.inside, plan.references):
            parent = compilers[ref.parent]
            if parent.sound:
                both = child, parent, plans[ref.parent]
                blockers += key_spelling.of_reference(*both, ref, databases.same)
    return warnings, blockers
