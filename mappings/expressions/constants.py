"""Constants: the value that PostgreSQL's scanner reads from how they are written, and one way to write that value.

Printed is always the value, never the spelling: it then means the same on every server, whatever its version reads
in 0x1F, 1_000 or a string that goes on in the next line. Source of the rules: PostgreSQL 18, scan.l, with
standard_conforming_strings on.
"""

from __future__ import annotations

import re

_BODY = re.compile(r"'((?:[^']|'')*+)'")
_ESCAPED_BODY = re.compile(r"(?s:'((?:[^'\\]|''|\\.)*+)')")
_POINT = r"(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"
_ESCAPE = re.compile(
    rf"(?s)\\(?:(?P<octal>[0-7]{{1,3}})|x(?P<hex>[0-9A-Fa-f]{{1,2}})|(?P<points>{_POINT}(?:\\{_POINT})*)|(?P<other>.))"
    r"|(?P<quote>'')"
)
_UNIT = re.compile(r"u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
MOST_DIGITS = 1_000
_BASES = {"x": 16, "o": 8, "b": 2}


class BadConstant(ValueError):
    """Why a constant has no value."""


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """A string constant that means the same whatever standard_conforming_strings is."""
    doubled = value.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in value else f"'{doubled}'"


def plain_value(written: str) -> str:
    """The value of 'one' or of 'one' that goes on with 'two' in the next line."""
    return "".join(_BODY.findall(written)).replace("''", "'")


def escaped_value(written: str) -> str:
    """The value of E'…': its pieces one by one, since no escape reaches over their ends. Raises BadConstant."""
    return "".join(_ESCAPE.sub(_unescaped, body) for body in _ESCAPED_BODY.findall(written[1:]))


def _unescaped(match: re.Match[str]) -> str:
    if match["quote"]:
        return "'"
    if match["octal"] or match["hex"]:
        return _byte(int(match["octal"], 8) & 0xFF if match["octal"] else int(match["hex"], 16))
    if match["points"]:
        return _characters(match["points"])
    if match["other"] in "uU":
        raise BadConstant("a \\u needs 4 hexadecimal digits, a \\U 8")
    return _CONTROL.get(match["other"], match["other"])


def _byte(value: int) -> str:
    """A byte of the server's encoding, which only for ASCII is a character everywhere."""
    if value == 0:
        raise BadConstant("NUL is not a character PostgreSQL can hold")
    if value > 0x7F:
        raise BadConstant(
            "a byte over 127 depends on the server's encoding; write the character itself or \\u…"
        )
    return chr(value)


def _characters(escapes: str) -> str:
    """Characters by their numbers; those over FFFF may be written as two halves."""
    units = [int(short or long, 16) for short, long in _UNIT.findall(escapes)]
    if any(unit == 0 or unit > 0x10FFFF for unit in units):
        raise BadConstant("this number is not one of a character")
    try:
        wide = "".join(map(chr, units)).encode("utf-16-be", "surrogatepass")
        return wide.decode("utf-16-be")
    except UnicodeDecodeError:
        raise BadConstant("half of a surrogate pair is not a character PostgreSQL can hold") from None


def bits_value(written: str) -> str:
    """B'0101' or X'1F' in one piece. Raises BadConstant."""
    prefix, digits = written[0].upper(), "".join(_BODY.findall(written[1:]))
    if not re.fullmatch("[01]*" if prefix == "B" else "[0-9A-Fa-f]*", digits):
        raise BadConstant(f"{prefix}'…' holds something that is not a digit")
    return f"{prefix}'{digits}'"


def number_value(written: str) -> str:
    """A number in decimal, as PostgreSQL 15 and older read it too. Raises BadConstant."""
    digits = written.replace("_", "")
    base = _BASES.get(digits[1:2].lower())
    if base and len(digits) > MOST_DIGITS:
        raise BadConstant(f"a number in base {base} can have at most {MOST_DIGITS - 2} digits")
    return str(int(digits[2:], base)) if base else digits
