"""Tokens: how PostgreSQL's scanner reads an expression.

Source of the rules: PostgreSQL 18, src/backend/parser/scan.l, with standard_conforming_strings on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Literal

from mappings.expressions.constants import BadConstant, bits_value, escaped_value, number_value, plain_value

MAX_NAME_BYTES = 63  # PostgreSQL cuts longer names off in silence

Kind = Literal["name", "quoted", "string", "bits", "number", "operator", "mark", "end", "bad"]


class ExpressionError(ValueError):
    """message: a sentence; text: all that was given; position: 1-based offset of what is refused."""

    def __init__(self, message: str, text: str, position: int) -> None:
        self.message, self.text, self.position = message, text, position
        super().__init__(f"{message} at character {position}: {self.near}")

    @property
    def near(self) -> str:
        """The text from the refused character on, shortened."""
        rest = self.text[self.position - 1 : self.position + 29]
        before = "…" if self.position > 1 else ""
        after = "…" if self.position + 29 < len(self.text) else ""
        return before + rest + after if rest else "…(end)" if before else "(empty)"


@dataclass(frozen=True, slots=True)
class Token:
    """start, end: offsets. value: the folded name, a constant's value, or why the token is bad."""

    kind: Kind
    value: str
    start: int
    end: int


_FOLD = str.maketrans(ascii_uppercase, ascii_lowercase)
_SPACE = re.compile(r"[ \t\n\r\f\v]*")
_CONTINUED = r"(?=[ \t\f\v]*[\r\n])[ \t\n\r\f\v]*+"  # a string goes on after white space that has a newline
_PLAIN_BODY, _ESCAPE_BODY = r"'(?:[^']|'')*+'", r"(?s:'(?:[^'\\]|''|\\.)*+')"
_DIGITS = r"[0-9](?:_?[0-9])*"
_NUMBER = re.compile(
    r"0[xX](?:_?[0-9A-Fa-f])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+"
    rf"|(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
)
_NAME = re.compile("[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
_JUNK = re.compile("[A-Za-z0-9_$\x80-\U0010ffff]+")


def _read(kind: Kind, value: Callable[[str], str]) -> Callable[[re.Match[str]], Token]:
    """A constant's token; a bad one where it has no value."""

    def read(match: re.Match[str]) -> Token:
        try:
            return Token(kind, value(match[0]), match.start(), match.end())
        except BadConstant as error:
            return Token("bad", str(error), match.start(), match.end())

    return read


def _dollar_string(match: re.Match[str]) -> Token:
    return Token("string", match[2], match.start(), match.end())


def _named(kind: Kind, name: str, start: int, end: int) -> Token:
    if not name:
        return Token("bad", 'a name between "" cannot be empty', start, end)
    if len(name.encode()) > MAX_NAME_BYTES:
        return Token("bad", f"a name can have at most {MAX_NAME_BYTES} bytes", start, end)
    return Token(kind, name, start, end)


def _quoted(match: re.Match[str]) -> Token:
    return _named("quoted", match[1].replace('""', '"'), match.start(), match.end())


def _name(match: re.Match[str]) -> Token:
    for offset, character in enumerate(match[0]):
        if not character.isascii() and unicodedata.category(character)[0] in "ZCP":
            what = unicodedata.name(character, f"U+{ord(character):04X}")
            start = match.start() + offset
            return Token("bad", f"{what} is no space or sign of SQL (or quote the name)", start, start + 1)
    return _named("name", match[0].translate(_FOLD), match.start(), match.end())


def _number(match: re.Match[str]) -> Token:
    if junk := _JUNK.match(match.string, match.end()):
        return Token("bad", "a number is followed directly by a name or digits", match.start(), junk.end())
    return _read("number", number_value)(match)


def _operator(match: re.Match[str]) -> Token:
    """The longest operator; it ends before a comment, and in + or - only with a special character in it."""
    value = re.split(r"--|/\*", match[0], maxsplit=1)[0]
    if not re.search(r"[~!@#^&|`?%]", value):
        value = value[0] + value[1:].rstrip("+-")
    end = match.start() + len(value)
    if len(match[0]) > MAX_NAME_BYTES:
        return Token("bad", "this operator is too long", match.start(), end)
    return Token("operator", "<>" if value == "!=" else value, match.start(), end)


def _mark(match: re.Match[str]) -> Token:
    return Token("mark", match[0], match.start(), match.end())


def _bad(message: str) -> Callable[[re.Match[str]], Token]:
    return lambda match: Token("bad", message, match.start(), match.end())


def _pieces(prefix: str, body: str) -> str:
    return f"{prefix}{body}(?:{_CONTINUED}{body})*"


_READERS: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Token]]] = [
    (re.compile(r"--|/\*"), _bad("comments are not allowed")),
    (re.compile(r"[uU]&['\"]"), _bad("U& escapes are not allowed; write the characters themselves")),
    (re.compile(r"[nN]'"), _bad("N'…' is not allowed; write '…'")),
    (re.compile(_pieces("[eE]", _ESCAPE_BODY)), _read("string", escaped_value)),
    (re.compile(_pieces("[bBxX]", _PLAIN_BODY)), _read("bits", bits_value)),
    (re.compile(_pieces("", _PLAIN_BODY)), _read("string", plain_value)),
    (re.compile(r"[eEbBxX]?'"), _bad("the string has no closing '")),
    (re.compile(r'"((?:[^"]|"")*+)"'), _quoted),
    (re.compile('"'), _bad('the name has no closing "')),
    (
        re.compile("(?s)(\\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\\$)(.*?)\\1"),
        _dollar_string,
    ),
    (re.compile(r"\$[0-9]"), _bad("parameters like $1 are not allowed")),
    (re.compile(r"\$"), _bad("a $ that neither belongs to a name nor opens a closed $$string$$")),
    (_NUMBER, _number),
    (_NAME, _name),
    (re.compile(r"[~!@#^&|`?+\-*/%<>=]+"), _operator),
    (re.compile(r"::|:=|\.\.|[:,()\[\].;]"), _mark),
    (re.compile("(?s)."), _bad("this character is not part of SQL")),
]


_ONLY_NAMES = frozenset(ascii_letters + "_") - frozenset("eEbBxXuUnN")
"""With these begins nothing but a name."""


def _token_at(text: str, start: int) -> Token:
    if start == len(text):
        return Token("end", "", start, start)
    if text[start] in _ONLY_NAMES and (match := _NAME.match(text, start)):
        return _name(match)
    return next(read(match) for pattern, read in _READERS if (match := pattern.match(text, start)))


def tokenize(text: str) -> list[Token]:
    """All tokens; the last one is the end, or the first bad one, so that a parser names what comes first."""
    tokens: list[Token] = []
    start = 0
    while not tokens or tokens[-1].kind not in ("end", "bad"):
        space = _SPACE.match(text, start)
        tokens.append(_token_at(text, space.end() if space else start))
        start = tokens[-1].end
    return tokens
