"""Plans of small mappings over tables that were just made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mappings.compiling.names.resolve import Databases
from mappings.connections import sessions
from mappings.language.file import parse
from mappings.language.spec import MappingSpec
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.planning.planner import Planning
from tests.conftest import Pair
from tests.journeys.world import execute

EMPTY = (
    "DROP SCHEMA IF EXISTS old, new, migrator CASCADE; CREATE SCHEMA old; CREATE SCHEMA new;"
    " DROP PUBLICATION IF EXISTS news"
)


def spec(tables: str, options: str = "") -> MappingSpec:
    """tables: the items of `tables:`, each a YAML flow mapping on a line of its own."""
    return parse(
        f"version: 1\nname: small\n{options}\ntables:\n"
        + "".join(f"  - {line.strip()}\n" for line in tables.strip().splitlines())
    )


class Board:
    """Empty schemas `old` and `new`, and the plan that a mapping between them gives."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        for url in dict.fromkeys(pair):
            execute(url, EMPTY)

    @classmethod
    def of(cls, pair: Pair) -> Board:
        """The same schemas as they are, seen through other addresses."""
        board = cls.__new__(cls)
        board.pair = pair
        return board

    def given(self, source: str, target: str) -> None:
        """Makes tables; bare names are in `old` at the source and in `new` at the target."""
        execute(self.pair.source, f"SET search_path = old; {source}")
        execute(self.pair.target, f"SET search_path = new; {target}")

    def plan(self, tables: str, options: str = "", safe: bool = False) -> Plan:
        """The plan of such tables."""
        with self.opened() as found:
            plan = Planning(spec(tables, options), found, safe=safe).plan(1, "0" * 64, "local")
        of_tables = tuple(warning for warning in plan.warnings if "is a superuser" not in warning.text)
        return replace(plan, warnings=of_tables)  # the tests' own role is one

    @contextmanager
    def opened(self) -> Iterator[Databases]:
        """Both databases, for reading."""
        with (
            sessions.connect(self.pair.source, purpose="test", read_only=True) as source,
            sessions.connect(self.pair.target, purpose="test", read_only=True) as target,
        ):
            yield Databases(source, target, sessions.same_database(source, target))

    def table(self, tables: str, options: str = "") -> TablePlan:
        """The only table of a plan that nothing blocks."""
        plan = self.plan(tables, options)
        assert plan.blockers == ()
        (table,) = plan.tables
        return table

    def blockers(self, tables: str, options: str = "") -> list[str]:
        """What blocks the plan, as people read it."""
        return [str(problem) for problem in self.plan(tables, options).blockers]

    def steps(self, tables: str, options: str = "") -> list[str]:
        """Every statement of the plan's steps, in order."""
        plan = self.plan(tables, options)
        assert plan.blockers == ()
        return [statement for step in plan.steps for statement in step.sql]
