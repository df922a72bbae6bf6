"""`run rollback`: what it is told, and its preview."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any, Protocol

from jobs.actions import runs as actions
from jobs.actions.rollbacks import Against
from jobs.models import Run
from jobs.running.rollback.edited import CHOICES, LEAVE, REFUSE


class Out(Protocol):
    """What the preview is written to."""

    def write(self, text: str, /) -> object: ...


def add_rollback(parser: ArgumentParser) -> None:
    parser.add_argument("--keep-schema", action="store_true", help="undo the rows, not the columns added")
    parser.add_argument(
        "--edited", choices=CHOICES, default=REFUSE,
        help="rows that were edited since: refuse (default), leave those with what they point to, or take them too",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="also rows changed since, or depended on")
    parser.add_argument("--preview", action="store_true", help="only say what stands against it")


def roll_back(run: Run, options: dict[str, Any], out: Out) -> bool:
    """Starts the rollback, or writes what stands against it; whether it started."""
    if options["preview"]:
        against = actions.rollback_against(run, options["keep_schema"])
        told = json.dumps(_plain(run, against)) if options["format"] == "json" else "\n".join(_lines(against))
        out.write(told)
        return False
    named = {name: options[name] for name in ("keep_schema", "force", "edited")}
    actions.roll_back(run, None, **named)
    return True


def _plain(run: Run, against: Against) -> dict[str, Any]:
    return {
        "run": run.pk,
        "edited": [asdict(rows) for rows in against.if_left.rows],
        "refused": {choice: [str(problem) for problem in against.of(choice)] for choice in CHOICES},
    }


def _lines(against: Against) -> list[str]:
    lines = [
        f"{rows.table}: {rows.edited:,} rows were edited since, for example source rows {', '.join(rows.examples)};"
        f" left, they hold {rows.held:,} more to which they point"
        for rows in against.if_left.rows
    ]
    for choice in CHOICES if against.edited else (REFUSE,):
        result = [str(problem) for problem in against.of(choice)]
        lines.append(f"--edited {choice}: {'; '.join(result) or 'nothing stands in the way'}")
    return lines if against.edited or against.of(LEAVE) else ["Nothing stands in the way."]
