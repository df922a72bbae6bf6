"""How long the pages take at size, and how much they send: `python -m tests.bench.pages [--mappings N] [--runs N]`.

1,000 mappings in 3 environments, 10,000 runs, 50,000 entries of the history, one run of 300 tables and 10,000
chunks under way. Per page: queries, CPU time of the view and its time by the clock (medians; the machine may be
busy with others), bytes as sent and compressed. The times are of a page that was asked for once before, as in a
server that runs.
"""

from __future__ import annotations

import argparse
import gzip
import io
import re
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from rich.console import Console
from rich.table import Table as Sheet

from tests.bench.servers import started

HISTORY = 50_000
"""Entries: what 10,000 runs leave."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mappings", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with started():
        lines = measured(options.mappings, options.runs, options.rounds)
        shown = Sheet("page", "queries", "CPU ms", "clock ms", "kB", "kB compressed")
        for line in lines:
            shown.add_row(*line)
        Console(width=110).print(shown)


def measured(mappings: int, runs: int, rounds: int) -> list[tuple[str, ...]]:
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from tests import factories, many

    settings.ALLOWED_HOSTS = ["*"]
    call_command("collectstatic", verbosity=0, interactive=False)
    factories.make_seat()
    many.make_history(HISTORY)
    environments, revisions = many.make_environments(), many.make_mappings(mappings)
    many.make_runs(runs, revisions, environments)
    (wide,) = many.make_mappings(1, 300, "wide")
    large = many.make_large_run(wide, environments[0], 300, 10_000)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # as the server does by itself
    client = Client()
    client.force_login(factories.make_user())
    last = f"m-{mappings - 30:05}"
    pages = {
        "overview": "/", "overview, searched": "/?q=m-009", "runs": "/runs/", "runs, failed": "/runs/?status=failed",
        "promotion": "/promotion/", "promotion, far on": f"/promotion/?after={last}",
        "run of 300 tables": f"/runs/{large.pk}/", "history": "/history/",
        "history, far on": f"/history/?after={HISTORY // 2}",
        "history, searched": "/history/?q=production&outcome=failed",
        "notices": "/notices/", "verifications": f"/mappings/{revisions[0].mapping.name}/verifications/?env=local",
    }  # fmt: skip
    lines = [line(name, partial(client.get, path), rounds) for name, path in pages.items()]
    live = f"/runs/{large.pk}/live/"
    tokens = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', client.get(live).content.decode()))
    lines.append(line("poll, nothing moved", lambda: client.get(live, tokens), rounds * 4))
    step = large.steps.first()
    assert step
    large.steps.filter(pk=step.pk).update(state="failed")
    lines.append(line("poll, one step moved", lambda: client.get(live, tokens), rounds * 4))
    moving = count(1)

    def moved() -> Any:
        large.tables.filter(position=7).update(inserted=next(moving))
        return client.get(live, tokens)

    lines.append(line("poll, a table moved each time", moved, rounds * 4))
    cells = f"/runs/{large.pk}/chunks/"
    drawn = dict(
        re.findall(r'type="hidden" name="(cells)" value="([^"]+)"', client.get(cells).content.decode())
    )
    lines.append(line("chunk map, nothing moved", lambda: client.get(cells, drawn), rounds))
    lines.append(line("run list", lambda: command("run", "list"), 1))
    lines.append(line("run list, JSON of all", lambda: command("run", "list", "--format", "json"), 1))
    lines.append(line("mapping list", lambda: command("mapping", "list"), 1))
    return lines


def command(*words: str) -> bytes:
    from django.core.management import call_command

    out = io.StringIO()
    call_command(*words, stdout=out, stderr=io.StringIO())
    return out.getvalue().encode()


def line(name: str, asked: Callable[[], Any], rounds: int) -> tuple[str, ...]:
    from django.db import connection

    from jobs.pages.one_run import live_run

    queries: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        queries.append(sql)
        return execute(sql, *rest)

    asked()
    spent, waited, counts = [], [], []
    for _ in range(rounds):
        live_run.scatter()  # as few ask: a crowd would be answered from one look
        queries.clear()
        cpu, clock = time.process_time(), time.perf_counter()
        with connection.execute_wrapper(note):
            answer = asked()
        spent.append(time.process_time() - cpu)
        waited.append(time.perf_counter() - clock)
        counts.append(len(queries))
    sent = answer if isinstance(answer, bytes) else answer.content
    assert isinstance(answer, bytes) or answer.status_code == 200, (name, answer.status_code)
    times = (f"{statistics.median(of) * 1000:.1f}" for of in (spent, waited))
    sizes = (f"{len(body) / 1000:.1f}" for body in (sent, gzip.compress(sent)))
    return (name, str(round(statistics.median(counts))), *times, *sizes)


if __name__ == "__main__":
    main()
