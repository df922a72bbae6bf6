"""How good the proposals are, on real mappings: `python -m tests.bench.suggest DIR [--only g01 …] [--json] [--list]`.

DIR/scenarios/*/ holds mapping.yml (what people wrote: the truth) and target.sql; the source is DIR/dumps by
DIR/oracle.py, or source.sql beside them. Nothing of it is committed here. Columns are proposed for each pair of tables
of the mapping; a proposal is right if its source column is one that people used for that target column.

F1: of column pairs; whole: of pairs where an expression over several columns counts as one pair for each; sure: the
part of the sure proposals that is right; top 3: of source tables, whose target is among the first three; drafted:
those that the draft pairs rightly without being told.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table as Sheet

from mappings.connections import sessions
from mappings.expressions.parser import parse_expression, parse_relation
from mappings.language import file
from mappings.language.spec import Column, MappingSpec, Table
from mappings.suggesting import suggest
from mappings.suggesting.proposals import ColumnProposal, TableProposal
from migrator_site.embedded import Postgres


@dataclass
class Score:
    """What was counted of one scenario, or of all."""

    name: str
    pairs: int = 0
    proposed: int = 0
    right: int = 0
    whole_pairs: int = 0
    whole_proposed: int = 0
    whole_right: int = 0
    sure: int = 0
    sure_right: int = 0
    tables: int = 0
    among_three: int = 0
    drafted: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Score) -> Score:
        for name, value in vars(other).items():
            if name not in ("name", "wrong"):
                setattr(self, name, getattr(self, name) + value)
        return self

    @property
    def f1(self) -> float:
        return _ratio(2 * self.right, self.pairs + self.proposed)

    @property
    def whole_f1(self) -> float:
        return _ratio(2 * self.whole_right, self.whole_pairs + self.whole_proposed)

    def to_json(self) -> dict[str, object]:
        """The ratios and what they are of."""
        ratios = {
            "f1": self.f1,
            "whole_f1": self.whole_f1,
            "precision": _ratio(self.right, self.proposed),
            "recall": _ratio(self.right, self.pairs),
            "sure_precision": _ratio(self.sure_right, self.sure),
            "tables_top3": _ratio(self.among_three, self.tables),
            "tables_drafted": _ratio(self.drafted, self.tables),
        }
        return {"name": self.name, **ratios, "pairs": self.pairs, "sure": self.sure, "seconds": self.seconds}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def main() -> None:
    """Measures every scenario and prints a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.suggest", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="scenarios whose name begins so")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--list", action="store_true", help="each proposal that is wrong, and each pair that is missed"
    )
    options = parser.parse_args()
    found = [
        path for path in sorted(options.directory.glob("scenarios/*/")) if (path / "mapping.yml").exists()
    ]
    wanted = [p for p in found if not options.only or p.name.startswith(tuple(options.only))]
    with _server() as server:
        scores = [_measure(path, options.directory, server) for path in wanted]
    total = Score("all")
    for score in scores:
        total += score
    if options.json:
        print(json.dumps([score.to_json() for score in (*scores, total)], indent=1))
        return
    _print([*scores, total])
    if options.list:
        for score in scores:
            print("\n".join(f"{score.name}: {line}" for line in score.wrong))


@contextlib.contextmanager
def _server() -> Iterator[Postgres]:
    home = Path(tempfile.mkdtemp(prefix="bench-suggest-"))
    server = Postgres(home, fast=True)
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")
        for pointer in home.glob("*.elsewhere"):
            shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def _print(scores: Sequence[Score]) -> None:
    sheet = Sheet(
        "scenario",
        "pairs",
        "F1",
        "precision",
        "recall",
        "whole F1",
        "sure",
        "sure right",
        "top 3",
        "drafted",
        "seconds",
    )
    for score in scores:
        values = score.to_json()
        sheet.add_row(
            score.name,
            str(score.pairs),
            *(f"{values[name]:.2f}" for name in ("f1", "precision", "recall", "whole_f1")),
            f"{score.sure}",
            f"{values['sure_precision']:.2f}",
            f"{score.among_three}/{score.tables}",
            f"{score.drafted}/{score.tables}",
            f"{score.seconds:.2f}",
        )
    Console(width=None if sys.stdout.isatty() else 130, highlight=False).print(sheet)


