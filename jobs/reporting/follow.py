"""Watches a run from a terminal until nothing happens to it any more: a live bar, or plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TextIO

from django.db import DatabaseError, InterfaceError, connections
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from jobs import progress, states
from jobs.models import Run
from jobs.processes import control_database, doorbell, seats

POLL_SECONDS = 0.4
LINE_SECONDS = 5.0
DATABASE_PATIENCE = 600.0
CHECKED_EVERY = 3.0
SEATS_PATIENCE = 10.0
"""Seconds before no worker is worth a word: one may just be starting."""


def follow(run_id: int, stream: TextIO) -> Run:
    """Show the run's progress on `stream` until it is finished or paused; the run as it then is.

    Outlives a control database that is away for some minutes; then raises its error.
    """
    looks = _looks(run_id, stream)
    if stream.isatty():
        return _bar(looks, stream)
    return _lines(looks, stream)


def _looks(run_id: int, stream: TextIO) -> Iterator[tuple[Run, progress.Progress]]:
    """The run and its progress, again and again; the last time when nothing happens to it any more."""
    gone_since: float | None = None
    warned = _Warnings(stream)
    while True:
        try:
            run = Run.objects.select_related("mapping", "environment").get(pk=run_id)
            look = progress.progress_of(run)
            warned.look()
            gone_since = None
        except (DatabaseError, InterfaceError) as error:
            connections.close_all()
            warned.postpone()
            gone_since = gone_since or _say(stream, "The control database is away; waiting for it.")
            if time.monotonic() - gone_since > DATABASE_PATIENCE:
                raise error
        else:
            yield run, look
            if not run.is_active or run.status == states.PAUSED:
                return
        time.sleep(POLL_SECONDS)


def _say(stream: TextIO, sentence: str) -> float:
    stream.write(f"{sentence}\n")
    stream.flush()
    return time.monotonic()


class _Warnings:
    """Says, once each time, what keeps the run from going on: no worker is left, or Redis takes no rings."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = time.monotonic() + CHECKED_EVERY
        self._seats_from = time.monotonic() + SEATS_PATIENCE
        self._said: set[str] = set()

    def postpone(self) -> None:
        """After the database was away its seats look empty until their workers are back."""
        self._seats_from = time.monotonic() + SEATS_PATIENCE

    def look(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + CHECKED_EVERY
        result = set()
        if complaint := doorbell.complaint():
            result.add(f"{complaint}; the run is saved, and goes on by itself once rings go through.")
        if complaint := control_database.complaint():
            result.add(f"{complaint}; the run goes on by itself once it takes writes again.")
        elif time.monotonic() >= self._seats_from and not seats.live().exists():
            result.add("No worker is running any more; `python manage.py worker` starts one.")
        for sentence in sorted(result - self._said):
            _say(self._stream, sentence)
        self._said = result


def _bar(looks: Iterator[tuple[Run, progress.Progress]], stream: TextIO) -> Run:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[percent]:>4}", markup=False),
        TextColumn("{task.fields[words]}", markup=False),
    )
    with Progress(*columns, console=Console(file=stream, force_terminal=True), expand=True) as shown:
        whole = shown.add_task("run", total=1.0, percent="", words="")
        bars: dict[str, TaskID] = {}
        for run, look in looks:
            percent = _percent(look.fraction)
            shown.update(whole, completed=look.fraction, percent=percent, words=_words(run, look))
            for table in look.tables:
                if table.name not in bars:
                    bars[table.name] = shown.add_task(f"  {table.name}", total=1.0, percent="", words="")
                words = f"{table.state} {table.done_rows:,}/{table.total_rows:,}"
                percent = _percent(table.fraction)
                shown.update(bars[table.name], completed=table.fraction, percent=percent, words=words)
    return run


def _lines(looks: Iterator[tuple[Run, progress.Progress]], stream: TextIO) -> Run:
    last, status, waited = 0.0, "", False
    for run, look in looks:
        waits = bool(run.waits_because or run.long_statement)
        if run.status != status or (waits and not waited) or time.monotonic() - last >= LINE_SECONDS:
            status, waited = run.status, waits
            last = _say(stream, f"run {run.pk} {_percent(look.fraction)} {_words(run, look)}")
    return run


def _words(run: Run, look: progress.Progress) -> str:
    """What the run does, how many rows are through, how fast, and how long it will take."""
    words = [run.status.replace("_", " ")]
    if look.total_rows and run.stage != "prepare":
        words.append(f"{look.done_rows:,} of {look.total_rows:,} rows")
    if look.rows_per_second:
        words.append(f"{look.rows_per_second:,.0f} rows/s")
    if look.seconds_left:
        words.append(f"{_clock(look.seconds_left)} left")
    if told := run.waits_because or run.long_statement:
        words.append(told)
    return ", ".join(words)


def _percent(fraction: float) -> str:
    return f"{int(fraction * 100)} %"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
