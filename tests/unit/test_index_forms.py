"""An index that a step builds is printed in each of its forms, and is the same script in the register in both."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.plan.codec import from_plain, to_plain
from mappings.plan.schema_steps import Index, Step
from mappings.schema.applied import Applied
from mappings.schema.kinds.add_index import plainly
from mappings.sql import NOTHING, verbatim

pytestmark = pytest.mark.unit
BUILT = Index(verbatim('"a INDEX CONCURRENTLY b"'), verbatim('"s"."t" ("x")'), unique=True)
PLAIN = 'CREATE UNIQUE INDEX "a INDEX CONCURRENTLY b" ON "s"."t" ("x")'
BUSY = verbatim('CREATE UNIQUE INDEX CONCURRENTLY "a INDEX CONCURRENTLY b" ON "s"."t" ("x")')
FIELDS: dict[str, Any] = {
    "kind": "add_index",
    "side": "target",
    "relation": "t",
    "name": "a",
    "title": "",
    "fits": "",
}
STEP = Step(
    kind="add_index", table="t", relation=verbatim("t"), side="target", name="a", title="", sql=(BUSY,), undo=(),
    weight="index build", lock="", alone=True, before=NOTHING, after=NOTHING, fits=NOTHING, index=BUILT,
)  # fmt: skip


def registered(sql: str) -> Applied:
    return Applied(id=1, run=1, mapping="m", sql=[verbatim(sql)], undo=[], alone=False, sha256="", **FIELDS)


def test_each_form() -> None:
    assert BUILT.build() == PLAIN
    assert BUILT.build(concurrently=True) == BUSY
    twice = BUILT.build(concurrently=True, unless_there=True)
    assert twice == BUSY.replace("CONCURRENTLY ", "CONCURRENTLY IF NOT EXISTS ", 1)
    assert Index(verbatim("i"), verbatim("t (x)"), unique=False).build() == "CREATE INDEX i ON t (x)"


def test_it_is_the_same_index_however_it_was_built() -> None:
    assert plainly(STEP).sql == (PLAIN,)
    for step in (STEP, plainly(STEP), from_plain(Step, to_plain(STEP))):
        assert step.is_script(registered(PLAIN).sql)
        assert step.is_script(registered(BUSY).sql)
        assert not step.is_script(registered("CREATE INDEX i ON t (x)").sql)
