"""`mapping suggest`: its options, and where its draft goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mappings.management.refusing import named
from mappings.models import Environment
from mappings.planning import suggestions
from mappings.problems import Problem, Refused
from mappings.suggesting import draft


def add_to(actions: Any, run_it: Callable[[dict[str, Any]], None]) -> None:
    """The subcommand's options."""
    parser = actions.add_parser("suggest", help="propose tables and columns, as a draft of a mapping file")
    parser.add_argument("name", metavar="NAME", help="a mapping, whose gaps are proposed, or a new one")
    parser.add_argument("--env", required=True, metavar="ENV")
    parser.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="SOURCE=TARGET",
        help="only this pair of tables; may be repeated",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--output", metavar="FILE", help="a new file, or a draft that nobody has changed since"
    )
    where.add_argument("--format", choices=["text", "json"], default="text")
    parser.set_defaults(run=run_it)


def run(options: dict[str, Any], write: Callable[[str], object]) -> None:
    """Proposes, and writes the draft or prints it. Refused before anything is written."""
    environment = named(Environment, options["env"])
    path = Path(options["output"]) if options["output"] else None
    if path:
        _check_free(path)
    suggested = suggestions.make(options["name"], environment, options["table"])
    if options["format"] == "json":
        write(json.dumps(suggested.to_json(), ensure_ascii=False))
    elif path is None:
        write(suggested.draft())
    else:
        _save(path, suggested.draft())
        write(f"{path}: {_counted(suggested)}")


def _check_free(path: Path) -> None:
    """Refused where a file is there that is not a draft as it was written: somebody's work."""
    try:
        there = path.read_text() if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused([Problem("", f"The file {path} is there and cannot be read: {error}.")]) from error
    if there is not None and not draft.is_untouched(there):
        text = f"The file {path} is there and is no untouched draft: name another, or move it away."
        raise Refused([Problem("", text)])


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise Refused([Problem("", f"The file {path} cannot be written: {error.strerror}.")]) from error


def _counted(suggested: suggestions.Suggestions) -> str:
    columns = [column for proposal in suggested.drafted for column in proposal.columns]
    sure = sum(column.sure for column in columns)
    return f"{len(suggested.drafted)} tables, {len(columns)} columns proposed, {sure} of them sure."
