"""Throttles as values: how they are written, what is refused, how they are said."""

from __future__ import annotations

import pytest

from jobs.throttles import ALL, NONE, Throttles
from mappings.problems import Refused


def test_each_field_is_a_throttle_with_words() -> None:
    assert [throttle.name for throttle in ALL] == list(Throttles.__dataclass_fields__)
    assert all(throttle.sentence.count("{}") == 1 for throttle in ALL)


def test_what_is_written_is_kept_and_said() -> None:
    texts = {"rows_per_second": "1,500", "pause_between_chunks": " 0.5 ", "target_query": "SELECT true;\n"}
    throttles = NONE.changed(texts)
    assert throttles == Throttles(0.5, 1500, target_query="SELECT true")
    assert throttles.sentences() == [
        "it pauses 0.5 s after each chunk",
        "it moves 1,500 rows a second",
        "it waits while “SELECT true” says so on the target",
    ]
    assert Throttles.from_json(throttles.to_json()) == throttles


def test_what_is_not_named_stays_as_it_is() -> None:
    throttles = Throttles(rows_per_second=10, active_sessions=3)
    assert throttles.changed({"active_sessions": "0"}) == Throttles(rows_per_second=10, active_sessions=0)


@pytest.mark.parametrize("text", ["", "off", "OFF", " ", "0"])
def test_a_throttle_is_taken_away(text: str) -> None:
    assert Throttles(rows_per_second=10).changed({"rows_per_second": text}) == NONE


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "nan", "9" * 20, "1e3"])
def test_a_number_of_rows_that_makes_no_sense(text: str) -> None:
    with pytest.raises(Refused, match=r"^rows_per_second: "):
        NONE.changed({"rows_per_second": text})


@pytest.mark.parametrize("text", ["-0.1", "nan", "inf", "soon"])
def test_a_number_of_seconds_that_makes_no_sense(text: str) -> None:
    with pytest.raises(Refused, match=r"^lock_wait_seconds: "):
        NONE.changed({"lock_wait_seconds": text})


def test_all_problems_are_listed() -> None:
    with pytest.raises(Refused) as refused:
        NONE.changed({"rows_per_second": "x", "source_query": "x" * 5_001})
    assert [problem.path for problem in refused.value.problems] == ["rows_per_second", "source_query"]


@pytest.mark.parametrize(
    ("throttles", "signals"),
    [
        (Throttles(1, 1), False),
        (NONE, False),
        (Throttles(active_sessions=0), True),
        (Throttles(source_query="x"), True),
    ],
)
def test_signals_are_what_has_to_be_looked_up(throttles: Throttles, signals: bool) -> None:
    assert throttles.signals == signals
