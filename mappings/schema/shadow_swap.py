"""Composes the swap: the shadow takes the column's place, with its name, its constraints and all that hung on it.

It changes the catalog only. What PostgreSQL drops with the old column was built over the shadow before.
"""

from __future__ import annotations

from collections.abc import Iterator

from mappings.catalog.views import granted
from mappings.schema.kinds.widen import sequence_too
from mappings.schema.safe_change import Change, kept_in_step, not_null_check, not_ready, trigger
from mappings.sql import dollar_quoted, ident, literal


def statements(change: Change) -> tuple[str, ...]:
    """All of the swap in order, to be executed in one transaction; views over the column are out of the way."""
    return (
        f"LOCK TABLE {change.target.sql} IN ACCESS EXCLUSIVE MODE",
        _guard(change),
        *_no_trigger(change),
        *_not_null(change),
        *_sequence_over(change),
        *_old_gone(change),
        *_names(change),
        *_options(change),
        *_words(change),
    )


def _guard(change: Change) -> str:
    """Stops where rows may lack their value: somebody took the trigger away, or the filling was not registered."""
    filled = (
        "EXISTS (SELECT FROM migrator.schema_step AS s WHERE s.kind = 'shadow_fill' AND s.undone_at IS NULL"
        f" AND s.relation = {literal(change.target.sql)} AND s.name = {literal(change.shadow.name)})"
    )
    body = f"BEGIN\n  IF NOT ({kept_in_step(change)}\n      AND {filled}) THEN\n    {not_ready(change)}\n  END IF;\nEND"
    return f"DO {dollar_quoted(body)}"


def _alter(change: Change, clause: str) -> str:
    return f"ALTER TABLE {change.target.sql} {clause}"


def _no_trigger(change: Change) -> Iterator[str]:
    shadow = change.shadow.name
    yield f"DROP TRIGGER {ident(trigger(shadow))} ON {change.target.sql}"
    yield f"DROP FUNCTION migrator.{ident(shadow)}()"


def _not_null(change: Change) -> Iterator[str]:
    """The validated check spares the scan. Since PostgreSQL 18 the constraint has a name, which is put back."""
    if not change.around.not_null:
        return
    shadow = ident(change.shadow.name)
    if change.around.not_null_name:
        yield _alter(change, f"ADD CONSTRAINT {ident(_not_null_name(change))} NOT NULL {shadow}")
    else:
        yield _alter(change, f"ALTER COLUMN {shadow} SET NOT NULL")
    yield _alter(change, f"DROP CONSTRAINT {ident(not_null_check(change))}")


def _not_null_name(change: Change) -> str:
    return f"{change.shadow.name}_nn"


def _sequence_over(change: Change) -> Iterator[str]:
    """A serial's sequence goes over; an identity gets a new one, which counts on from the old."""
    shadow, column, identity = ident(change.shadow.name), change.column, change.around.identity
    if identity is None:
        if column.sequence:
            yield f"ALTER SEQUENCE {column.sequence} OWNED BY {change.target.sql}.{shadow}"
        return
    always = "ALWAYS" if identity.always else "BY DEFAULT"
    name = f"{identity.schema}.{ident(_sequence_name(change))}"
    # Nothing changes by it, but nobody can draw a number from it until the commit.
    yield f"ALTER SEQUENCE {identity.name} {'CYCLE' if identity.cycles else 'NO CYCLE'}"
    options = f"SEQUENCE NAME {name} {identity.options}"
    yield _alter(change, f"ALTER COLUMN {shadow} ADD GENERATED {always} AS IDENTITY ({options})")
    body = f"BEGIN\n  PERFORM setval({literal(name)}, last_value, is_called) FROM {identity.name};\nEND"
    yield f"DO {dollar_quoted(body)}"


def _sequence_name(change: Change) -> str:
    return f"{change.shadow.name}_seq"


def _old_gone(change: Change) -> Iterator[str]:
    for one in change.around.of("foreign key of another"):
        yield f"ALTER TABLE {one.relation} DROP CONSTRAINT {ident(one.name)}"
    for found in change.around.statistics:
        yield f"DROP STATISTICS {found.name}"
    yield _alter(change, f"DROP COLUMN {ident(change.column.name)}")
    yield _alter(change, f"RENAME COLUMN {ident(change.shadow.name)} TO {ident(change.column.name)}")


def _names(change: Change) -> Iterator[str]:
    """Indexes and constraints get back the names that went with the old column."""
    around = change.around
    for one in around.of("index"):
        if one.constraint:
            by = f"USING INDEX {ident(change.name(one))}{one.deferral}"
            yield _alter(change, f"ADD CONSTRAINT {ident(one.name)} {one.constraint} {by}")
        else:
            yield f"ALTER INDEX {ident(change.target.schema, change.name(one))} RENAME TO {ident(one.name)}"
        if one.clustered:
            yield _alter(change, f"CLUSTER ON {ident(one.name)}")
    for one in around.of("check", "foreign key", "foreign key of another"):
        yield f"ALTER TABLE {one.relation} RENAME CONSTRAINT {ident(change.name(one))} TO {ident(one.name)}"
    if around.not_null and around.not_null_name:
        old, new = ident(_not_null_name(change)), ident(around.not_null_name)
        yield _alter(change, f"RENAME CONSTRAINT {old} TO {new}")
    if identity := around.identity:
        name = f"{identity.schema}.{ident(_sequence_name(change))}"
        yield f"ALTER SEQUENCE {name} RENAME TO {ident(identity.bare)}"


def _options(change: Change) -> Iterator[str]:
    around, column = change.around, ident(change.column.name)
    if around.default is not None:
        yield _alter(change, f"ALTER COLUMN {column} SET DEFAULT {around.default}")
    for setting in around.settings:
        yield _alter(change, f"ALTER COLUMN {column} {setting}")
    yield from sequence_too(change.column, change.plain.after)
    for found in around.statistics:
        yield found.definition
        yield f"ALTER STATISTICS {found.name} OWNER TO {found.owner}"
        if found.target is not None:
            yield f"ALTER STATISTICS {found.name} SET STATISTICS {found.target}"


def _words(change: Change) -> Iterator[str]:
    """Rights and comments, in one block."""
    around, table = change.around, change.target.sql
    lines = list(granted(table, around.grants))
    if around.identity:
        lines += granted(f"SEQUENCE {around.identity.name}", around.identity.grants)
        lines += _comment(f"SEQUENCE {around.identity.name}", around.identity.comment)
    lines += _comment(f"COLUMN {table}.{ident(change.column.name)}", around.comment)
    for one in around.bound:
        if one.kind == "index":
            lines += _comment(f"INDEX {ident(change.target.schema, one.name)}", one.index_comment)
        if one.kind != "index" or one.constraint:
            lines += _comment(f"CONSTRAINT {ident(one.name)} ON {one.relation}", one.comment)
    for found in around.statistics:
        lines += _comment(f"STATISTICS {found.name}", found.comment)
    if lines:
        body = "".join(f"  {line};\n" for line in lines)
        yield f"DO {dollar_quoted(f'BEGIN{chr(10)}{body}END')}"


def _comment(what: str, text: str | None) -> list[str]:
    return [] if text is None else [f"COMMENT ON {what} IS {literal(text)}"]
