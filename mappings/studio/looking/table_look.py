"""One table mapping as its page shows it: a row for each target column, what fills it, how it fits, real values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Mappings
from dataclasses import dataclass, field
from functools import lru_cache

import psycopg

from mappings.compiling.columns import Compiler
from mappings.compiling.keys import source_key
from mappings.compiling.names.resolve import Databases, resolve
from mappings.connections.unreachable import DatabaseUnreachable
from mappings.language.canonical import referred
from mappings.models import Mapping, TableMapping
from mappings.problems import Problem, Refused
from mappings.studio.column_form import constant_text, how_of, taken_words, text_of
from mappings.studio.draft import Values, digest
from mappings.studio.edits import column_of
from mappings.studio.live import Live
from mappings.studio.looking import fits
from mappings.studio.looking.fits import Fit
from mappings.studio.looking.followed import Followed, followed, told
from mappings.studio.looking.real_rows import Pair, real_rows, shortened, shown_values
from mappings.studio.looking.sound import Sound, sound_part
from mappings.studio.sessions import both_sides
from mappings.suggesting.sides import Column, Table

FEW = 3
"""Rows of which a column shows its values."""

UNKNOWN = Fit("mute", "not checked")
FILLED_BY_RUN = Fit("mute", "filled by the run")


@lru_cache(100_000)
def _slug(column: str) -> str:
    return digest(column)


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """One target column. filling: canonical values, None where it is left to its default; was: their digest.

    how: from, expr, value, lookup, ref, taken, or default; text: what stands in its input; values: (before, after) of
    the first rows; open: it must be filled and is not.
    """

    name: str
    type: str
    not_null: bool
    default: str
    generated: bool
    filling: Values | None
    was: str
    how: str
    text: str
    fit: Fit
    values: tuple[Pair, ...] = ()

    @property
    def slug(self) -> str:
        """What its elements on the page are called."""
        return _slug(self.name)

    @property
    def short_type(self) -> str:
        """The type as people write it."""
        return fits.short_type(self.type)

    @property
    def constant(self) -> str:
        """The constant, as it is typed."""
        return constant_text(self.filling["value"]) if self.filling and "value" in self.filling else ""

    @property
    def taken(self) -> str:
        """How it depends on what is taken, in a word or two."""
        return taken_words(self.filling or {})

    @property
    def parent(self) -> str:
        """The table mapping that a reference points to."""
        return ", ".join(referred(self.filling or {}))

    @property
    def open(self) -> bool:
        return self.fit is fits.EMPTY

    @property
    def wrong(self) -> bool:
        return self.fit.tone == "bad" and not self.open


@dataclass(frozen=True, slots=True)
class TableLook:
    """columns: in the target's order, those that must be filled and are not first; unused: source columns.

    problems: by part of the table mapping (`where`, `key`); note: why nothing could be checked, '' where it was.
    """

    columns: tuple[ColumnRow, ...]
    unused: tuple[Column, ...]
    problems: Mappings[str, str]
    note: str = ""

    def column(self, name: str) -> ColumnRow | None:
        """The row of a target column."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def filled(self) -> int:
        return sum(column.filling is not None for column in self.columns)

    @property
    def open(self) -> int:
        """Questions that stand open: columns that must be filled."""
        return sum(column.open for column in self.columns)

    @property
    def wrong(self) -> int:
        """What would block the plan."""
        return sum(column.wrong for column in self.columns) + len(self.problems)


