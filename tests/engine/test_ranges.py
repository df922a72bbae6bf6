"""Key ranges: cut by the index, they cover every source row once, whatever the key is made of."""

from __future__ import annotations

import pytest

from jobs.engine.moving import ranges as chunks
from jobs.engine.moving.ranges import (
    AIM_SECONDS,
    LARGEST,
    SMALLEST,
    SMALLEST_SHARE,
    all_boundaries,
    next_size,
    share,
)
from jobs.engine.sql.walks.chunk_range import Range
from tests.engine.rig import Rig
from tests.journeys.acceptance import Promise, broken

KEYS = {
    "integer": ("id integer", "n", "id"),
    "integer with gaps": ("id integer", "n * n * 1000 - 50000", "id"),
    "text": ("id text", "md5(n::text)", "id"),
    "text with odd characters": ("id text", "chr(64 + n) || E' \\\\ '' \" % é'", "id"),
    "varchar": ("id varchar(40)", "'Äpfel ' || n", "id"),
    "uuid": ("id uuid", "md5(n::text)::uuid", "id"),
    "timestamp": (
        "id timestamptz",
        "timestamptz '2024-03-31 00:30+01' + n * interval '7 min 1 microsecond'",
        "id",
    ),
    "date": ("id date", "date '0001-01-01' - n", "id"),
    "numeric": ("id numeric", "n / 7.0", "id"),
    "float": ("id float8", "n / 7.0::float8", "id"),
    "bytea": ("id bytea", "decode(md5(n::text), 'hex')", "id"),
    "boolean and integer": ("id boolean, b integer", "n % 2 = 0, n", "id, b"),
    "integer and text": ("id integer, b text", "n % 5, 'b ' || n", "id, b"),
    "text and timestamp": (
        "id text, b timestamp",
        "'x' || n % 3, timestamp '2024-01-01' + n * interval '1 day'",
        "id, b",
    ),
}
SOME = ["integer with gaps", "text with odd characters", "numeric", "text and timestamp"]
BY_MAP = "link: {source_id: false},"


def keyed(rig: Rig, kind: str, link: str = "") -> Promise:
    """Fifty rows under that kind of key, planned; what their migration promises."""
    declared, made, names = KEYS[kind]
    rig.old(
        f"CREATE TABLE item ({declared}, label text, PRIMARY KEY ({names}));"
        f"INSERT INTO item SELECT {made}, 'l' || n FROM generate_series(1, 50) n"
    )
    rig.new("CREATE TABLE thing (id serial PRIMARY KEY, label text)")
    rig.ready(f"{{source: old.item, target: new.thing, {link} columns: {{label: label}}}}")
    return Promise(
        "rig", "item", "SELECT label FROM old.item", "SELECT label, id::text FROM new.thing", has_map=False
    )


@pytest.mark.parametrize("kind", KEYS)
def test_ranges_cover_every_row_once(rig: Rig, kind: str) -> None:
    promise = keyed(rig, kind)
    ranges = rig.cut(7)
    assert len(ranges) == 8
    assert [rig.copy(chunk=chunk).inserted for chunk in ranges] == [7] * 7 + [1]
    assert broken(*rig.pair, promise) == []


@pytest.mark.parametrize("kind", KEYS)
def test_ranges_hold_on_both_sides(rig_two: Rig, kind: str) -> None:
    keyed(rig_two, kind)
    rig_two.copy()
    compared = [rig_two.compare(chunk=chunk) for chunk in rig_two.cut(7)]
    assert [(found.source_rows, found.matched) for found in compared] == [(7, 7)] * 7 + [(1, 1)]
    assert all(found.agrees for found in compared)


@pytest.mark.parametrize(("kind", "link"), [(kind, "") for kind in KEYS] + [(kind, BY_MAP) for kind in SOME])
def test_a_guarded_range_finds_its_own_rows(rig_two: Rig, kind: str, link: str) -> None:
    promise = keyed(rig_two, kind, link)
    rig_two.copy(chunk=rig_two.cut(20)[1])
    second = rig_two.again()
    assert [rig_two.copy(second, chunk).inserted for chunk in rig_two.cut(20)] == [20, 0, 10]
    assert broken(*rig_two.pair, promise) == []


@pytest.mark.parametrize("kind", SOME)
def test_all_boundaries_at_once_are_the_same(
    rig_one: Rig, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "UNSTEPPED", 1)
    keyed(rig_one, kind)
    assert all_boundaries(rig_one.work(), 7) == [chunk.high for chunk in rig_one.cut(7)[:-1]]


def test_rows_out_of_scope_do_not_come(rig: Rig) -> None:
    rig.old(
        "CREATE TABLE item (id integer PRIMARY KEY, label text);"
        "INSERT INTO item SELECT n, n FROM generate_series(1, 50) n"
    )
    rig.new("CREATE TABLE thing (id serial PRIMARY KEY, label text)")
    rig.ready('{source: old.item, target: new.thing, where: "id % 5 = 0", columns: {label: label}}')
    assert [rig.copy(chunk=chunk).inserted for chunk in rig.cut(20)] == [4, 4, 2]


def test_an_empty_table_is_one_empty_range(rig: Rig) -> None:
    rig.old("CREATE TABLE item (id integer PRIMARY KEY, label text)")
    rig.new("CREATE TABLE thing (id serial PRIMARY KEY, label text)")
    rig.ready("{source: old.item, target: new.thing, columns: {label: label}}")
    assert rig.cut(10) == [Range(None, None)]
    assert rig.copy().inserted == 0
    assert rig.compare().agrees


def test_the_next_size_aims_at_a_second_and_changes_slowly() -> None:
    assert next_size(10_000, AIM_SECONDS, 10_000) == 10_000
    assert next_size(10_000, AIM_SECONDS * 1.25, 10_000) == 8_000
    assert next_size(10_000, 0.0, 10_000) == 40_000
    assert next_size(10_000, 60.0, 10_000) == 5_000


def test_the_next_size_comes_from_what_the_chunk_was_cut_for() -> None:
    assert next_size(2_000, AIM_SECONDS / 5, 10_000) == 10_000
    assert next_size(0, AIM_SECONDS, 10_000) == 40_000


def test_the_next_size_keeps_its_bounds() -> None:
    assert next_size(1, 60.0, SMALLEST) == SMALLEST
    assert next_size(LARGEST, 0.0, LARGEST) == LARGEST
    assert next_size(0, 0.0, LARGEST) == LARGEST


def test_the_last_chunks_are_shared_out() -> None:
    sizes, left = [], 1_000_000
    while left > 0:
        sizes.append(share(300_000, left, 2, SMALLEST_SHARE))
        left -= sizes[-1]
    assert sizes[:3] == [300_000, 233_333, 155_555]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) < 12
    assert sizes[-1] == SMALLEST_SHARE


def test_a_share_is_never_larger_than_a_second_takes() -> None:
    assert share(20_000, 1_000_000, 2, 1) == 20_000
    assert share(2, 1_000_000, 2, SMALLEST_SHARE) == 2


def test_past_the_estimate_chunks_are_quarters() -> None:
    assert share(100_000, 0, 2, 1) == share(100_000, -5_000, 2, 1) == 25_000
