"""Writes proposals as a mapping file, with the reason of each beside it, and tells whether one was touched since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from mappings.language.canonical import default_name, dump
from mappings.language.file import Loader
from mappings.language.spec import Column, MappingSpec, Ref
from mappings.language.spec import Table as TableSpec
from mappings.suggesting.proposals import ColumnProposal, TableProposal
from mappings.suggesting.sides import Table

MARK = "# Proposed, not yet looked at by anybody. Of the lines below, sha256: "
HELP = """\
# Each line says what speaks for it, and how much: sure ones from {sure:.2f} on where nothing else comes close.
# Read the lines marked `maybe`, fill what is marked `open`, then: manage.py mapping load FILE
"""

Names = Mapping[tuple[int, int], str]
"""The name of the table mapping of each pair, by the oids of source and target."""


def text(spec: MappingSpec, proposals: Sequence[TableProposal], sure_from: float) -> str:
    """The mapping file: `spec` is what is there already, which stays; the proposals fill its gaps."""
    merged, notes = _merged(spec, proposals)
    body = HELP.format(sure=sure_from) + _noted(dump(merged), notes)
    return f"{MARK}{_digest(body)}\n{body}"


def is_untouched(content: str) -> bool:
    """Whether this is a draft as it was written, which may be written anew."""
    first, _, body = content.partition("\n")
    return first.startswith(MARK) and first.removeprefix(MARK).strip() == _digest(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


Notes = dict[tuple[int, str], list[str]]
"""Comments above a column of a table mapping; above the table itself where the column is ''."""


def _merged(spec: MappingSpec, proposals: Sequence[TableProposal]) -> tuple[MappingSpec, Notes]:
    tables, notes = list(spec.tables), Notes()
    at = {p.oids: p.mapping for p in proposals if p.mapping is not None}
    names = {pair: tables[number].name for pair, number in at.items()}
    names |= _new_names(tables, [p for p in proposals if p.mapping is None])
    for proposal in proposals:
        new = _columns(proposal, names)
        comments = {c.target: _comment(c) for c in proposal.columns}
        if proposal.oids not in at:
            if not new:
                continue
            at[proposal.oids] = len(tables)
            tables.append(_table(proposal, names[proposal.oids], new))
            score = f"{proposal.score:.2f}: {proposal.reason}"
            notes[at[proposal.oids], ""] = [score, *_open(proposal, new), *_unused(proposal)]
        else:
            number = at[proposal.oids]
            tables[number] = replace(tables[number], columns=(*tables[number].columns, *new))
            if result := [*_open(proposal, tables[number].columns)]:
                notes[number, ""] = result
        for column in new:
            notes[at[proposal.oids], column.name] = [comments[column.name]]
    return replace(spec, tables=tuple(tables)), notes


def _new_names(tables: Sequence[TableSpec], proposals: Sequence[TableProposal]) -> dict[tuple[int, int], str]:
    """Names that no other table mapping has: the source's own, with the schema or the target where that is taken."""
    taken = {table.name for table in tables}
    names: dict[tuple[int, int], str] = {}
    for proposal in proposals:
        source, target = proposal.source, proposal.target
        plain = (source.name, f"{source.schema}_{source.name}", f"{source.name}_{target.name}")
        numbered = (f"{source.name}_{number}" for number in range(2, len(proposals) + len(tables) + 3))
        names[proposal.oids] = name = next(n for n in (*plain, *numbered) if n not in taken)
        taken.add(name)
    return names


def _table(proposal: TableProposal, name: str, columns: tuple[Column, ...]) -> TableSpec:
    key, by_content = key_of(proposal.source)
    return TableSpec(
        name=name if default_name(proposal.source.sql) else proposal.source.name,
        source=proposal.source.sql,
        target=proposal.target.sql,
        columns=columns,
        key=key,
        key_is_content=by_content,
    )


def key_of(source: Table) -> tuple[tuple[str, ...] | None, bool]:
    """What tells rows apart: the primary key says itself, another unique combination, or the rows' content."""
    if source.primary_key:
        return None, False
    certain = {column.name for column in source.columns if column.not_null}
    unique = next((key for key in source.keys if set(key) <= certain), None)
    return unique, unique is None


def _columns(proposal: TableProposal, names: Names) -> tuple[Column, ...]:
    return tuple(result for column in proposal.columns if (result := _column(column, names)))


def _column(column: ColumnProposal, names: Names) -> Column | None:
    """None for a reference whose parent no table mapping brings."""
    if column.how == "value":
        return Column(column.target, value=column.value, has_value=True)
    if column.how == "expr":
        return Column(column.target, expr=column.expr)
    if column.how == "lookup":
        return Column(column.target, from_=column.sources, lookup=column.lookup)
    if column.parent is None:
        return Column(column.target, from_=column.sources)
    name = names.get((column.parent.source.oid, column.parent.target.oid))
    return Column(column.target, from_=column.sources, ref=Ref(name, column.parent.column)) if name else None


def _comment(column: ColumnProposal) -> str:
    return f"{'sure' if column.sure else 'maybe'} {column.score:.2f}: {column.reason}"


def _open(proposal: TableProposal, columns: Sequence[Column]) -> Iterator[str]:
    """Target columns that must be filled, and references that wait for their parent's table."""
    filled = {column.name for column in columns}
    for column in proposal.columns:
        if column.parent and column.target not in filled:
            leads = f"{column.parent.source.sql} into {column.parent.target.sql}"
            yield f"open: {column.target} from {', '.join(column.sources)}, once {leads} is mapped too"
            filled.add(column.target)
    for target in proposal.target.columns:
        by_itself = target.default or target.identity or target.generated
        if target.name not in filled and target.not_null and not by_itself:
            yield f"open: {target.name} ({target.type}) must be filled, and nothing fits"
        elif target.name not in filled and not by_itself:
            yield f"open: {target.name} ({target.type}) stays empty"


def _unused(proposal: TableProposal) -> Iterator[str]:
    used = {name for column in proposal.columns for name in column.sources}
    left = [column.name for column in proposal.source.columns if column.name not in used]
    if left:
        yield "nothing uses " + ", ".join(left)


def _noted(dumped: str, notes: Notes) -> str:
    """The file with comments above the lines that they are about. The lines are found by reading the file as YAML."""
    above: dict[int, list[str]] = {}
    root: Any = yaml.compose(dumped, Loader=Loader)
    tables = _value(root, "tables")
    for number, table in enumerate(tables.value if tables else ()):
        for comment in notes.get((number, ""), ()):
            above.setdefault(table.start_mark.line, []).append(f"# {_one_line(comment)}")
        columns = _value(table, "columns")
        for key, _ in columns.value if columns else ():
            for comment in notes.get((number, key.value), ()):
                indent = " " * key.start_mark.column
                above.setdefault(key.start_mark.line, []).append(f"{indent}# {_one_line(comment)}")
    lines = dumped.splitlines(keepends=True)
    return "".join("".join(f"{note}\n" for note in above.get(n, ())) + line for n, line in enumerate(lines))


def _value(node: Any, name: str) -> Any:
    return next((value for key, value in node.value if key.value == name), None)


def _one_line(comment: str) -> str:
    """A comment that ends where its line ends, whatever names are in it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in comment).split())
