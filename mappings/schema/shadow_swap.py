"""Composes the swap: the shadow takes the column's place, with its name, its constraints and all that hung on it.

It changes the catalog only. What PostgreSQL drops with the old column was built over the shadow before.
"""

from __future__ import annotations

from collections.abc import Iterator

from mappings.catalog.views import granted
from mappings.schema.kinds.widen import sequence_too
from mappings.schema.safe_change import Change, kept_in_step, not_null_check, not_ready, trigger
from mappings.sql import Sql, compose, dollar_quoted, ident, joined, literal, verbatim


def statements(change: Change) -> tuple[Sql, ...]:
    """All of the swap in order, to be executed in one transaction; views over the column are out of the way."""
    return (
        compose("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", change.target.sql),
        _guard(change),
        *_no_trigger(change),
        *_not_null(change),
        *_sequence_over(change),
        *_old_gone(change),
        *_names(change),
        *_options(change),
        *_words(change),
    )


def _guard(change: Change) -> Sql:
    """Stops where rows may lack their value: somebody took the trigger away, or the filling was not registered."""
    filled = compose(
        "EXISTS (SELECT FROM migrator.schema_step AS s WHERE s.kind = 'shadow_fill' AND s.undone_at IS NULL"
        " AND s.relation = {target} AND s.name = {name})",
        target=literal(change.target.sql),
        name=literal(change.shadow.name),
    )
    body = compose(
        "BEGIN\n  IF NOT ({kept_in_step}\n      AND {filled}) THEN\n    {not_ready}\n  END IF;\nEND",
        kept_in_step=kept_in_step(change),
        filled=filled,
        not_ready=not_ready(change),
    )
    return compose("DO {}", dollar_quoted(body))


def _alter(change: Change, clause: Sql) -> Sql:
    return compose("ALTER TABLE {} {}", change.target.sql, clause)


def _no_trigger(change: Change) -> Iterator[Sql]:
    shadow = change.shadow.name
    yield compose("DROP TRIGGER {} ON {}", ident(trigger(shadow)), change.target.sql)
    yield compose("DROP FUNCTION migrator.{}()", ident(shadow))


def _not_null(change: Change) -> Iterator[Sql]:
    """The validated check spares the scan. Since PostgreSQL 18 the constraint has a name, which is put back."""
    if not change.dependents.not_null:
        return
    shadow = ident(change.shadow.name)
    if change.dependents.not_null_name:
        yield _alter(
            change,
            compose(
                "ADD CONSTRAINT {} NOT NULL {}",
                ident(_not_null_name(change)),
                shadow,
            ),
        )
    else:
        yield _alter(change, compose("ALTER COLUMN {} SET NOT NULL", shadow))
    yield _alter(change, compose("DROP CONSTRAINT {}", ident(not_null_check(change))))


def _not_null_name(change: Change) -> str:
    return f"{change.shadow.name}_nn"


def _sequence_over(change: Change) -> Iterator[Sql]:
    """A serial's sequence goes over; an identity gets a new one, which counts on from the old."""
    shadow, column, identity = ident(change.shadow.name), change.column, change.dependents.identity
    if identity is None:
        if column.sequence:
            yield compose(
                "ALTER SEQUENCE {} OWNED BY {}.{}",
                column.sequence,
                change.target.sql,
                shadow,
            )
        return
    always = verbatim("ALWAYS") if identity.always else verbatim("BY DEFAULT")
    name = compose("{}.{}", identity.schema, ident(_sequence_name(change)))
    # Nothing changes by it, but nobody can draw a number from it until the commit.
    yield compose(
        "ALTER SEQUENCE {} {}",
        identity.name,
        verbatim("CYCLE") if identity.cycles else verbatim("NO CYCLE"),
    )
    options = compose("SEQUENCE NAME {} {}", name, identity.options)
    yield _alter(
        change,
        compose(
            "ALTER COLUMN {} ADD GENERATED {} AS IDENTITY ({})",
            shadow,
            always,
            options,
        ),
    )
    body = compose(
        "BEGIN\n  PERFORM setval({name}, last_value, is_called) FROM {identity_name};\nEND",
        name=literal(name),
        identity_name=identity.name,
    )
    yield compose("DO {}", dollar_quoted(body))


