"""Tokens: how PostgreSQL's scanner reads an expression, and a cursor that reads and re-prints them.

Source of the rules: PostgreSQL 18, src/backend/parser/scan.l, with standard_conforming_strings on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal, NoReturn

MAX_LENGTH = 10_000
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
    """start, end: offsets. value: the folded name, a literal as re-printed, or why the token is bad."""

    kind: Kind
    value: str
    start: int
    end: int


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """A string constant that means the same whatever standard_conforming_strings is."""
    doubled = value.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in value else f"'{doubled}'"


_FOLD = str.maketrans(ascii_uppercase, ascii_lowercase)
_SPACE = re.compile(r"[ \t\n\r\f\v]*")
_CONTINUED = r"(?=[ \t\f\v]*[\r\n])[ \t\n\r\f\v]*+"  # a string goes on after white space that has a newline
_PLAIN_BODY, _ESCAPE_BODY = r"'((?:[^']|'')*+)'", r"(?s:'((?:[^'\\]|''|\\.)*+)')"
_DIGITS = r"[0-9](?:_?[0-9])*"
_NUMBER = re.compile(
    r"0[xX](?:_?[0-9A-Fa-f])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+"
    rf"|(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
)
_NAME = re.compile("[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
_JUNK = re.compile("[A-Za-z0-9_$\x80-\U0010ffff]+")


def _string(match: re.Match[str], body: str = _PLAIN_BODY) -> Token:
    value = "".join(re.findall(body, match[0])).replace("''", "'")
    return Token("string", quote_literal(value), match.start(), match.end())


def _escape_string(match: re.Match[str]) -> Token:
    value = "".join(re.findall(_ESCAPE_BODY, match[0][1:]))
    return Token("string", f"E'{value}'", match.start(), match.end())


def _dollar_string(match: re.Match[str]) -> Token:
    return Token("string", quote_literal(match[2]), match.start(), match.end())


def _bits(match: re.Match[str]) -> Token:
    prefix, digits = match[0][0].upper(), "".join(re.findall(_PLAIN_BODY, match[0][1:]))
    if not re.fullmatch("[01]*" if prefix == "B" else "[0-9A-Fa-f]*", digits):
        return Token("bad", f"{prefix}'…' holds something that is not a digit", match.start(), match.end())
    return Token("bits", f"{prefix}'{digits}'", match.start(), match.end())


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
    return Token("number", match[0], match.start(), match.end())


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
    (re.compile(_pieces("[eE]", _ESCAPE_BODY)), _escape_string),
    (re.compile(_pieces("[bBxX]", _PLAIN_BODY)), _bits),
    (re.compile(_pieces("", _PLAIN_BODY)), _string),
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


def _token_at(text: str, start: int) -> Token:
    if start == len(text):
        return Token("end", "", start, start)
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


def _check_text(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the text is longer than {MAX_LENGTH:,} characters", text, MAX_LENGTH + 1)
    if match := re.search("[\x00\ud800-\udfff]", text):
        what = "NUL" if match[0] == "\x00" else "half of a surrogate pair"
        raise ExpressionError(f"{what} is not a character PostgreSQL can hold", text, match.start() + 1)


class Cursor:
    """Reads tokens from left to right and writes them, with canonical spacing, to `out`."""

    def __init__(self, text: str) -> None:
        _check_text(text)
        self.text, self.tokens, self.at = text, tokenize(text), 0
        self.out: list[str] = []
        self.last_cast = (0, 0)  # of an expression as a whole: where in `out` its :: begins and its type ends
        self.glued = True
        self._refuse_bad()

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def ahead(self, count: int = 1) -> Token:
        return self.tokens[min(self.at + count, len(self.tokens) - 1)]

    def fail(self, message: str, token: Token | None = None) -> NoReturn:
        raise ExpressionError(message, self.text, (token or self.token).start + 1)

    def _refuse_bad(self) -> None:
        if self.token.kind == "bad":
            self.fail(self.token.value)

    def step(self) -> Token:
        token = self.token
        self.at += 1
        self._refuse_bad()
        return token

    def emit(self, text: str, tight: bool = False) -> None:
        """Write text, after a space unless it is tight or what came before wants it close."""
        self.out.append(text if tight or self.glued else " " + text)
        self.glued = text in ("(", "[", "::")

    def is_mark(self, *values: str) -> bool:
        return self.token.kind == "mark" and self.token.value in values

    def is_word(self, *values: str) -> bool:
        return self.token.kind == "name" and self.token.value in values

    def mark(self, value: str, tight: bool = True) -> bool:
        """Read and write the mark if it is next."""
        if not self.is_mark(value):
            return False
        self.step()
        self.emit(value, tight)
        return True

    def word(self, *values: str) -> bool:
        """Read and write one of the key words if it is next."""
        if not self.is_word(*values):
            return False
        self.emit(self.step().value.upper())
        return True

    def need_mark(self, value: str, tight: bool = True) -> None:
        if not self.mark(value, tight):
            self.unexpected(f"{value} is expected")

    def need_word(self, *values: str) -> None:
        if not self.word(*values):
            self.unexpected(f"{' or '.join(values).upper()} is expected")

    def unexpected(self, wanted: str) -> NoReturn:
        """Refuse the current token, saying what it is where its name alone helps."""
        if self.is_mark(";"):
            self.fail("one expression only, no statements: ; is not allowed")
        if self.is_mark(")"):
            self.fail("a ) without its (" if wanted == "nothing more is expected" else f"{wanted} before )")
        self.fail(f"{wanted}, but the text ends" if self.token.kind == "end" else wanted)
