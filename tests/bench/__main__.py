"""`python -m tests.bench`: ROWS, ROUNDS and PEERS come from the environment, the rest as options.

Exit status 0 when every part was measured, whether the bars are met or not; the table says that. Status 1 where
anything grows faster than the rows do (parts `growth` and `needs`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console

from tests.bench.servers import Servers, about, started

if TYPE_CHECKING:
    from tests.bench.parts import Bench
    from tests.bench.sheet import Sheet

NAMES = (
    "one",
    "one-map",
    "two",
    "two-map",
    "plain",
    "installed",
    "later",
    "workers",
    "tables",
    "planning",
    "memory",
    "curve",
    "quarantine",
    "unindexed",
    "again",
    "crowd",
    "scattered",
    "beyond",
    "growth",
    "needs",
    "viewers",
)
OF_THEIR_OWN = {"curve", "quarantine", "unindexed", "crowd", "scattered", "beyond", "growth", "needs"}
"""Parts that make their own tables, so that the large one need not be filled."""

CONSOLE = Console(stderr=True, width=None if sys.stderr.isatty() else 150, highlight=False)


def main() -> None:
    """Measures what was asked for, and prints it."""
    options = _options()
    signal.signal(signal.SIGTERM, _end)
    try:
        with started() as servers:
            _measure(servers, options)
    except KeyboardInterrupt:
        sys.exit(130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="run this part; may be repeated")
    parser.add_argument("--json", action="store_true", help="one object on stdout, all samples in it")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="one copy of `one` and `two` (or --only …): where the time goes",
    )
    parser.add_argument("--workers", type=int, default=2, help="for --profile; default 2")
    options = parser.parse_args()
    options.peers = os.environ.get("PEERS", "0") not in ("", "0")
    options.rows = _whole("ROWS", 200_000 if options.peers else 2_000_000)
    options.rounds = _whole("ROUNDS", 3)
    return options


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) < 1:
        sys.exit(f"{name} must be a whole number above 0, not {text!r}")
    return int(text)


def _measure(servers: Servers, options: argparse.Namespace) -> None:
    from tests.bench import data  # all that follows needs Django
    from tests.bench.parts import Bench
    from tests.bench.sheet import Sheet
    from tests.bench.workers import Workers

    facts = about(servers, options.rows, options.rounds)
    for fact in facts:
        CONSOLE.print(fact, style="dim")
    alone = bool(options.only) and {*options.only} <= OF_THEIR_OWN
    data.fill_source(servers.near.url("bench"), 1 if alone else options.rows)
    workers = Workers(servers)
    try:
        bench = Bench(servers, workers, Sheet(), options.rows)
        sheet = _run(bench, options)
    finally:
        workers.end()
    if options.json:
        print(json.dumps({"facts": facts, "rows": options.rows, "lines": sheet.to_json()}, indent=1))
    elif sheet.lines:
        sheet.show(Console(width=None if sys.stdout.isatty() else 150, highlight=False))
    for what in sheet.failures:
        CONSOLE.print(f"failed: {what}", style="red")
    if sheet.failures:
        sys.exit(1)


def _run(bench: Bench, options: argparse.Namespace) -> Sheet:
    from tests.bench import copies, parts, peers, profiling

    if options.profile:
        for name in options.only or ("one", "two"):
            profiling.profile(bench, copies.VARIANTS[name], CONSOLE, options.workers)
        return bench.sheet
    if options.peers:
        return peers.compare(bench, options.rounds, CONSOLE)
    names = options.only or NAMES
    for layout in sorted({copies.VARIANTS[name].layout for name in names if name in copies.VARIANTS}):
        copies.warm_up(bench, layout)
    for round_ in range(options.rounds):
        for name in names:
            CONSOLE.print(f"round {round_ + 1} of {options.rounds}: {name}", style="dim")
            parts.PARTS[name](bench, round_)
    return bench.sheet


def _end(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
