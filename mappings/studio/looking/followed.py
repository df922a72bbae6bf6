"""What becomes of ids and of values that may be taken, told for real rows before any run: which parent is missing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mappings.compiling.columns import Compiler
from mappings.compiling.keys import source_key
from mappings.compiling.names.resolve import Resolved
from mappings.compiling.referring import assigned
from mappings.compiling.referring.several_parents import Parent, references_of
from mappings.plan.references import Reference
from mappings.plan.table_plan import Value
from mappings.sql import Sql, compose, joined, verbatim
from mappings.studio.looking import ids, taken
from mappings.studio.looking.fits import Fit
from mappings.studio.looking.ids import Key
from mappings.studio.looking.real_rows import Pair, Part, RealRow

Tone = Literal["ok", "warn", "bad", "mute"]
Kept: TypeAlias = Mapping[str, AbstractSet[Key]]
"""By table mapping the keys of those that were asked for which it brings."""


@dataclass
class Followed:
    """The columns of a table mapping that are not filled from its row alone. problems are the compiler's."""

    columns: dict[str, list[Reference]] = field(default_factory=dict)
    parents: dict[str, Parent] = field(default_factory=dict)

    @property
    def fits(self) -> dict[str, Fit]:
        """Their fit: they were compiled, so they do; with what they become."""
        return {name: _fit(refs) for name, refs in self.columns.items()}

    @property
    def values(self) -> list[Value]:
        """What the source says of each, as one JSON text, to be read with the other columns of real rows."""
        text = verbatim("text")
        return [Value(name, _asked(refs), text, text, text, True) for name, refs in self.columns.items()]


def followed(compiler: Compiler, resolved: Mapping[str, Resolved], on_error: str) -> Followed:
    """What can be compiled of such columns. resolved: the table mappings that may be referred to, by name."""
    result = Followed()
    for column in compiler.table.spec.columns:
        for name in column.points_to & resolved.keys() - result.parents.keys():
            parent = Compiler(resolved[name], compiler.databases, [])
            result.parents[name] = Parent(parent, source_key(parent))
        if column.is_assigned:
            one = assigned.reference(compiler, column, source_key(compiler), on_error)
            refs = [one] if one else []
        elif column.points_to:
            target = compiler.table.target.column(column.name)
            late = compiler.table.spec.name in column.points_to and not (target and target.not_null)
            refs = references_of(compiler, column, result.parents, late, on_error)
        else:
            continue
        if refs:
            result.columns[column.name] = refs
    return result


def _fit(refs: Sequence[Reference]) -> Fit:
    how = refs[0].assigned
    if how and how.suffix:
        within = f" within {', '.join(how.within)}" if how.within else ""
        return Fit("ok", "made unique", f"the run adds {how.suffix} where it is taken{within}")
    if how:
        return Fit("ok", "numbered", f"the run gives {taken.numbers(how)}")
    names = sorted({ref.parent for ref in refs if ref.parent})
    inside = "the ids inside become those of the rows that" if refs[0].inside else "the row that"
    return Fit("ok", "fits", f"{inside} {' or '.join(names)} becomes")


def _asked(refs: Sequence[Reference]) -> Sql:
    """What each of them asks by, as JSON; NULL where none asks anything."""
    rows = (
        compose("jsonb_build_array({})", joined(", ", (compose("to_jsonb({})", part.sql) for part in ref.by)))
        for ref in refs
    )
    any_of = joined(" OR ", (compose("({}) IS NOT NULL", ref.by[0].sql) for ref in refs))
    return compose("CASE WHEN {} THEN jsonb_build_array({}) END", any_of, joined(", ", rows))


def told(
    result: Followed, names: Sequence[str], rows: Sequence[RealRow], compiler: Compiler
) -> list[RealRow]:
    """The rows with what becomes of each id in the columns that were read as JSON. names: of the columns, in order."""
    places = [(place, result.columns[name]) for place, name in enumerate(names) if name in result.columns]
    wanted: dict[str, set[Key]] = defaultdict(set)
    for place, refs in places:
        for row in rows:
            for ref, by in _read(refs, row.pairs[place]):
                if ref.parent:
                    wanted[ref.parent].update(ids.keys_in(ref, by, compiler))
    kept = {name: ids.brought(result.parents[name], keys, compiler) for name, keys in wanted.items()}
    changed: list[dict[int, Pair]] = [{} for _ in rows]
    for place, refs in places:
        pairs = [row.pairs[place] for row in rows]
        for number, pair in enumerate(_column(refs, pairs, kept, compiler)):
            changed[number][place] = pair
    return [
        RealRow(row.key, tuple(new.get(place, pair) for place, pair in enumerate(row.pairs)))
        for row, new in zip(rows, changed, strict=True)
    ]


def _column(
    refs: Sequence[Reference],
    pairs: Sequence[Pair],
    kept: Mapping[str, AbstractSet[Key] | None],
    compiler: Compiler,
) -> Iterator[Pair]:
    """One column's pairs, with their parts."""
    if refs[0].assigned:
        own = [
            by[1] if len(by) > 1 else None for pair in pairs for _, by in [*_read(refs, pair), (None, [])][:1]
        ]
        parts = taken.told(refs[0], own, compiler)
        yield from (
            pair if pair.failed else Pair(pair.before, None, "", part)
            for pair, part in zip(pairs, parts, strict=True)
        )
        return
    for pair in pairs:
        if pair.failed:
            yield pair
            continue
        result = [
            _part(ref, key, kept.get(ref.parent))
            for ref, by in _read(refs, pair)
            for key in (ids.keys_in(ref, by, compiler) if ref.parent else [(str(by[0]),)])
        ]
        yield Pair(pair.before, None if result else _as_it_is(pair), "", tuple(result))


def _as_it_is(pair: Pair) -> str | None:
    """The value in which there is no id to be followed; NULL stays NULL."""
    return None if pair.after is None else ", ".join(text or "" for text in pair.before)


def _read(refs: Sequence[Reference], pair: Pair) -> Iterator[tuple[Reference, list[Any]]]:
    """Each reference that this row asks, with the parts of what it asks by."""
    if pair.after is None or pair.failed:
        return
    for ref, by in zip(refs, json.loads(pair.after, parse_float=str, parse_int=str), strict=True):
        if all(part is not None for part in by[:1]):
            yield ref, by


def _part(ref: Reference, key: Key, kept: AbstractSet[Key] | None) -> Part:
    """What becomes of one id. kept: the keys that its table mapping brings, None where nobody knows."""
    shown = ", ".join(key)
    if not ref.parent:
        return Part("", shown, "bad")
    if kept is None or key in kept:
        return Part(shown, f"→ new id of {ref.parent}", "ok")
    inside = ref.inside.policy if ref.inside else ""
    words = {"drop": "it is dropped", "keep": "it stays", "null": "it becomes NULL"}.get(
        inside or ref.missing
    )
    if words:
        return Part(shown, f"no such row in {ref.parent}, {words}", "warn")
    what = "its row is set aside" if ref.missing == "quarantine" else "the run stops"
    return Part(shown, f"no such row in {ref.parent}, {what}", "bad")
