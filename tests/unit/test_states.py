"""Every arrow between two statuses, and every pair that is none."""

from __future__ import annotations

from itertools import product

import pytest

from jobs import states

# Written down a second time, from the operator's side: where each status may lead.
ARROWS = {
    "queued": "preparing pausing paused failed cancelled",
    "preparing": "copying pausing paused failed cancelled",
    "copying": "verifying pausing paused failed cancelled",
    "verifying": "verified mismatch copying pausing paused failed cancelled",
    "verified": "verifying copying rolling_back",
    "mismatch": "verifying copying rolling_back",
    "failed": "preparing copying verifying rolling_back",
    "cancelled": "rolling_back",
    "pausing": "paused cancelled",
    "paused": "preparing copying verifying rolling_back cancelled",
    "rolling_back": "rolled_back pausing paused failed",
    "rolled_back": "",
}


@pytest.mark.parametrize(("old", "new"), list(product(states.STATUSES, repeat=2)))
def test_each_pair_is_an_arrow_with_a_reason_or_none_at_all(old: str, new: str) -> None:
    if new in ARROWS[old].split():
        assert states.reason(old, new).endswith(".")
        assert old in states.sources(new)
    else:
        with pytest.raises(KeyError):
            states.reason(old, new)
        assert old not in states.sources(new)


def test_every_status_is_in_the_table() -> None:
    assert set(ARROWS) == set(states.STATUSES)


def test_every_status_can_be_reached() -> None:
    reached, frontier = set(), {states.QUEUED}
    while frontier:
        reached |= frontier
        frontier = {new for old, new in states.MOVES if old in frontier} - reached
    assert reached == set(states.STATUSES)


def test_only_a_rolled_back_run_leads_nowhere() -> None:
    assert [old for old in states.STATUSES if not any(start == old for start, _ in states.MOVES)] == [
        "rolled_back"
    ]


def test_a_rollback_cannot_be_cancelled() -> None:
    """Half a rollback is neither migrated nor as before: it is paused, or fails and is retried, to its end."""
    assert states.ROLLING_BACK not in states.sources(states.CANCELLED)


def test_groups_do_not_overlap_wrongly() -> None:
    assert states.WORKING < states.RINGING < states.ACTIVE
    assert set(states.STATUSES) == states.ACTIVE | states.FINISHED
    assert not states.ACTIVE & states.FINISHED


def test_green_is_reached_by_verification_alone() -> None:
    assert states.sources(states.VERIFIED) == (states.VERIFYING,)


@pytest.mark.parametrize("status", list(states.STAGE_STATUS.values()))
def test_a_paused_run_can_go_on_with_each_stage(status: str) -> None:
    assert status in states.WORKING
    assert states.reason(states.PAUSED, status)
    assert states.reason(states.FAILED, status)
