"""Random expressions: printed, read again, and computed as written and as bound, where users made operators too."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import psycopg
import pytest

from mappings.expressions import tree
from mappings.expressions.parser import ExpressionError, parse_expression
from mappings.expressions.printer import to_sql
from mappings.expressions.walking import walk
from migrator_site.embedded import Postgres
from tests import traps
from tests.accepted_expressions import ACCEPTED
from tests.random_expressions import random_expressions
from tests.test_printed_expressions import SCHEMA, values

COUNT = int(os.environ.get("RANDOM_EXPRESSIONS", "400"))
SEED = int(os.environ.get("RANDOM_SEED", "1"))
OWN_WORDS = re.compile(r"0x|\d_\d")
"""What servers before 16 read in another way, or not at all."""


@pytest.fixture(scope="module", params=["pg18", "pg16", "pg15"])
def server(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    running: Postgres = request.getfixturevalue(request.param)
    with psycopg.connect(running.url("postgres"), autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("BEGIN")
        connection.execute(SCHEMA)
        assert traps.set_traps(connection) > 600
        yield connection
        connection.execute("ROLLBACK")


def outcome(connection: psycopg.Connection, sql: str, path: str) -> list[tuple[str, str]] | str:
    """The values and types, or the SQLSTATE of the error."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL search_path = {path}")
            return values(connection, sql)
    except psycopg.Error as error:
        return (
            f"{error.sqlstate} {error.diag.message_primary}"
            if traps.TRAPPED in str(error)
            else str(error.sqlstate)
        )


def relies_on_the_path(node: tree.Node) -> bool:
    """NULLIF, and CASE over a row: see mappings/expressions/binding.py."""
    return any(
        isinstance(found, tree.NullIf) or (isinstance(found, tree.Case) and found.subject)
        for found in walk(node)
    )


def test_they_are_computed_alike_and_never_by_a_users_operator(server: psycopg.Connection) -> None:
    wrong, refused, trapped = [], 0, 0
    texts = [*ACCEPTED, *random_expressions(SEED, COUNT)]
    for text in texts:
        try:
            expression = parse_expression(text)
        except ExpressionError:
            refused += 1
            continue
        old = server.info.server_version < 160000 and OWN_WORDS.search(text)
        written = outcome(server, to_sql(expression.tree) if old else text, "pg_catalog, public")
        again = parse_expression(to_sql(expression.tree)) if not _has_field(expression.tree) else expression
        path = "pg_catalog, public" if relies_on_the_path(expression.bound) else traps.PATH
        for printed, where in ((to_sql(again.tree), "pg_catalog, public"), (expression.sql, path)):
            if (found := outcome(server, printed, where)) != written:
                wrong.append(f"{text}\n  {printed}\n  {found} instead of {written}")
        assert again.sql == expression.sql
        trapped += traps.TRAPPED in str(outcome(server, text, traps.PATH))
    assert not wrong, "\n".join(wrong[:8])
    assert refused < len(texts) / 10
    assert trapped > len(texts) / 4, "the traps work"


def _has_field(node: tree.Node) -> bool:
    return any(isinstance(found, tree.Field) for found in walk(node))
