"""How many sessions work at once: the rule, over seeded series of rates with noise."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from jobs.concurrency import AGAIN_SECONDS, Concurrency, Done, decided

ROWS = 100_000
PLENTY = 10**12


def limits(
    per_second: Callable[[int, float], float],
    workers: int,
    seconds: float,
    seed: int = 1,
    noise: float = 0.15,
    left: Callable[[float], float] = lambda now: PLENTY,
    kind: Callable[[float], str] = lambda now: "1 copy",
    present: int = 1000,
) -> list[tuple[int, Concurrency]]:
    """What is decided second by second where so many rows per second are moved by n sessions at that time."""
    chance, state, done = random.Random(seed), Concurrency(2, "copy", 0.0), list[Done]()
    free = dict.fromkeys(range(min(workers, present)), 0.0)  # when each session is through with its chunk
    result, now = [], 0.0
    while now < seconds:
        now += 0.25
        at_work = sorted(free, key=lambda one: -free[one])[: state.limit]
        for one in at_work:
            while free[one] <= now:
                began = max(free[one], now - 0.25)
                took = (
                    ROWS * len(at_work) / per_second(len(at_work), now) * chance.uniform(1 - noise, 1 + noise)
                )
                free[one] = began + took
                done.append(Done(kind(now), f"w{one}", ROWS, took, free[one]))
        seen = sorted(
            (one for one in done if one.ended <= now and one.began >= state.since), key=lambda one: one.ended
        )
        state = decided(state, seen, now, workers, int(left(now))) or state
        result.append((state.limit, state))
    return result


@pytest.mark.parametrize("seed", range(30))
def test_more_that_bring_nothing_are_soon_sent_away(seed: int) -> None:
    found = limits(lambda n, now: 200_000, 4, 60, seed)
    assert found[-1][0] == 2
    last = found[-1][1]
    assert (last.tried, last.before) == (4, 0)
    assert last.again > AGAIN_SECONDS
    assert sum(limit > 2 for limit, _ in found) <= 15 * 4
    assert last.sentence().startswith("2 of 4 workers: more brought nothing (")


@pytest.mark.parametrize("seed", range(30))
def test_all_of_eight_are_soon_at_work_where_they_bring_more(seed: int) -> None:
    found = limits(lambda n, now: 100_000 * n, 8, 30, seed)
    assert found[-1][0] == 8
    assert {limit for limit, _ in found} == {2, 4, 8}  # by doubling
    assert next(place for place, (limit, _) in enumerate(found) if limit == 8) <= 15 * 4
    assert found[-1][1].before == 0


def test_as_many_as_bring_something() -> None:
    found = limits(lambda n, now: 100_000 * min(n, 4), 16, 60)
    assert (found[-1][0], found[-1][1].tried) == (4, 8)


def test_after_a_long_while_it_is_tried_again() -> None:
    found = limits(lambda n, now: 100_000 * (2 if now < 100 else n), 4, AGAIN_SECONDS + 60)
    assert found[4 * 60][0] == 2
    assert found[-1][0] == 4
    assert found[-1][1].sentence().startswith("4 of 4 workers: more brought more (")


def test_nothing_is_tried_for_what_is_soon_over() -> None:
    found = limits(lambda n, now: 100_000 * n, 8, 12, left=lambda now: 200_000 * (9 - now))
    assert {limit for limit, _ in found} == {2}


def test_rates_of_other_tables_are_not_held_against_it() -> None:
    """The table that follows goes ten times as fast, and more sessions bring nothing."""
    found = limits(
        lambda n, now: 200_000 if now < 5 else 2_000_000,
        4,
        25,
        kind=lambda now: "1 copy" if now < 5 else "2 copy",
    )
    assert all(state.tried == 0 or state.limit == 2 for _, state in found)


def test_where_nobody_comes_it_is_as_before() -> None:
    found = limits(lambda n, now: 200_000, 4, 60, present=2)
    assert found[-1][0] == 2
    assert found[-1][1].tried == 0


def test_another_stage_begins_with_as_many_and_measures_for_itself() -> None:
    state = Concurrency(4, "copy", 1.0, 8, before=2, sessions=2, speeds={"1 copy": 5.0}, tried=4, again=500.0)
    assert state.of_stage("copy", 9.0) is state
    assert state.of_stage("verify", 9.0) == Concurrency(2, "verify", 9.0, 8)
    assert Concurrency.from_json(state.to_json()) == state
