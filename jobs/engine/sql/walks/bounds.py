"""The ends of a range of keys, and whether a key is between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mappings.sql import Sql, compose, joined, literal, operator, verbatim


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range: the texts of leading key parts, as SQL. late: they are elements of a variable of an exported
    script, which knows its ranges only when it runs; where they are NULL there is no bound."""

    parts: tuple[Sql, ...]
    late: bool = False


def constant(texts: Sequence[str] | None) -> Bound | None:
    """A bound whose texts are known."""
    return None if texts is None else Bound(tuple(literal(text) for text in texts))


def row(parts: Sequence[Sql]) -> Sql:
    """A row value, or the single part itself, so that an index on it is used."""
    return parts[0] if len(parts) == 1 else compose("({})", joined(", ", parts))


def between(
    columns: Sequence[Sql],
    types: Sequence[Sql],
    low: Bound | None,
    high: Bound | None,
    operators: Sequence[str] = (),
) -> Sql:
    """`columns` above low and up to high, by row comparison; 'true' without bounds, and where SQL yields NULL.

    operators: the schemas of the types' own operators; none: PostgreSQL's.
    """
    conditions = []
    for strict, name, bound in ((">", verbatim(">"), low), ("<", verbatim("<="), high)):
        if bound is not None:
            texts = [compose("({})", part) if bound.late else part for part in bound.parts]
            constants = [compose("{}::{}", text, kind) for text, kind in zip(texts, types, strict=True)]
            condition = compose("{} {} {}", row(columns), name, row(constants))
            if any(operators):
                condition = _beyond(strict, name, list(zip(columns, constants, operators, strict=False)))
            conditions.append(
                compose("({} IS NULL OR {})", bound.parts[0], condition) if bound.late else condition
            )
    return joined(" AND ", conditions) or verbatim("true")


def _beyond(strict: str, last: str, parts: Sequence[tuple[Sql, Sql, str]]) -> Sql:
    """The same comparison part by part: one of rows takes one operator for all of them. strict, last: < and <=."""
    (column, bound, schema), *rest = parts
    if not rest:
        return compose("{} {} {}", column, operator(last, schema), bound)
    first = compose("{} {} {}", column, operator(strict, schema), bound)
    same = compose("{} {} {}", column, operator("=", schema), bound)
    within = (
        compose(
            "{} {} {}", column, operator(f"{strict}=", schema), bound
        )  # by which an index on the first part is used
    )
    return compose(
        "({within} AND ({first} OR ({same} AND {beyond})))",
        within=within, first=first, same=same, beyond=_beyond(strict, last, rest),
    )  # fmt: skip
