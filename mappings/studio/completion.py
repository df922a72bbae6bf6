"""What an expression may be completed with: source columns, conversions, allowed functions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg

from mappings.connections.unreachable import DatabaseUnreachable
from mappings.conversions.kit import OFFERED
from mappings.expressions.allowlist import FUNCTIONS
from mappings.expressions.parser import ExpressionError, parse_expression
from mappings.models import Environment
from mappings.problems import Refused
from mappings.sql import encoded, ident, verbatim
from mappings.studio.sessions import session_of

SIGNATURES = verbatim("""
SELECT p.proname, min(pg_get_function_arguments(p.oid)), count(*), min(format_type(p.prorettype, NULL)),
       coalesce(min(obj_description(p.oid, 'pg_proc')), '')
  FROM pg_proc p
 WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proname = ANY(%s)
 GROUP BY p.proname
 ORDER BY p.proname
""")

SYNTAX = (
    ("coalesce", "a, b, …", "the first that is not NULL"),
    ("nullif", "a, b", "NULL where both are equal"),
    ("greatest", "a, b, …", "the largest"),
    ("least", "a, b, …", "the smallest"),
    ("CASE", "WHEN … THEN … ELSE … END", "one of several values, by conditions"),
)


def completions(
    environment: Environment | None, columns: Sequence[tuple[str, str]], parameters: Sequence[str] = ()
) -> dict[str, Any]:
    """As JSON: {"columns": [{"insert", "show", "note"}], "functions": [{"insert", "show", "note"}]}."""
    try:
        functions = _functions(environment.pk, environment.updated.isoformat()) if environment else ()
    except (DatabaseUnreachable, Refused, psycopg.Error):
        functions = ()  # asked for again next time, as only answers are kept
    return {
        "columns": [
            *({"insert": _written(name), "show": name, "note": kind} for name, kind in columns),
            *({"insert": f":{name}", "show": f":{name}", "note": "parameter"} for name in parameters),
        ],
        "functions": [
            *(
                {"insert": f"{name}(", "show": f"{name}({rest})", "note": note}
                for name, rest, note in SYNTAX[:4]
            ),
            {"insert": "CASE WHEN ", "show": "CASE WHEN … THEN … ELSE … END", "note": SYNTAX[4][2]},
            *(
                {
                    "insert": f"{macro.name}(",
                    "show": macro.signature,
                    "note": f"{macro.about} {macro.example} is {macro.gives}",
                }
                for macro in OFFERED
            ),
            *(dict(result) for result in functions),
        ],
    }


def _written(name: str) -> str:
    """A column's name as an expression has it: quoted only where it must be."""
    qualifier, dot, column = name.rpartition(".")
    for text in (name, f"{ident(qualifier)}.{ident(column)}" if dot else ident(name)):
        try:
            named = parse_expression(text).columns
        except ExpressionError:
            continue
        if len(named) == 1 and named[0].name == (column if dot else name):
            return text
    return ident(name)


@lru_cache(maxsize=8)
def _functions(pk: int, _updated: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """The allowed functions that this source's server has."""
    environment = Environment.objects.get(pk=pk)
    with session_of(environment, "source") as session:
        rows = session.execute(encoded(SIGNATURES), [sorted(FUNCTIONS)]).fetchall()
    return tuple(
        (
            ("insert", f"{name}("),
            ("show", f"{name}({arguments})" + (" …" if count > 1 else "")),
            ("note", f"{returns}: {text}" if text else returns),
        )
        for name, arguments, count, returns, text in rows
    )
