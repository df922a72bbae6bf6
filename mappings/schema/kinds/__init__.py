"""The kinds of schema steps, one a file: how each is composed, looked up, carried out, exported and undone."""

from __future__ import annotations

from mappings.plan.schema_steps import Step
from mappings.schema.applied import Applied
from mappings.schema.kinds.add_column import AddColumn
from mappings.schema.kinds.add_index import AddIndex
from mappings.schema.kinds.kind import Execution, Gift, Kind
from mappings.schema.kinds.shadow_column import ShadowColumn
from mappings.schema.kinds.shadow_constraints import ShadowConstraints
from mappings.schema.kinds.shadow_fill import ShadowFill
from mappings.schema.kinds.shadow_index import ShadowIndex
from mappings.schema.kinds.shadow_validation import ShadowValidation
from mappings.schema.kinds.widen import Widen

__all__ = ["Execution", "Kind", "gives", "of"]

ALL = (
    Widen(), AddColumn(), AddIndex(),
    ShadowColumn(), ShadowFill(), ShadowIndex(), ShadowConstraints(), ShadowValidation(),
)  # fmt: skip
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in ALL}


def of(step: Step | Applied) -> Kind:
    """The kind of a step, or of what a register remembers of one."""
    return BY_NAME[step.kind]


def gives(kind: str) -> Gift:
    """What tables have by a kind of step (Kind.gives); '' for one of a version that is not known here."""
    known = BY_NAME.get(kind)
    return known.gives if known else ""
