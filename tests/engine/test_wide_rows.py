"""Rows of some megabytes: what a server holds of them at once is bounded by their bytes, not by how many there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jobs.engine.moving import ranges
from jobs.engine.target.ledger import Done
from tests.engine.rig import Rig

ROWS, MEGABYTES = 60, 4
MOST_MB = 120
"""Half of all that is copied; a server holds a row several times while it takes it in."""


@contextmanager
def watched(pid: int) -> Iterator[list[int]]:
    """The megabytes that a server's process has to itself, looked at all the time."""
    seen, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    seen.append(int(line.split()[1]) // 1024)

    looking = threading.Thread(target=look)
    looking.start()
    yield seen
    ended.set()
    looking.join()


@pytest.mark.parametrize("staged", [False, True])
def test_a_server_holds_few_wide_rows_at_once(rig: Rig, staged: bool) -> None:
    rig.old(
        "CREATE TABLE item (id integer PRIMARY KEY, body text); ALTER TABLE item ALTER body SET STORAGE EXTERNAL;"
        f"INSERT INTO item SELECT n, repeat(md5(n::text), {MEGABYTES * 32768}) FROM generate_series(1, {ROWS}) n"
    )
    rig.new("CREATE TABLE thing (id integer PRIMARY KEY, body text)")
    rig.new("ALTER TABLE thing ALTER body SET STORAGE EXTERNAL")
    rig.ready("{source: old.item, target: new.thing, columns: {id: id, body: body}}")
    work = rig.again() if staged else rig.work()
    with watched(rig.target.info.backend_pid) as seen:
        assert rig.copy(work) == Done(inserted=ROWS)
    assert max(seen) < MOST_MB
    assert rig.new("SELECT count(*), sum(length(body))::bigint FROM thing") == [
        (ROWS, ROWS * MEGABYTES * 2**20)
    ]
    assert rig.compare(work).agrees
    rig.new("UPDATE thing SET body = body || '!' WHERE id % 2 = 0")
    with watched(rig.target.info.backend_pid) as seen:
        found = rig.compare(work)
    assert found.different == ROWS // 2 and not found.agrees
    assert max(seen) < MOST_MB


BAD = 8
REFUSED = {  # the target's column, how it is filled, what else the table mapping says
    "by a trigger that repeats the value": ("body text", "body: body", ""),
    "a text of megabytes that is no number": ("body integer", "body: body", ""),
    "where rows are matched": ("body text", "body: body", ", existing: {match: [id], then: update}"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_server_holds_few_wide_rows_that_are_set_aside_at_once(rig: Rig, kind: str) -> None:
    """Nor all that it says of them: a message repeats what cannot be read, and may be longer than a COPY's end."""
    column, filled, more = REFUSED[kind]
    rig.old(
        "CREATE TABLE item (id integer PRIMARY KEY, body text); ALTER TABLE item ALTER body SET STORAGE EXTERNAL;"
        f"INSERT INTO item SELECT n, repeat(md5(n::text), {MEGABYTES * 32768}) FROM generate_series(1, {BAD}) n"
    )
    rig.new(f"CREATE TABLE thing (id integer PRIMARY KEY, {column})")
    if "text" in column:
        rig.new(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not %', NEW.body; END$$;"
            "CREATE TRIGGER no BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION no()"
        )
    plan = f"{{source: old.item, target: new.thing, columns: {{id: id, {filled}}}{more}}}"
    rig.ready(plan, "on_error: quarantine\nwiden: false")
    pids = {conn.info.backend_pid for conn in (rig.source, rig.target)}
    with ExitStack() as watching:
        seen = [watching.enter_context(watched(pid)) for pid in pids]
        assert rig.copy() == Done(quarantined=BAD)
    assert max(map(max, seen)) < MOST_MB
    assert rig.new(
        "SELECT count(*), min(length(source_row->>'body')), max(length(message)) < 10000 FROM migrator.quarantine"
    ) == [(BAD, MEGABYTES * 2**20, True)]


def test_the_first_chunk_counts_bytes_where_rows_are_wide(rig: Rig) -> None:
    """64 MB at most: a chunk of 2,000 such rows would be 8 GB, and could neither be paused nor cancelled soon."""
    rig.old(
        "CREATE TABLE item (id integer PRIMARY KEY, body text); ALTER TABLE item ALTER body SET STORAGE EXTERNAL;"
        f"INSERT INTO item SELECT n, repeat(md5(n::text), {MEGABYTES * 32768}) FROM generate_series(1, 6) n"
    )
    rig.new("CREATE TABLE thing (id integer PRIMARY KEY, body text)")
    rig.ready("{source: old.item, target: new.thing, columns: {id: id, body: body}}")
    assert 14 <= ranges.first_size(rig.work(), 2_000) <= 64 // MEGABYTES
    assert ranges.next_size(15, 60.0, 15) == 15, "a slow one is followed by one as small"
    rig.old("TRUNCATE item; INSERT INTO item VALUES (1, 'short')")
    assert ranges.first_size(rig.work(), 2_000) == 2_000
    rig.old("TRUNCATE item")
    assert ranges.first_size(rig.work(), 2_000) == 2_000
