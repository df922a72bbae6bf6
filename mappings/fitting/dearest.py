"""Which tables are left unmeasured where somebody waits for the plan."""

from __future__ import annotations

from collections.abc import Iterable

from mappings.fitting.measure_columns import Measuring

TOO_SLOW = "its values could not be measured in the time that a statement may take; what does not fit fails"


def dearest(measurings: Iterable[Measuring], most: float | None) -> tuple[str, ...]:
    """The tables that are not measured if all others together may cost `most` in the server's own units, None for no
    limit: the dearest first."""
    if most is None:
        return ()
    costs = {result.compiler.table.spec.name: result.cost() for result in measurings}
    left, dear = sum(costs.values()), []
    for name in sorted(costs, key=costs.__getitem__, reverse=True):
        if left <= most:
            break
        dear.append(name)
        left -= costs[name]
    return tuple(dear)