def _sequence_name(change: Change) -> str:
    return f"{change.shadow.name}_seq"


def _old_gone(change: Change) -> Iterator[Sql]:
    for one in change.dependents.of("foreign key of another"):
        yield compose("ALTER TABLE {} DROP CONSTRAINT {}", one.relation, ident(one.name))
    for result in change.dependents.statistics:
        yield compose("DROP STATISTICS {}", result.name)
    yield _alter(change, compose("DROP COLUMN {}", ident(change.column.name)))
    yield _alter(
        change,
        compose(
            "RENAME COLUMN {} TO {}",
            ident(change.shadow.name),
            ident(change.column.name),
        ),
    )


def _names(change: Change) -> Iterator[Sql]:
    """Indexes and constraints get back the names that went with the old column."""
    dependents = change.dependents
    for one in dependents.of("index"):
        if one.constraint:
            by = compose("USING INDEX {}{}", ident(change.name(one)), one.deferral)
            yield _alter(
                change,
                compose(
                    "ADD CONSTRAINT {} {} {}",
                    ident(one.name),
                    one.constraint,
                    by,
                ),
            )
        else:
            yield compose(
                "ALTER INDEX {} RENAME TO {}",
                ident(change.target.schema, change.name(one)),
                ident(one.name),
            )
        if one.clustered:
            yield _alter(change, compose("CLUSTER ON {}", ident(one.name)))
    for one in dependents.of("check", "foreign key", "foreign key of another"):
        yield compose(
            "ALTER TABLE {} RENAME CONSTRAINT {} TO {}",
            one.relation,
            ident(change.name(one)),
            ident(one.name),
        )
    if dependents.not_null and dependents.not_null_name:
        old, new = ident(_not_null_name(change)), ident(dependents.not_null_name)
        yield _alter(change, compose("RENAME CONSTRAINT {} TO {}", old, new))
    if identity := dependents.identity:
        name = compose("{}.{}", identity.schema, ident(_sequence_name(change)))
        yield compose("ALTER SEQUENCE {} RENAME TO {}", name, ident(identity.bare))


def _options(change: Change) -> Iterator[Sql]:
    dependents, column = change.dependents, ident(change.column.name)
    if dependents.default is not None:
        yield _alter(
            change,
            compose("ALTER COLUMN {} SET DEFAULT {}", column, dependents.default),
        )
    for setting in dependents.settings:
        yield _alter(change, compose("ALTER COLUMN {} {}", column, setting))
    yield from sequence_too(change.column, change.plain.after)
    for result in dependents.statistics:
        yield result.definition
        yield compose("ALTER STATISTICS {} OWNER TO {}", result.name, result.owner)
        if result.target is not None:
            yield compose("ALTER STATISTICS {} SET STATISTICS {}", result.name, result.target)


def _words(change: Change) -> Iterator[Sql]:
    """Rights and comments, in one block."""
    dependents, table = change.dependents, change.target.sql
    lines = list(granted(table, dependents.grants))
    if dependents.identity:
        lines += granted(compose("SEQUENCE {}", dependents.identity.name), dependents.identity.grants)
        lines += _comment(compose("SEQUENCE {}", dependents.identity.name), dependents.identity.comment)
    lines += _comment(compose("COLUMN {}.{}", table, ident(change.column.name)), dependents.comment)
    for one in dependents.bound:
        if one.kind == "index":
            lines += _comment(compose("INDEX {}", ident(change.target.schema, one.name)), one.index_comment)
        if one.kind != "index" or one.constraint:
            lines += _comment(
                compose("CONSTRAINT {} ON {}", ident(one.name), one.relation),
                one.comment,
            )
    for result in dependents.statistics:
        lines += _comment(compose("STATISTICS {}", result.name), result.comment)
    if lines:
        body = joined("", (compose("  {};\n", line) for line in lines))
        yield compose("DO {}", dollar_quoted(compose("BEGIN\n{}END", body)))


def _comment(what: Sql, text: str | None) -> list[Sql]:
    return [] if text is None else [compose("COMMENT ON {} IS {}", what, literal(text))]