def _measure(path: Path, directory: Path, server: Postgres) -> Score:
    spec = file.parse((path / "mapping.yml").read_bytes())
    source, target = _databases(path, directory, server)
    score = Score(path.name)
    with (
        sessions.connect(source, purpose="bench") as ours,
        sessions.connect(target, purpose="bench") as theirs,
    ):
        started = time.monotonic()
        found = suggest.look(ours, theirs, same=False)
        listed = suggest.candidates(found.knowledge)
        proposed = [(table, _pair(found, table)) for table in spec.tables]
        score.seconds = time.monotonic() - started
    _count_tables(score, spec, listed)
    for table, proposal in proposed:
        _count(score, table, proposal.columns)
    return score


def _pair(found: suggest.Suggesting, table: Table) -> TableProposal:
    names = parse_relation(table.source), parse_relation(table.target)
    source = found.knowledge.source.named(names[0].schema, names[0].name)
    target = found.knowledge.target.named(names[1].schema, names[1].name)
    assert source and target, table.name
    found.know([(source, target)])
    pair = suggest.table_pair(found.knowledge, source, target)
    return suggest.with_columns(found, [pair], {})[0]


def _count_tables(score: Score, spec: MappingSpec, listed: list[TableProposal]) -> None:
    wanted: dict[str, set[str]] = {}
    for table in spec.tables:
        wanted.setdefault(parse_relation(table.source).sql, set()).add(parse_relation(table.target).sql)
    drafted = {(p.source.sql, p.target.sql) for p in suggest.one_to_one(listed)}
    pairs = {(parse_relation(one).sql, parse_relation(other).sql) for one, other in drafted}
    for source, targets in wanted.items():
        score.drafted += any((source, target) in pairs for target in targets)
        first = [
            parse_relation(p.target.sql).sql for p in listed if parse_relation(p.source.sql).sql == source
        ]
        score.tables += 1
        hit = bool(targets & set(first[: suggest.MOST_TARGETS]))
        score.among_three += hit
        if not hit:
            score.wrong.append(f"table {source}: {first}, not {sorted(targets)}")


def _count(score: Score, table: Table, columns: Sequence[ColumnProposal]) -> None:
    truth = {column.name: used for column in table.columns if (used := _used(column))}
    proposed = {column.target: column for column in columns if column.sources}
    score.pairs += len(truth)
    score.proposed += len(proposed)
    score.whole_pairs += sum(map(len, truth.values()))
    for name, proposal in proposed.items():
        meant = truth.get(name, set())
        right = proposal.sources[0] in meant
        score.right += right
        score.whole_proposed += len(proposal.sources)
        score.whole_right += len(meant & set(proposal.sources))
        score.sure += proposal.sure
        score.sure_right += proposal.sure and right
        if not right:
            mark = "SURE " if proposal.sure else ""
            line = f"{mark}{proposal.score:.2f} {proposal.sources} {proposal.reason}; meant {sorted(meant)}"
            score.wrong.append(f"{table.name}.{name}: {line}")
    score.wrong += [
        f"{table.name}.{n}: nothing; meant {sorted(truth[n])}" for n in truth if n not in proposed
    ]


def _used(column: Column) -> set[str]:
    """The source columns that people used for it; of joined tables by their bare names."""
    if column.expr is not None:
        return {name.name for name in parse_expression(column.expr).columns}
    return {name.rpartition(".")[2] for name in column.from_}


def _databases(path: Path, directory: Path, server: Postgres) -> tuple[str, str]:
    names = (f"{path.name}_source".lower(), f"{path.name}_target".lower())
    if (path / "source.sql").exists():
        for name, script in zip(names, ("source.sql", "target.sql"), strict=True):
            server.create_database(name)
            with psycopg.connect(server.url(name), autocommit=True) as conn:
                conn.execute((path / script).read_bytes())
        return server.url(names[0]), server.url(names[1])
    command = [
        sys.executable,
        str(directory / "oracle.py"),
        "setup",
        str(path),
        "--admin",
        server.url("postgres"),
    ]
    command += ["--dumps", str(directory / "dumps"), "--source-db", names[0], "--target-db", names[1]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))
    return server.url(names[0]), server.url(names[1])


if __name__ == "__main__":
    main()
