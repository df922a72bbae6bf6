"""The constraints over a shadow column are validated, and the column is analysed."""

from __future__ import annotations

from mappings.plan.schema_steps import Step, Weight
from mappings.schema.kinds.kind import Execution, T
from mappings.schema.kinds.preparing import Preparing
from mappings.schema.lock_cost import of_scans
from mappings.schema.safe_change import Change, not_null_check, swapped
from mappings.sql import compose, dollar_quoted, ident, joined


class ShadowValidation(Preparing):
    """A block that commits after each validation."""

    name = "shadow_validation"
    lock = "SHARE UPDATE EXCLUSIVE"
    alone = True

    def carry_out(self, step: Step, by: Execution[T]) -> T:
        return by.one_by_one(step)


def validate_shadow(change: Change) -> Step:
    """Each validation is a transaction, under a lock that lets others read and write."""
    valid = [
        (one.relation, change.name(one))
        for one in change.dependents.bound
        if one.kind != "index" and one.valid
    ]
    if change.dependents.not_null:
        valid.insert(0, (change.target.sql, not_null_check(change)))
    each = joined(
        "",
        (
            compose(
                "  ALTER TABLE {} VALIDATE CONSTRAINT {};\n  COMMIT;\n",
                table,
                ident(name),
            )
            for table, name in valid
        ),
    )
    body = compose(
        "BEGIN\n  IF {swapped} THEN\n    RETURN;\n  END IF;\n{each}  ANALYZE {target};\nEND",
        swapped=swapped(change),
        each=each,
        target=change.target.sql,
    )
    does = "validate its constraints, and analyse" if valid else "analyse"
    cost = of_scans(change.target, len(valid))
    weight: Weight = "table scan" if valid else "catalog only"
    return ShadowValidation().step(
        change, does, (compose("DO {}", dollar_quoted(body)),), weight=weight, heaviness=cost
    )
