"""Numbers as pages show them."""

from __future__ import annotations

import pytest

from jobs.templatetags.jobs_tags import DASH, number


@pytest.mark.unit
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, DASH),
        (0, "0"),
        (1234567.8, "1 234 568"),
        ("-1234", "-1 234"),
        (2**63 - 1, "9 223 372 036 854 775 807"),
    ],
)
def test_a_number_is_grouped_and_keeps_its_digits(value: object, shown: str) -> None:
    assert number(value) == shown.replace(" ", ",")
