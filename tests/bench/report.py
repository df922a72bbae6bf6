"""How long a report takes to open at size: `python -m tests.bench.report [--rows N] [--differences N]`.

A run over N rows of 10 columns between two databases is verified, rows of its target are changed and deleted by hand,
and it is verified again. Then the pages are asked for as a person would: the report, the differences by every filter
and order, far on in the list, and from there the passport of a row: three clicks to any of them. Per page: queries, CPU
time and time by the clock (medians), bytes. Exports are read to their end, with how much memory they took at the most.
"""

from __future__ import annotations

import argparse
import re
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table as Sheet

from tests.bench.pages import line
from tests.bench.servers import Servers, execute, started

SOURCE = (
    "CREATE SCHEMA old",
    "CREATE TABLE old.item (id bigint PRIMARY KEY, code text, name text, price numeric(10, 2), day date, state text,"
    " amount int, email text, note text, flag boolean)",
    "INSERT INTO old.item SELECT n, 'C' || n, 'item ' || n, n % 1000 * 1.25, date '2020-01-01' + (n % 1000)::int,"
    " (ARRAY['new', 'sent', 'paid'])[1 + n % 3], n % 17, 'm' || n || '@example.org', repeat('x', (n % 40)::int),"
    " n % 2 = 0 FROM generate_series(1, {rows}) AS n",
    "ANALYZE old.item",
)
TARGET = (
    "CREATE SCHEMA crm",
    "CREATE TABLE crm.item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text, name text,"
    " price numeric(10, 2), day date, state text, amount int, email text, note text, flag boolean)",
)
MAPPING = """
version: 1
name: items
tables:
  - name: item
    source: old.item
    target: crm.item
    columns: {code: code, name: name, price: price, day: day, state: state, amount: amount, email: email, note: note,
              flag: flag}
"""
SEEDED = (
    "UPDATE crm.item SET name = name || '!' WHERE source_table_id % {every} = 1",
    "UPDATE crm.item SET price = price + 1 WHERE source_table_id % {every} = 2",
    "UPDATE crm.item SET state = NULL WHERE source_table_id % {every} = 3",
    "DELETE FROM crm.item WHERE source_table_id % {every} = 4",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--differences", type=int, default=10_000, help="about so many are seeded")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with started() as servers:
        run, told = verified(servers, options.rows, options.differences)
        shown = Sheet("page", "queries", "CPU ms", "clock ms", "kB", "kB compressed")
        for found in measured(run, options.rounds):
            shown.add_row(*found)
        out = Console(width=110)
        out.print(told)
        out.print(shown)
        for text in exported(run):
            out.print(text)


def verified(servers: Servers, rows: int, differences: int) -> tuple[Any, str]:
    """A run whose last verification found about so many differences."""
    from django.conf import settings

    from jobs.actions import runs
    from mappings.language.file import parse
    from mappings.models import Environment, Mapping
    from mappings.store import save_spec
    from tests import factories

    settings.ALLOWED_HOSTS = ["*"]
    execute(servers.near.url("bench"), *(statement.format(rows=rows) for statement in SOURCE))
    execute(servers.far.url("bench"), *TARGET)
    environment = Environment(name="bench")
    environment.source_url, environment.target_url = servers.near.url("bench"), servers.far.url("bench")
    environment.save()
    mapping = Mapping.objects.get(pk=save_spec(parse(MAPPING)).mapping_id)
    factories.make_seat()
    run, copied = timed(lambda: worked(runs.start(mapping, environment, None)))
    assert run.status == "verified", run.error
    every = max(5, rows * len(SEEDED) // differences)
    execute(
        servers.far.url("bench"), *(statement.format(every=every) for statement in SEEDED), "ANALYZE crm.item"
    )
    runs.verify(run, None)
    run, compared = timed(lambda: worked(run))
    assert run.status == "mismatch", run.error
    (table,) = run.reports.first().tables
    kept = f"{table['recorded']:,} differences kept of {rows:,} rows"
    return run, f"{kept}; copied and verified in {copied:.1f} s, verified again in {compared:.1f} s"


def worked(run: Any) -> Any:
    """The run, once nothing is left to do."""
    from jobs.models import Run
    from jobs.running import runner

    while runner.advance(run.pk, "bench", time.monotonic() + 60):
        pass
    return Run.objects.select_related("mapping", "environment", "revision").get(pk=run.pk)


def timed(what: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return what(), time.perf_counter() - began


def measured(run: Any, rounds: int) -> list[tuple[str, ...]]:
    from django.core.management import call_command
    from django.test import Client

    from tests import factories

    call_command("collectstatic", verbosity=0, interactive=False)
    client = Client()
    client.force_login(factories.make_user())
    report = f"/runs/{run.pk}/report/"
    listed = f"{report}differences/"
    queries = (
        "", "?column=name", "?kind=missing", "?kind=different&column=price", "?sort=column", "?sort=kind", "?key=4711",
        "?table=item",
    )  # fmt: skip
    pages = {"the report": report, **{f"differences {query}": listed + query for query in queries}}
    pages["differences, far on"] = listed + far_on(client, listed)
    passport = re.search(
        rf'href="(/runs/{run.pk}/row/\?[^"]+)"', client.get(pages["differences, far on"]).content.decode()
    )
    assert passport, "no row leads to its passport"
    pages["the passport of one"] = passport[1].replace("&amp;", "&")
    return [line(name, partial(client.get, path), rounds) for name, path in pages.items()]


def far_on(client: Any, listed: str, parts: int = 50) -> str:
    """The query of a part far from the first."""
    query = ""
    for _ in range(parts):
        later = re.search(r'href="(\?[^"]*after=[^"]*)"', client.get(listed + query).content.decode())
        if not later:
            break
        query = later[1].replace("&amp;", "&").partition("#")[0]
    return query


def exported(run: Any) -> list[str]:
    from jobs.reporting.differences import Filters
    from jobs.reporting.files import text
    from jobs.reporting.files.content import content_of

    lines = []
    for name, pieces in (("CSV", text.csv_pieces), ("JSON", text.json_pieces)):
        tracemalloc.start()
        size, seconds = timed(lambda pieces=pieces: sum(map(len, pieces(content_of(run, Filters())))))  # type: ignore[misc]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        lines.append(
            f"{name}: {size / 1e6:.1f} MB in {seconds:.1f} s, {most / 1e6:.1f} MB of memory at the most"
        )
    return lines


if __name__ == "__main__":
    main()
