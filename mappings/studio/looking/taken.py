"""Values that depend on what is taken: which of them are, as the target stands now, and what the run would give."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from mappings.compiling.columns import Compiler
from mappings.language.taken_checks import PLACE
from mappings.plan.references import Assigned, Reference
from mappings.sql import cast, compose, encoded, ident, operator, verbatim
from mappings.studio.looking.real_rows import Part

FIRST = 2
"""The number in the first suffix that is tried."""


def told(ref: Reference, own: Sequence[str | None], compiler: Compiler) -> list[tuple[Part, ...]]:
    """What becomes of each row's value. own: what the source says, None for NULL; of numbers nothing."""
    how = ref.assigned
    assert how is not None
    if not how.suffix:
        return [(Part(_example(ref, how, compiler), "given by the run", "mute"),)] * len(own)
    there = _there(ref, how, [text for text in own if text is not None], compiler)
    parts: list[tuple[Part, ...]] = []
    seen: set[str] = set()
    for text in own:
        parts.append((_unique(how, text, there, seen),) if text is not None else ())
        seen.add(text or "")
    return parts


def _unique(how: Assigned, text: str, there: set[str] | None, seen: set[str]) -> Part:
    number = str(FIRST)
    other = text + how.suffix.replace(PLACE, number)
    if how.most and len(other) > how.most:
        other = text[: len(text) - (len(other) - how.most)] + how.suffix.replace(PLACE, number)
    if how.within:
        return Part(text, f"or {other} and so on where it is taken within {', '.join(how.within)}", "mute")
    if there is None:
        return Part(text, f"or {other} and so on where it is taken", "mute")
    if text in there:
        return Part(text, f"is taken in the target: becomes {other}, or the next that is free", "warn")
    if text in seen:
        return Part(text, f"a row before it says the same: becomes {other}, or the next that is free", "warn")
    return Part(text, "is free", "ok")


def _there(ref: Reference, how: Assigned, texts: Sequence[str], compiler: Compiler) -> set[str] | None:
    """Those texts that the target's rows have, as it tells them apart; None where it cannot be asked."""
    if how.within or how.match:
        return None
    column, told_by = ident(ref.target), how.told
    question = compose(
        "SELECT x.said FROM unnest(%s::text[]) AS x(said) WHERE EXISTS (SELECT FROM {table} WHERE ({told}) {equal}"
        " (SELECT {told} FROM (SELECT {value} AS {column}) AS y))",
        table=compiler.table.target.sql,
        told=told_by,
        equal=operator("=", how.operators),
        value=cast(verbatim("x.said"), ref.type),
        column=column,
    )
    try:
        return {row[0] for row in compiler.databases.target.execute(encoded(question), [list(texts)])}
    except psycopg.Error:
        return None


def numbers(how: Assigned) -> str:
    """Which numbers a column gets, in words."""
    within = f" for each {', '.join(how.within)}" if how.within else ""
    return f"the next after {'the largest there' if how.after is None else how.after}{within}"


def _example(ref: Reference, how: Assigned, compiler: Compiler) -> str:
    """The first numbers that a run would give now, as far as that can be told."""
    after = how.after
    if after is None and how.within:
        return "1, 2, 3 …"
    if after is None:
        question = compose(
            "SELECT coalesce(max({}), 0)::bigint FROM {}", ident(ref.target), compiler.table.target.sql
        )
        try:
            row = compiler.databases.target.execute(encoded(question)).fetchone()
        except psycopg.Error:
            row = None
        after = int(row[0]) if row else 0
    return f"{after + 1}, {after + 2}, {after + 3} …"
