"""Random expressions over the table t of test_printed_expressions.py, each of a type that is known while it is made."""

from __future__ import annotations

import random

COLUMNS = {
    "int": ["a", "b", "id", '"Id"', "value", "arr[1]"],
    "num": ["n", "n", "12.5", "1e2", "1_000.5"],
    "text": ["s", "name", '"order"', "straße", "tags[1]", "v"],
    "bool": ["c", "true", "null::boolean"],
    "date": ["d", "date '2024-03-01'"],
    "ts": ["ts", "timestamp '2024-01-01 10:00'"],
    "json": ["jb", "jsonb '{\"a\": 1}'"],
    "ints": ["arr", "array[1, 2]", "'{3,4}'::int[]"],
    "float": ["f", "f", "2.5::real", "1.1::float8"],
}
TEXTS = ["'x'", "''", "E'\\x41\\n'", "$$d'q$$", "'H%'", "'a' \n 'b'", "'now'", "E'\\u00e9\\\\'"]
INTS = ["1", "0", "-3", "0x1F", "1_000", "5"]


class Maker:
    """Makes expressions of a type, down to some depth."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def make(self, kind: str, depth: int) -> str:
        """An expression of that type, half of them in parentheses that they do not need."""
        if depth <= 0 or self.random.random() < 0.15:
            return self.leaf(kind)
        template = self.random.choice(TEMPLATES[kind])
        made = self.filled(template, depth - 1)
        return f"({made})" if self.random.random() < 0.5 else made

    def leaf(self, kind: str) -> str:
        choices = list(COLUMNS[kind])
        choices += TEXTS if kind == "text" else INTS if kind == "int" else []
        return self.random.choice(choices)

    def filled(self, template: str, depth: int) -> str:
        """Each {kind} in the template by an expression of its own; {!kind} in parentheses, as the grammar wants it."""
        parts = template.split("{")
        made = [parts[0]]
        for part in parts[1:]:
            kind, rest = part.split("}", 1)
            wrapped = kind.startswith("!")
            inner = self.make(kind.removeprefix("!"), depth)
            made += [f"({inner})" if wrapped else inner, rest]
        return "".join(made)


TEMPLATES = {
    "int": [
        "{!int} + {!int}", "{int} - {!int}", "{int} * {!int}", "- {!int}", "{!int} # {!int}", "@ {!int}",
        "~ {!int}", "length({text})", "coalesce({int}, {int})", "{!num}::int",
        "case when {bool} then {int} else {int} end", "case {int} when {int} then {int} when 5 then 7 end",
        "nullif({int}, {int})", "greatest({int}, {int}, 4)", "{int} & {!int} | {!int}", "array_length({ints}, 1)",
        "cast({int} as bigint)::int", "num_nulls({text}, {int})", "extract(year from {date})::int",
        "position({!text} in {!text})", "{!date} - {!date}",
    ],
    "num": [
        "{!num} + {!int}", "{num} * {!num}", "round({num}, 1)", "{!int}::numeric(10, 2)", "abs({num}) - {!num}",
        "coalesce({num}, {int})", "{!int} % 7.5", "{!num} ^ 2",
    ],
    "float": [
        "{!float} + {!float}", "{!num}::float8", "- {!float}", "coalesce({float}, {num})",
    ],
    "text": [
        "{!text} || {!text}", "upper({text})", "{text} || {!int}", "substring({text} from 2 for 3)",
        "trim(both 'H' from {text})", "{!int}::text", "left({text}, {int})", "concat({text}, null, {int})",
        "overlay({text} placing 'XX' from 2)", "coalesce({text}, {text})", "nullif({text}, 'x')",
        "case when {bool} then {text} end", '{!text} collate "C"', "{!text}::varchar(3)", "{!json} ->> 'a'",
        "case {text} when 'x' then 'y' when {text} then {text} else 'z' end", 'to_char({ts}, \'YYYY "n"\')',
        "regexp_replace({text}, E'(l+)\\\\s*', E'<\\\\1>', 'g')", "replace({text}, 'l', {text})", "{!date}::text",
    ],
    "bool": [
        "{int} = {!int}", "{!int} <> {!int}", "{int} < {!num}", "{text} >= {!text}", "{bool} and {bool}",
        "{bool} or {bool}", "not {bool}", "{!int} between {!int} and {!int}",
        "{!int} not between symmetric {!int} and {!int}", "{!int} in ({int}, {int}, 5)",
        "{!int} not in (1, {int}, null)", "{!text} in ('x', 'y', 'z')", "{!text} in ({text}, 'a')",
        "{!float} in (1.1, 2.5)", "{!float} in ({float}, 0.1, 2)", "{!int} in (5)", "{!text} like 'H%'",
        "{!text} not like '%x#_' escape '#'", "{!text} ilike {!text}", "{!text} similar to '(H|J)%'",
        "{!text} ~* 'h'", "{!int} is distinct from {!int}", "{!text} is not distinct from {!text}",
        "{!int} is distinct from null", "{!bool} is true", "{!text} is null", "{!int} = any ({ints})",
        "{!int} <> all ({ints})", "{!text} like any (array['H%', {text}])", "({int}, {text}) = ({int}, {text})",
        "({int}, {int}) < ({int}, 6)", "({int}, {text}) in ((5, 'x'), ({int}, {text}))",
        "({int}, {text}) is distinct from (5, {text})", "{!json} @> '[]'",
        "({date}, {date}) overlaps (date '2024-01-01', date '2024-12-31')", "{!date} in ('2024-02-29', {date})",
        "{!date} > '2024-01-01'", "{!ints} @> {!ints}", "{!ints} = {!ints}", "{!text} is distinct from 'x'",
        "pg_input_is_valid({text}, 'numeric(3,1)')",
    ],
    "date": [
        "{!date} + 1", "{!ts}::date", "{!date} - {!int} % 100", "coalesce({date}, '2020-01-01')",
        "nullif({date}, {date})",
    ],
    "ts": [
        "{!ts} + interval '1 day'", "{!date}::timestamp(0)", "date_trunc('month', {ts})", "{!date} + time '10:00'",
        "{!ts} at time zone 'UTC' at time zone 'Europe/Berlin'", "least({ts}, {ts})",
    ],
    "json": [
        "{!json} || {!json}", "jsonb_build_object('k', {int}, 'l', {text})", "{!json} - 'a'", "to_jsonb({ints})",
    ],
    "ints": [
        "{!ints} || {!int}", "array[{int}, {int}]", "{!ints} || {!ints}", "({ints})[1:2]",
        "array_append({ints}, {int})",
    ],
}  # fmt: skip


def random_expressions(seed: int, count: int, depth: int = 4) -> list[str]:
    """So many texts, the same for the same seed."""
    maker = Maker(seed)
    return [maker.make(maker.random.choice(list(TEMPLATES)), depth) for _ in range(count)]
