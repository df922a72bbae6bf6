"""What a statement about one table of one run is made for."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import Sql

RunNumber = int | Sql
"""A run's number, or SQL for one that is known only when the statement runs: a variable, a placeholder."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One table of a plan and the run that moves it. fresh: no earlier run brought rows of this table."""

    plan: Plan
    table: TablePlan
    run: RunNumber
    fresh: bool
