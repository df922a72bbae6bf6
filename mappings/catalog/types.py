"""What a server says of a value's type before it is read: its base type and modifier, and what they promise."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.sql import Sql, printed

INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
"""Digits of the largest value of each."""

TEXTS = ("character varying", "bpchar")
TIMES = (
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
    "time with time zone",
)
LONGEST_TEXT = {"smallint": 6, "integer": 11, "bigint": 20, "uuid": 36, "boolean": 5}
"""Characters of the longest text form of a type."""

BUILT_IN = {
    16: "boolean", 18: '"char"', 19: "name", 20: "bigint", 21: "smallint", 23: "integer", 25: "text", 114: "json",
    650: "cidr", 700: "real", 701: "double precision", 790: "money", 869: "inet", 1042: "bpchar",
    1043: "character varying", 1082: "date", 1083: "time without time zone", 1114: "timestamp without time zone",
    1184: "timestamp with time zone",
    1186: "interval", 1266: "time with time zone", 1560: "bit", 1562: "bit varying", 1700: "numeric",
    2950: "uuid", 3802: "jsonb", 1005: "smallint[]", 1007: "integer[]", 1016: "bigint[]", 1231: "numeric[]",
    1015: "character varying[]", 1014: "bpchar[]", 1009: "text[]", 1115: "timestamp without time zone[]",
    1185: "timestamp with time zone[]", 1563: "bit varying[]", 1021: "real[]", 1022: "double precision[]",
    600: "point", 601: "lseg", 602: "path", 603: "box", 604: "polygon", 718: "circle",
    3904: "int4range", 3906: "numrange", 3908: "tsrange", 3910: "tstzrange", 3912: "daterange", 3926: "int8range",
}  # fmt: skip
"""PostgreSQL: pg_type.dat; oids below 10000 are the same on every server."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type without domain, '' for one that is not built in, and its modifier (-1: none)."""

    base: Sql
    modifier: int = -1

    @property
    def declared_length(self) -> int:
        """n of varchar(n) and char(n); 0 for all others."""
        return self.modifier - 4 if self.base in TEXTS and self.modifier >= 4 else 0

    @property
    def longest(self) -> int:
        """How long the value's text form may become, -1 if nobody knows."""
        return LONGEST_TEXT.get(self.base, self.declared_length or -1)


def kind_of(oid: int, modifier: int) -> Kind:
    """The kind of a described column."""
    return Kind(printed(BUILT_IN.get(oid, "")), modifier)


def numeric_size(modifier: int) -> tuple[int, int]:
    """Precision and scale of a numeric's modifier (PostgreSQL: make_numeric_typmod); the scale may be negative."""
    packed = modifier - 4
    return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024


def of_array(type_name: Sql) -> Sql:
    """The type of an array's elements; any other type is its own."""
    return printed(type_name.removesuffix("[]"))
