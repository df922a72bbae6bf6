"""`manage.py run`: what the buttons do, for terminals, scripts and pipelines."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError

from jobs import states, throttles, transitions
from jobs.actions import rehearsals
from jobs.actions import runs as actions
from jobs.history.origin import terminal_user
from jobs.management.history_list import add_history_list, write_history
from jobs.management.rollback_command import add_rollback, roll_back
from jobs.management.row_commands import (
    add_differences,
    add_repair,
    add_row,
    add_verify,
    repair,
    write_differences,
    write_row,
)
from jobs.management.run_files import add_files, plain_out, write_file
from jobs.management.run_list import add_run_list, write_run_list
from jobs.models import Run
from jobs.pages import health
from jobs.processes import seats
from jobs.reporting import follow, summary
from jobs.throttles import NONE, Throttles
from mappings.management.options import add_safe_widening
from mappings.models import Environment, Mapping
from mappings.problems import Problem, Refused

NO_WORKER = "No worker is running. Start one with `make up` or `python manage.py worker`."
INTERRUPTED = 130


class Command(BaseCommand):
    """Start, watch and steer runs. Exit status: 0 done and proved, 1 failed or stopped, 2 refused, 3 differs."""

    help = "Start, watch, pause, resume, retry, cancel, verify and roll back runs."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        start = verbs.add_parser("start", help="start a run of a mapping")
        start.add_argument("name", help="the mapping's name")
        start.add_argument("--env", required=True, help="the environment's name")
        start.add_argument("--tables", help="only these tables of the mapping: a,b")
        add_safe_widening(start)
        _add_throttles(start)
        _add_common(start, wait=True)
        trial = verbs.add_parser("rehearse", help="the whole plan of a mapping, rolled back at the end")
        trial.add_argument("name", help="the mapping's name")
        trial.add_argument("--env", required=True, help="the environment's name")
        trial.add_argument("--tables", help="only these tables of the mapping: a,b")
        trial.add_argument("--rows", type=int, metavar="N", help="the first N rows of each table; else all")
        _add_common(trial)
        listing = verbs.add_parser("list", help="runs, newest first")
        add_run_list(listing)
        add_history_list(verbs.add_parser("history", help="what was done, by whom and to what, newest first"))
        add_files(verbs)
        for verb in ("status", "pause", "cancel"):
            _add_common(_run_parser(verbs, verb))
        throttle = _run_parser(verbs, "throttle")
        _add_throttles(throttle)
        throttle.add_argument("--none", action="store_true", help="take all away that is not set here")
        _add_common(throttle)
        for verb in ("resume", "retry"):
            _add_common(_run_parser(verbs, verb), wait=True)
        _add_common(add_repair(_run_parser(verbs, "repair")), wait=True)
        _add_common(add_verify(_run_parser(verbs, "verify")), wait=True)
        add_differences(_run_parser(verbs, "differences"))
        add_row(_run_parser(verbs, "row"))
        back = _run_parser(verbs, "rollback")
        _add_common(back, wait=True)
        add_rollback(back)

    def handle(self, *args: Any, **options: Any) -> None:
        transitions.introduce(f"{terminal_user()}, by a command", worker=False)
        try:
            getattr(self, f"_{options['verb']}")(options)
        except Refused as refused:
            self._refuse(*(str(problem) for problem in refused.problems))
        except (OperationalError, InterfaceError) as error:
            self.stderr.write(f"The control database went away: {str(error).strip()}")
            sys.exit(summary.FAILED)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.")
            sys.exit(INTERRUPTED)

    # ---- the verbs

    def _start(self, options: dict[str, Any]) -> None:
        mapping, environment, tables = _meant(options)
        self._check_workers(options)
        wanted, safe = NONE.changed(_named(options)), options["safe_widening"]
        run = actions.start(mapping, environment, None, tables, throttles=wanted, safe=safe)
        self._after(run, "start", options)

    def _rehearse(self, options: dict[str, Any]) -> None:
        mapping, environment, tables = _meant(options)
        if options["rows"] is not None and options["rows"] < 1:
            raise Refused([Problem("--rows", "at least one row of each table is needed")])
        done = rehearsals.rehearse(mapping, environment, None, tables, options["rows"])
        report = rehearsals.summary(done)
        text = json.dumps(report) if options["format"] == "json" else "\n".join(rehearsals.lines(report))
        self.stdout.write(text)
        if not report["clean"]:
            sys.exit(summary.FAILED if report["stopped"] else summary.DIFFERENT)

    def _list(self, options: dict[str, Any]) -> None:
        write_run_list(options, self.stdout, self.stderr.write)

    def _history(self, options: dict[str, Any]) -> None:
        write_history(options, self.stdout, self.stderr.write)

    def _file(self, options: dict[str, Any]) -> None:
        if code := write_file(options, self._run, plain_out(options)):
            sys.exit(code)

    _report = _log = _evidence = _file

    def _status(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        self._show(run, options)
        if run.status in states.RINGING:
            for ailment in health.ailments():
                self.stderr.write(f"{ailment.title} {ailment.text} `{ailment.command}`.")

    def _pause(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        actions.pause(run, None)
        self._show(self._run(options), options)

    def _throttle(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        before = NONE if options["none"] else Throttles.from_json(run.throttles)
        if options["none"] or _named(options):
            actions.throttle(run, None, before.changed(_named(options)))
        throttles = Throttles.from_json(self._run(options).throttles)
        if options["format"] == "json":
            self.stdout.write(json.dumps({"run": run.pk, "throttles": throttles.to_json()}))
            return
        said = "; ".join(throttles.sentences()) or "it is not throttled"
        self.stdout.write(f"Run {run.pk}: {said}.")

    def _cancel(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        actions.cancel(run, None)
        self._show(self._run(options), options)

    def _resume(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        self._check_workers(options)
        actions.resume(run, None)
        self._after(run, "rollback" if run.stage == "undo" else "retry", options)

    def _retry(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        self._check_workers(options)
        actions.retry(run, None)
        self._after(run, "rollback" if run.stage == "undo" else "retry", options)

    def _repair(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        self._check_workers(options)
        if repair(run, options, self.stdout):
            self._after(run, "retry", options)

    def _differences(self, options: dict[str, Any]) -> None:
        if more := write_differences(self._run(options), options, self.stdout):
            self.stderr.write(more)

    def _row(self, options: dict[str, Any]) -> None:
        write_row(self._run(options), options, self.stdout)

    def _verify(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        self._check_workers(options)
        actions.verify(run, None, options["identical"])
        self._after(run, "verify", options)

    def _rollback(self, options: dict[str, Any]) -> None:
        run = self._run(options)
        self._check_workers(options)
        if roll_back(run, options, self.stdout):
            self._after(run, "rollback", options)

    # ---- what they share

    def _run(self, options: dict[str, Any]) -> Run:
        run = Run.objects.select_related("mapping", "environment").filter(pk=options["run"]).first()
        if run is None:
            self._refuse(f"There is no run {options['run']}; `python manage.py run list` shows all.")
        return run

    def _check_workers(self, options: dict[str, Any]) -> None:
        """Without a worker, waiting would never end; workers that are just starting get some seconds."""
        until = time.monotonic() + getattr(settings, "WORKER_PATIENCE", 5)
        while options["wait"] and not seats.live().exists():
            if time.monotonic() >= until:
                self._refuse(NO_WORKER)
            time.sleep(0.2)

    def _after(self, run: Run, wanted: summary.Wanted, options: dict[str, Any]) -> None:
        """Show the run as it is; with --wait as it has become, and end with the exit status for what was wanted."""
        if not options["wait"]:
            if not seats.live().exists():
                self.stderr.write(f"{NO_WORKER} The run waits for it.")
            self._show(self._run({"run": run.pk}), options)
            return
        # The wrapper that Django puts around a stream ends each piece of a bar with a newline: go below it.
        stdout, stderr = options.get("stdout") or sys.stdout, options.get("stderr") or sys.stderr
        stream = stderr if options["format"] == "json" else stdout
        try:
            run = follow.follow(run.pk, stream)
        except KeyboardInterrupt:
            self.stderr.write(f"Run {run.pk} goes on; `python manage.py run status {run.pk}` shows how far.")
            sys.exit(INTERRUPTED)
        self._show(run, options)
        code = summary.exit_code(run, wanted)
        if code and options["format"] == "json":
            self.stderr.write(run.error or f"Run {run.pk} is {run.status.replace('_', ' ')}.")
        if code:
            sys.exit(code)

    def _show(self, run: Run, options: dict[str, Any]) -> None:
        if options["format"] == "json":
            self.stdout.write(json.dumps(summary.summary(run)))
        else:
            self.stdout.write(summary.text(run, color=self.stdout.isatty()), ending="")

    def _refuse(self, *sentences: str) -> NoReturn:
        for sentence in sentences:
            self.stderr.write(sentence)
        sys.exit(summary.REFUSED)


def _meant(options: dict[str, Any]) -> tuple[Mapping, Environment, list[str] | None]:
    """The mapping, the environment and the tables that the arguments name. Refused for what is not there."""
    mapping = Mapping.objects.filter(name=options["name"]).first()
    environment = Environment.objects.filter(name=options["env"]).first()
    if mapping is None or environment is None:
        looked_for = (("mapping", options["name"], mapping), ("environment", options["env"], environment))
        raise Refused([_unknown(noun, name) for noun, name, row in looked_for if row is None])
    if options["tables"] is None:
        return mapping, environment, None
    tables = [table for part in options["tables"].split(",") if (table := part.strip())]
    if not tables:
        raise Refused([Problem("--tables", "names no table; leave it out for all of them")])
    return mapping, environment, tables


def _unknown(noun: str, name: str) -> Problem:
    return Problem("", f"There is no {noun} called {name!r}; `python manage.py {noun} list` shows all.")


def _run_parser(verbs: Any, verb: str) -> ArgumentParser:
    words = {
        "status": "show how a run is",
        "rollback": "undo the rows of a run",
        "repair": "copy what a run lacks, and overwrite what differs in its rows; of all rows, or of chosen ones",
        "differences": "list what the last verification found, row by row",
        "row": "the passport of one row: where it comes from, what is there, what the mapping yields",
        "throttle": "set how a run is throttled, also while it goes on, or show it",
    }
    parser: ArgumentParser = verbs.add_parser(verb, help=words.get(verb, f"{verb} a run"))
    parser.add_argument("run", type=int, help="the run's number")
    return parser


def _add_throttles(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("throttles", "each from the next chunk on; off takes one away")
    for throttle in throttles.ALL:
        group.add_argument(
            throttle.option, metavar=throttle.kind.upper(), help=f"{throttle.title}: {throttle.hint}"
        )


def _named(options: dict[str, Any]) -> dict[str, str]:
    """The throttles that were named on the command line."""
    return {throttle.name: text for throttle in throttles.ALL if (text := options[throttle.name]) is not None}


def _add_common(parser: ArgumentParser, wait: bool = False) -> None:
    parser.add_argument("--format", choices=("text", "json"), default="text")
    if wait:
        parser.add_argument("--wait", action="store_true", help="follow the run to its end")
