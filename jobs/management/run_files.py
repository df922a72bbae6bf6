"""`run report`, `run log`, `run evidence`: what is known of a run as files, to hand over."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from jobs.history.origin import terminal_user
from jobs.management.row_commands import add_filters, filters_of
from jobs.models import Run
from jobs.reporting import rollback_proof
from jobs.reporting.evidence import checking, signing
from jobs.reporting.evidence.document import as_text, evidence
from jobs.reporting.files import text, workbook
from jobs.reporting.files.content import content_of
from jobs.reporting.rollback_proof import proof_of
from jobs.reporting.run_log import lines_of
from jobs.reporting.summary import DIFFERENT
from mappings.models import Environment
from mappings.problems import Problem, Refused

Find = Callable[[dict[str, Any]], Run]


def add_files(verbs: Any) -> None:
    """The parsers of the three."""
    report = verbs.add_parser("report", help="the last report of a run as a file, with all differences")
    log = verbs.add_parser("log", help="what happened to a run, line by line")
    for parser in (report, log):
        parser.add_argument("run", type=int, help="the run's number")
        parser.add_argument("--output", metavar="FILE", help="else it goes to standard output")
    report.add_argument("--format", choices=("csv", "xlsx", "json", "text"), help="default: csv")
    report.add_argument(
        "--rollback",
        action="store_true",
        help="instead whether its rollback brought all back, as text or JSON",
    )
    add_filters(report)
    _add_evidence(verbs.add_parser("evidence", help="signed evidence of a run, made or checked"))


def _add_evidence(parser: ArgumentParser) -> None:
    parser.add_argument("run", type=int, nargs="?", help="the run's number, to make its evidence")
    parser.add_argument("--output", metavar="FILE", help="where it goes, else to standard output")
    parser.add_argument(
        "--check", metavar="FILE", help="check this evidence: its signature, then the databases"
    )
    parser.add_argument(
        "--public-key", nargs="?", const="", metavar="KEY",
        help="the key that you trust (default: this installation's); alone: print this installation's",
    )  # fmt: skip
    parser.add_argument(
        "--env", help="the databases to check on, as an environment here (default: by its name)"
    )
    parser.add_argument("--source", metavar="URL", help="the source database to check on")
    parser.add_argument("--target", metavar="URL", help="the target database to check on")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def write_file(options: dict[str, Any], find: Find, out: IO[str]) -> int:
    """Does what is asked; the exit status. Refused where it cannot be."""
    if options["verb"] == "report" and options["rollback"]:
        _write_proof(find(options), options, out)
    elif options["verb"] == "report":
        _write_report(find(options), options, out)
    elif options["verb"] == "log":
        _write(lines_of(find(options)), options["output"], out)
    elif options["check"]:
        return _check(options, out)
    elif options["run"] is not None:
        made = evidence(find(options), f"{terminal_user()}, by a command")
        _write([as_text(made)], options["output"], out)
    elif options["public_key"] is not None:
        out.write(f"{signing.public_key()}\n")
    else:
        raise Refused([Problem("", "name a run to make its evidence, or a file by --check")])
    return 0


def _check(options: dict[str, Any], out: IO[str]) -> int:
    """0 where all holds that can be looked at, DIFFERENT where something does not."""
    try:
        written = Path(options["check"]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused([Problem("--check", f"{options['check']} cannot be read: {error}")]) from error
    document = checking.read(written, options["public_key"] or signing.public_key())
    result = list(checking.findings(document, *_addresses(document, options)))
    holds = all(one.holds is not False for one in result)
    if options["format"] == "json":
        told = {"signed": True, "holds": holds, "findings": [asdict(one) for one in result]}
        out.write(f"{json.dumps(told)}\n")
    else:
        run, made = document["run"]["number"], document["made"]
        out.write(f"Signed: evidence of run {run}, made {made} by {document['made_by']}.\n")
        words = {True: "holds", False: "DOES NOT HOLD", None: "cannot be checked"}
        out.writelines(f"{words[one.holds]}: {one.what} ({one.detail})\n" for one in result)
    return 0 if holds else DIFFERENT


def _addresses(document: dict[str, Any], options: dict[str, Any]) -> tuple[str, str]:
    """Where to check: as named, else where an environment of this installation leads."""
    if options["source"] and options["target"]:
        return options["source"], options["target"]
    name = options["env"] or document["environment"]
    environment = Environment.objects.filter(name=name).first()
    if environment is None:
        told = f"there is no environment called {name} here: name --env, or --source URL and --target URL"
        raise Refused([Problem("", told)])
    return options["source"] or environment.source_url, options["target"] or environment.target_url


def _write_report(run: Run, options: dict[str, Any], out: IO[str]) -> None:
    """The last report of a run with all its differences. Refused where there is none, or they are gone."""
    form, path = options["format"] or "csv", options["output"]
    if form == "text":
        raise Refused([Problem("--format", "text is for --rollback; differences are csv, xlsx or json")])
    if form == "xlsx" and not path:
        raise Refused([Problem("--output", "a workbook is no text: name the file it goes to")])
    content = content_of(run, filters_of(options))
    if form == "xlsx":
        with _opened(path, "wb") as file:
            workbook.write(content, file)
        return
    _write((text.csv_pieces if form == "csv" else text.json_pieces)(content), path, out)


def _write_proof(run: Run, options: dict[str, Any], out: IO[str]) -> None:
    """What of the target is as it was before the run. Refused while the run is not rolled back."""
    proof = proof_of(run)
    if proof is None:
        raise Refused([Problem("", f"run {run.pk} is {run.status.replace('_', ' ')}, not rolled back")])
    if options["format"] not in (None, "text", "json"):
        raise Refused([Problem("--format", "a rollback is told as text or json")])
    told = [json.dumps(proof.to_json())] if options["format"] == "json" else rollback_proof.lines(proof)
    _write((f"{line}\n" for line in told), options["output"], out)


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
