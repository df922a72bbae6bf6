"""What a user without any rights but to create in schema public can lay in wait for us there (the default to 14)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from tests.conftest import Pair
from tests.journeys.world import execute

KINDS = ("varchar", "text")
OPERATORS = {"||": "varchar", "=": "boolean", "<>": "boolean", "<": "boolean", ">": "boolean", "<=": "boolean",
             ">=": "boolean", "~~": "boolean"}  # fmt: skip
FUNCTIONS = {"lower": "varchar", "upper": "varchar", "md5": "varchar", "btrim": "varchar", "length": "integer",
             "jsonb_build_array": "jsonb", "row_to_json": "json", "quote_ident": "text"}  # fmt: skip
WRONG = {
    "varchar": "'stolen'",
    "text": "'stolen'",
    "boolean": "true",
    "integer": "0",
    "jsonb": "'[]'",
    "json": "'{}'",
}


def maker() -> str:
    """The name of the user that lays them."""
    return f"mallory_{uuid.uuid4().hex[:8]}"


def lay(pair: Pair, name: str, schema: str) -> None:
    """As that user, in both databases: exact-type operators and functions that yield wrong values, and that grant their
    maker the tables of a schema with the rights of whoever runs them."""
    execute(pair.target, f"CREATE ROLE {name} LOGIN")
    for url in dict.fromkeys(pair):
        execute(url, "GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC")
        execute(url, f"SET ROLE {name}; {''.join(_traps(name, schema))}")


def unlay(pair: Pair, name: str) -> None:
    """Takes the user away."""
    for url in dict.fromkeys(pair):
        execute(url, f"DROP OWNED BY {name} CASCADE")
    execute(pair.target, f"DROP ROLE {name}")


def robbed(pair: Pair, name: str) -> list[str]:
    """The tables that the user may read by now."""
    query = (
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p')"
        " AND c.relnamespace::regnamespace::text"
        f" IN ('old', 'new', 'migrator') AND has_table_privilege('{name}', c.oid, 'SELECT') ORDER BY 1"
    )
    return [str(row[0]) for url in dict.fromkeys(pair) for row in execute(url, query)]


def _traps(name: str, schema: str) -> Iterator[str]:
    grab = f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}"
    made = "RETURNS {} LANGUAGE plpgsql AS $$ BEGIN BEGIN {}; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN {}; END $$;"
    pairs = [(a, b) for a in KINDS for b in KINDS if (a, b) != ("text", "text")]
    for number, (operator, result) in enumerate(OPERATORS.items()):
        for left, right in pairs:
            function = f"public.trap_{number}"
            yield f"CREATE FUNCTION {function}({left}, {right}) {made.format(result, grab, WRONG[result])}"
            yield f"CREATE OPERATOR public.{operator} (FUNCTION = {function}, LEFTARG = {left}, RIGHTARG = {right});"
    for function, result in FUNCTIONS.items():
        yield f"CREATE FUNCTION public.{function}(varchar) {made.format(result, grab, WRONG[result])}"
        yield f"CREATE FUNCTION public.{function}(varchar, varchar) {made.format(result, grab, WRONG[result])}"
