"""`run report`, `run log`, `run evidence`: what is known of a run as files, to hand over."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from jobs.management.row_commands import add_filters, filters_of
from jobs.models import Run
from jobs.reporting.files import text, workbook
from jobs.reporting.files.content import content_of
from jobs.reporting.run_log import lines_of
from mappings.problems import Problem, Refused


def add_report(parser: ArgumentParser) -> None:
    parser.add_argument("run", type=int, help="the run's number")
    parser.add_argument("--format", choices=("csv", "xlsx", "json"), default="csv")
    parser.add_argument("--output", metavar="FILE", help="else it goes to standard output")
    add_filters(parser)


def add_log(parser: ArgumentParser) -> None:
    parser.add_argument("run", type=int, help="the run's number")
    parser.add_argument("--output", metavar="FILE", help="else it goes to standard output")


def write_report(run: Run, options: dict[str, Any], out: IO[str]) -> None:
    """The last report of a run with all its differences. Refused where there is none, or they are gone."""
    form, path = options["format"], options["output"]
    if form == "xlsx" and not path:
        raise Refused([Problem("--output", "a workbook is no text: name the file it goes to")])
    content = content_of(run, filters_of(options))
    if form == "xlsx":
        with _opened(path, "wb") as file:
            workbook.write(content, file)
        return
    _write((text.csv_pieces if form == "csv" else text.json_pieces)(content), path, out)


def write_log(run: Run, options: dict[str, Any], out: IO[str]) -> None:
    _write(lines_of(run), options["output"], out)


def _write(pieces: Iterable[str], path: str | None, out: IO[str]) -> None:
    if not path:
        for piece in pieces:
            out.write(piece)
        return
    with _opened(path, "w") as file:
        file.writelines(pieces)


def _opened(path: str, mode: str) -> IO[Any]:
    try:
        if "b" in mode:
            return Path(path).open(mode)
        return Path(path).open(mode, encoding="utf-8", newline="")
    except OSError as error:
        raise Refused([Problem("--output", f"{path} cannot be written: {error.strerror}")]) from error


def plain_out(options: dict[str, Any]) -> IO[str]:
    """Standard output without the wrapper that Django puts around it, which ends each piece with a newline."""
    return options.get("stdout") or sys.stdout
