"""Each phase has one stage, one word, and somebody who performs it; nothing waits for what never comes."""

from __future__ import annotations

from collections import Counter

import pytest

from jobs import phases, states
from jobs.models import TableRun
from jobs.running import perform_chunk, runner
from jobs.running.admission import standing_by

pytestmark = pytest.mark.unit
WORKED_IN = {stage: found for stage, found in phases.OF_STAGE.items() if stage != "prepare"}
ALL = Counter(phase for found in WORKED_IN.values() for phase in found)


def test_each_phase_belongs_to_one_stage_and_has_a_word() -> None:
    assert set(ALL.values()) == {1}
    assert set(phases.DOING) == set(ALL)
    assert set(phases.OF_STAGE) == set(states.STAGE_STATUS)


def test_each_phase_is_performed() -> None:
    assert {*perform_chunk.ENGINE, phases.VERIFY, phases.PRUNE} == set(ALL)


def test_each_status_in_which_chunks_are_done_has_an_end() -> None:
    assert set(standing_by.WORK_IN) == set(runner.STAGE_ENDS)


def test_a_phase_waits_only_for_one_that_comes_before_it_in_its_stage() -> None:
    for phase, first in phases.AFTER_ALL.items():
        (stage,) = (found for found in WORKED_IN.values() if phase in found)
        assert stage.index(first) < stage.index(phase)


def test_a_table_goes_forward_or_begins_anew_and_what_is_taken_back_goes_on() -> None:
    forward, backward = phases.FORWARD, phases.BACKWARD
    for phase in forward:
        later = forward[forward.index(phase) + 1 :]
        allowed = {following for following in ALL if phases.may_follow(phase, following)}
        assert allowed == {*later, phases.COPY, phases.VERIFY, *backward}, phase
    assert [[one for one in ALL if phases.may_follow(phase, one)] for phase in backward] == [
        [phases.UNLINK, phases.UNDO],
        [phases.UNDO],
    ]
    with pytest.raises(ValueError, match="copy cannot follow undo"):
        TableRun(name="t", phase=phases.UNDO).enter(phases.COPY, cut=False)