@dataclass
class Checked:
    """What the databases said of one table mapping. problems: of its parts, by part."""

    fits: dict[str, Fit] = field(default_factory=dict)
    values: dict[str, tuple[Pair, ...]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    note: str = ""


def look_at(mapping: Mapping, table: TableMapping, live: Live) -> TableLook:
    """The table as it stands in the draft, held against the live tables."""
    sound = sound_part(mapping, table)
    checked = _checked(sound, mapping.widen, live)
    checked.fits |= {name: Fit("bad", "cannot", text) for name, text in sound.columns.items()}
    target = live.target.find(table.target)
    rows = [_row(table.values, column, checked) for column in (target.columns if target else ())]
    rows += _strays(table.values, target, checked)
    rows.sort(key=lambda row: not row.open)
    source = live.source.find(table.source)
    problems = {**sound.others, **checked.problems}
    return TableLook(tuple(rows), tuple(_unused(table.values, source)), problems, checked.note)


def _checked(sound: Sound, widen: bool, live: Live) -> Checked:
    checked = Checked()
    if sound.spec is None or live.environment is None or live.notes:
        return checked
    try:
        with both_sides(live.environment) as databases:
            _check(sound, widen, databases, checked)
    except (DatabaseUnreachable, Refused, psycopg.Error) as error:
        checked.note = f"Not checked: {str(error).strip().splitlines()[0]}"
    return checked


def _check(sound: Sound, widen: bool, databases: Databases, checked: Checked) -> None:
    spec = sound.spec
    assert spec is not None
    problems: list[Problem] = []
    resolved = {table.spec.name: table for table in resolve(spec, databases, problems)}
    _sort(problems, checked)
    table = resolved.get(spec.tables[0].name)
    if table is None:
        return
    problems = []
    compiler = Compiler(table, databases, problems)
    compiler.values()
    source_key(compiler)
    follow = followed(compiler, resolved, spec.on_error)
    few = fits.sampled(compiler)
    checked.fits |= fits.fits(compiler, few, widen) | follow.fits
    _sort(problems, checked)
    checked.values = _few_values(few, follow)
    for name, pairs in checked.values.items():
        failed = next((pair.failed for pair in pairs if pair.failed), "")
        if failed and checked.fits.get(name, UNKNOWN).tone != "bad":
            checked.fits[name] = Fit("bad", "fails", failed)


def _few_values(few: Compiler, follow: Followed) -> dict[str, tuple[Pair, ...]]:
    """The first values of each compiled column; a column that fails says with what."""
    values = [*shown_values(few), *follow.values]
    names = [value.target for value in values]
    rows = shortened(told(follow, names, real_rows(few, values, FEW), few))
    return {name: _differing([row.pairs[at] for row in rows]) for at, name in enumerate(names)}


def _differing(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Without what is told of every row in the same words."""
    return tuple(pair for place, pair in enumerate(pairs) if not pair.parts or pair not in pairs[:place])


def _sort(problems: Sequence[Problem], checked: Checked) -> None:
    """Problems of the first table, to its columns and its parts."""
    for problem in problems:
        path = problem.path.removeprefix("tables[0]").lstrip(".")
        if not problem.path.startswith("tables[0]"):
            continue
        if path.startswith("columns"):
            checked.fits[_column_at(path)] = Fit("bad", "cannot", problem.text)
        else:
            checked.problems.setdefault(path.partition(".")[0].partition("[")[0] or "source", problem.text)


def _column_at(path: str) -> str:
    """The column of `columns.email.lookup.key`; its name may hold dots itself."""
    return path.removeprefix("columns").lstrip(".").removesuffix(".lookup.key").removesuffix(".lookup")


def _row(values: Values, column: Column, checked: Checked) -> ColumnRow:
    filling = column_of(values, column.name)
    return ColumnRow(
        name=column.name,
        type=column.type,
        not_null=column.not_null,
        default="identity" if column.identity else column.default or "",
        generated=bool(column.generated),
        filling=filling,
        was=digest(filling),
        how=how_of(filling),
        text=text_of(filling),
        fit=_fit(values, column, filling, checked),
        values=checked.values.get(column.name, ()),
    )


def _fit(values: Values, column: Column, filling: Values | None, checked: Checked) -> Fit:
    if filling is not None:
        return checked.fits.get(column.name, UNKNOWN)
    if column.generated:
        return Fit("mute", "generated")
    if column.name in of_the_run(values):
        return FILLED_BY_RUN
    return fits.EMPTY if column.not_null and not fills_itself(column) else fits.DEFAULT


def fills_itself(column: Column) -> bool:
    """Whether a row may leave it out even though it is NOT NULL."""
    return bool(column.default or column.identity or column.generated)


def of_the_run(values: Values) -> tuple[str, ...]:
    """Columns that a run adds and fills itself, where an earlier one left them."""
    source_id = values.get("link", {}).get("source_id", "source_table_id")
    names = source_id if isinstance(source_id, list) else [source_id]
    return tuple(name for name in (*names, values.get("is_migrated", "is_migrated")) if name)


def _strays(values: Values, target: Table | None, checked: Checked) -> Iterator[ColumnRow]:
    """Columns that are mapped and that the target does not have, or of which nobody knows."""
    for filling in values.get("columns", ()):
        name = filling["name"]
        if target and target.column(name):
            continue
        fit = Fit("bad", "cannot", "the target has no such column") if target else UNKNOWN
        how, text = how_of(filling), text_of(filling)
        yield ColumnRow(name, "", False, "", False, filling, digest(filling), how, text, fit)


def _unused(values: Values, source: Table | None) -> Iterator[Column]:
    """Source columns that nothing of the mapping names: no filling, no condition, no key."""
    if source is None:
        return
    texts = [text_of(filling) for filling in values.get("columns", ())]
    texts += [str(values.get(part, "")) for part in ("where", "order_by", "joins")]
    key = values.get("key") or source.primary_key
    named = {*(() if key == "content" else key), *texts, *(name for text in texts for name in _names(text))}
    yield from (column for column in source.columns if column.name not in named)


def _names(text: str) -> Iterator[str]:
    """The identifiers in an expression, well enough to tell what is never named."""
    word = ""
    for sign in f"{text} ":
        if sign.isalnum() or sign in "_$":
            word += sign
        elif word:
            yield word
            word = ""
