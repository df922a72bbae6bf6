"""The passport of one row: what is known of it in both databases, and of its run here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import psycopg

from jobs.engine.errors import EngineError, translate
from jobs.engine.moving import passport
from jobs.engine.moving.passport import Passport
from jobs.engine.target import ledger
from jobs.models import Run
from jobs.running.session import opened
from mappings.problems import Problem, Refused

LOOK_MS = 30_000


def row_passport(run: Run, table: str, source: str | None = None, target: str | None = None) -> Passport:
    """By the key of the source row or of the target row, as the map and the report write it; exactly one of them.

    Raises Refused for a table that is none of the run's, a key that is none of its type, a row that nobody knows.
    """
    result = run.tables.filter(name=table).first()
    if result is None:
        names = ", ".join(run.tables.values_list("name", flat=True))
        raise Refused([Problem("table", f"run {run.pk} has no table {table!r}; it has {names}")])
    if (source is None) == (target is None):
        raise Refused([Problem("", "name one key: of the source row, or of the target row")])
    try:
        with opened(run, "row passport") as session:
            session.limit(LOOK_MS)
            ledger.install(session.target)
            known = passport.of_row(session.work(result), source, target)
    except psycopg.DataError as error:
        text = f"{source if target is None else target!r} is no key of {table}: {str(error).splitlines()[0]}"
        raise Refused([Problem("key", text)]) from error
    except psycopg.Error as error:
        raise Refused([Problem("", str(translate(error)))]) from error
    except EngineError as error:
        raise Refused([Problem("", str(error))]) from error
    if not known.is_known:
        side, key = ("source", source) if target is None else ("target", target)
        raise Refused([Problem("key", f"nothing is known of a {side} row {key} of {table}")])
    return known


def as_json(run: Run, known: Passport) -> dict[str, Any]:
    """The passport as one object; times in ISO 8601."""
    plain = asdict(known)
    if plain["brought"] and known.brought and known.brought.at:
        plain["brought"]["at"] = known.brought.at.isoformat()
    return {"asked_of_run": run.pk, **plain, "columns": list(plain["columns"])}
