"""Proposals for a mapping that is stored, or not there yet: what people chose stays, and its gaps are proposed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mappings.expressions.cursor import Cursor
from mappings.expressions.parser import ExpressionError, RelationName, parse_expression, parse_relation
from mappings.language.canonical import file_form
from mappings.language.checks import SLUG, spec_from_plain
from mappings.language.spec import Column, MappingSpec
from mappings.models import Environment, Mapping
from mappings.planning.live_databases import connected
from mappings.problems import Problem, Refused
from mappings.store import values_of
from mappings.suggesting import draft, suggest
from mappings.suggesting.columns import SURE
from mappings.suggesting.proposals import TableProposal
from mappings.suggesting.sides import Side, Table

Pair = tuple[int, int]
Live = dict[str, tuple[Table, Table]]
Named = tuple[str, RelationName, RelationName]


@dataclass(frozen=True, slots=True)
class Suggestions:
    """spec: what people chose already; listed: all proposals, a source table's best target first; drafted: those of
    them that go together, each table once."""

    spec: MappingSpec
    listed: tuple[TableProposal, ...]
    drafted: tuple[TableProposal, ...]

    def to_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {"tables": [proposal.to_json() for proposal in self.listed]}

    def draft(self) -> str:
        """A mapping file; Refused where nothing goes with anything."""
        if not any(proposal.columns for proposal in self.drafted) and not self.spec.tables:
            text = "no table of the source is like one of the target; name a pair with --table SOURCE=TARGET"
            raise Refused([Problem("", text)])
        return draft.text(self.spec, self.drafted, SURE)


def make(name: str, environment: Environment, pairs: Sequence[str] = ()) -> Suggestions:
    """Looks at both databases and proposes. pairs: `SOURCE=TARGET`; none: all tables that go together.

    Refused where a name is none of a mapping, a pair names no tables, or a database cannot be looked at.
    """
    if not SLUG.fullmatch(name):
        text = f"{name!r} cannot be a mapping's name: up to 63 letters, digits, hyphens and underscores"
        raise Refused([Problem("", text)])
    spec, unfilled = _known(name)
    relations = _relations(pairs)
    with connected(environment) as result:
        looked = suggest.look(result.source, result.target, result.same)
        given = _tables(looked, relations, result.same)
        ours = _tables(looked, [*_pairs_of(spec), *unfilled], result.same)
        mapped = _mapped(spec, ours)
        fixed = _fixed(looked, given or ours, {**ours, **given}, mapped)
        others = [] if given else _others(looked, fixed)
        filled = suggest.with_columns(looked, [*fixed, *others], _chosen(spec, mapped))
    certain, open_ = filled[: len(fixed)], filled[len(fixed) :]
    return Suggestions(spec, tuple(filled), (*certain, *suggest.one_to_one(open_)))


def _known(name: str) -> tuple[MappingSpec, list[Named]]:
    """What is stored of the mapping; tables of a draft that has no columns for them yet apart."""
    mapping = Mapping.objects.filter(name=name).first()
    if mapping is None:
        return MappingSpec(name, ()), []
    values = values_of(mapping)
    full = [table for table in values["tables"] if table["columns"]]
    bare = [t for t in values["tables"] if not t["columns"] and t.get("source") and t.get("target")]
    plain = {key: value for key, value in values.items() if key != "tables"}
    spec = (
        spec_from_plain(file_form({**values, "tables": full}))
        if full
        else MappingSpec(
            name,
            (),
            plain["description"],
            plain["widen"],
            plain["on_error"],
            plain["max_quarantined"],
            tuple(plain.get("params", ())),
        )
    )
    return spec, [(t["name"], parse_relation(t["source"]), parse_relation(t["target"])) for t in bare]


def _relations(pairs: Iterable[str]) -> list[Named]:
    """The tables that `SOURCE=TARGET` name; Refused with all that name none."""
    named, problems = [], []
    for text in pairs:
        try:
            named.append((text, *_halves(text)))
        except ExpressionError as error:
            problems.append(Problem(text, f"must be SOURCE=TARGET, two tables as in SQL: {error}"))
    if problems:
        raise Refused(problems)
    return named


def _halves(text: str) -> tuple[RelationName, RelationName]:
    """Both sides of the = that stands outside of quotes."""
    cursor = Cursor(text)
    equals = [token for token in cursor.tokens if token.value == "=" and token.kind != "quoted"]
    if len(equals) != 1:
        raise ExpressionError("one = is needed between them", text, 1)
    return parse_relation(text[: equals[0].start]), parse_relation(text[equals[0].end :])


def _pairs_of(spec: MappingSpec) -> list[Named]:
    return [(t.name, parse_relation(t.source), parse_relation(t.target)) for t in spec.tables]


def _tables(
    looked: suggest.Suggesting,
    relations: Iterable[Named],
    same: bool,
) -> Live:
    """The live tables of each pair by how it was named; Refused with all that are not there."""
    problems: list[Problem] = []
    live: Live = {}
    for text, one, other in relations:
        source = _table(looked.knowledge.source, one, "source", text, problems)
        target = _table(looked.knowledge.target, other, "target", text, problems)
        if source and target and target.kind not in "rp":
            problems.append(Problem(text, f"{target.sql} is a view; the target must be a table"))
        elif source and target and same and source.oid == target.oid:
            problems.append(Problem(text, f"{source.sql} cannot be its own target"))
        elif source and target:
            live[text] = (source, target)
    if problems:
        raise Refused(problems)
    return live


def _table(side: Side, name: RelationName, what: str, text: str, problems: list[Problem]) -> Table | None:
    table = side.named(name.schema, name.name)
    if table is None:
        problems.append(Problem(text, f"there is no table {name.sql} in the {what} database"))
    return table


def _mapped(spec: MappingSpec, ours: Live) -> dict[Pair, int]:
    """The place in the mapping of each pair that it has; of several the first."""
    result: dict[Pair, int] = {}
    for number, table in enumerate(spec.tables):
        source, target = ours[table.name]
        result.setdefault((source.oid, target.oid), number)
    return result


def _fixed(
    looked: suggest.Suggesting,
    wanted: Live,
    known: Live,
    mapped: dict[Pair, int],
) -> list[TableProposal]:
    """The pairs that were asked for, or that the mapping has. known: all pairs that people named."""
    looked.know(list(known.values()))
    pairs = {(source.oid, target.oid): (source, target) for source, target in wanted.values()}
    return [
        replace(suggest.table_pair(looked.knowledge, source, target), mapping=mapped.get(pair))
        for pair, (source, target) in pairs.items()
    ]


def _others(looked: suggest.Suggesting, fixed: list[TableProposal]) -> list[TableProposal]:
    """For each source table that is in no pair yet its best target tables, of those in none."""
    sources, targets = {p.source.oid for p in fixed}, {p.target.oid for p in fixed}
    result = suggest.candidates(looked.knowledge)
    return [p for p in result if p.source.oid not in sources and p.target.oid not in targets]


def _chosen(spec: MappingSpec, mapped: dict[Pair, int]) -> dict[Pair, dict[str, tuple[str, ...]]]:
    """What people filled, with the source columns that it takes."""
    return {
        pair: {column.name: _used(column) for column in spec.tables[number].columns}
        for pair, number in mapped.items()
    }


def _used(column: Column) -> tuple[str, ...]:
    if column.expr is not None:
        return tuple(name.name for name in parse_expression(column.expr).columns)
    return tuple(name.rpartition(".")[2] for name in column.from_)
