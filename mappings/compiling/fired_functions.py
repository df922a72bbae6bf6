"""Functions of the target that would not find their names in our sessions, as warnings."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.catalog import fired
from mappings.compiling.names.resolve import Databases, Resolved
from mappings.problems import Problem
from mappings.sql import ident


def of_table(table: Resolved, databases: Databases) -> Iterator[Problem]:
    """One for each function whose body is read by a path from which a schema had to be left out."""
    functions = [one for one in fired.of_table(databases.target, table.target.oid) if one.loose]
    left_out = fired.left_out(databases.target) if functions else []
    if not left_out:
        return
    names = ", ".join(ident(name) for name in left_out)
    for one in functions:
        yield Problem(
            f"{table.path}.target",
            f"{one.what} runs {one.function}, which has no search_path of its own, and names without a schema are not"
            f" looked up in {names} here, because other users may create objects there: ALTER FUNCTION {one.function}"
            f" SET search_path = …, or REVOKE CREATE ON SCHEMA {names} FROM those who may",
        )
