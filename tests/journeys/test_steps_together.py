"""The small steps of one small table are taken at once: all or none, each with its line and its undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from jobs.engine.schema import apply
from jobs.engine.schema import apply_together as together
from mappings.plan.schema_steps import Step
from tests.journeys.world import World

REGISTERED = "SELECT relation, name FROM migrator.schema_step WHERE undone_at IS NULL ORDER BY id"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps that were taken at once."""
    taken: list[Step] = []
    register = apply.register_steps

    def noted(conn: Any, plan: Any, run: int, steps: Sequence[Step]) -> None:
        taken.extend(steps)
        register(conn, plan, run, steps)

    monkeypatch.setattr(apply, "register_steps", noted)
    return taken


@pytest.fixture
def empty_shop(shop: World) -> World:
    """Tables with rows get their index by itself, while others write."""
    shop.target("TRUNCATE crm.client, crm.sale")
    return shop


def test_steps_taken_at_once_are_what_they_are_one_by_one(empty_shop: World, at_once: list[Step]) -> None:
    before = empty_shop.shape()
    run = empty_shop.started()
    assert run.status == "verified" and empty_shop.complaints() == []
    sale = [step.kind for step in at_once if step.relation == "crm.sale"]
    assert sale == ["add_column", "add_index", "add_column"]
    assert {(step.state, step.note) for step in run.steps.all()} == {("done", "")}
    assert len(empty_shop.target(REGISTERED)) == run.steps.count()
    assert empty_shop.rolled_back(run).status == "rolled_back"
    assert empty_shop.shape() == before


@pytest.mark.parametrize("world", ["two"], indirect=True)
def test_where_one_of_them_fails_none_is_done_and_that_one_is_named(
    empty_shop: World, at_once: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = together._any_begun

    def looks_away(conn: Any, steps: Sequence[Step]) -> bool:
        """Somebody adds the flag once all was looked at."""
        any_begun = look(conn, steps)
        if steps[0].relation == "crm.sale":
            empty_shop.target("ALTER TABLE crm.sale ADD is_migrated boolean")
        return any_begun

    monkeypatch.setattr(together, "_any_begun", looks_away)
    run = empty_shop.started()
    assert run.status == "failed"
    assert "Add crm.sale.is_migrated" in run.error and "not by a script of this register" in run.error
    assert ("crm.sale", "is_migrated") not in empty_shop.target(REGISTERED)
