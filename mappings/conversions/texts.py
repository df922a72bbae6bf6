"""Conversions of texts: blanks, names of people, addresses, entities of HTML."""

from __future__ import annotations

from mappings.conversions.macro import AT_ENDS, BLANK, Macro

SUFFIX = r"(?:Jr|Sr|II|III|IV|Esq|Ph\.?D|M\.?D|MBA|CPA|DDS)\.?"
PARTICLES = (
    "van|von|vom|zu|zum|zur|de|del|della|der|den|di|da|dos|das|do|du|la|le|ter|ten|bin|ibn|al|el|af|av"
)
SURNAME = rf"(?:^|\s)((?:(?:{PARTICLES})\s+)*\S+(?:\s+{SUFFIX})?)$"
REVERSED = rf"person ~ ',' AND person !~ '^[^,]*,\s*{SUFFIX}$'"
"""`Lovelace, Ada` and `King, Martin, Jr.`; not `Martin Luther King, Jr.`"""

LOCAL, LABEL = (rf"[^@<>,;{more}{BLANK[1:-1]}\u2060\ufeff]+" for more in ("", "."))
"""What may stand before the @ of an address, and between the points behind it."""

PHONE = rf"^(?:[0-9+()/.\-\u2010-\u2015\u2212]|\[|\]|{AT_ENDS})*$"
TWO_PHONES = r"^(?:[^0-9]*[0-9]){5,}[^0-9]*/[^0-9]*(?:\+|\(?0)"
"""A slash may part a code from its number; behind five digits and before a 0 or + it parts two numbers."""

ENTITIES = {
    "&nbsp;": "\u00a0", "&quot;|&#34;": '"', "&apos;|&#0?39;": "'", "&lt;|&#60;": "<", "&gt;|&#62;": ">",
    "&euro;|&#8364;": "€", "&pound;": "£", "&copy;": "©", "&reg;": "®", "&trade;|&#8482;": "™",
    "&hellip;|&#8230;": "…", "&ndash;|&#8211;": "–", "&mdash;|&#8212;": "—", "&bull;|&#8226;": "•",
    "&lsquo;|&#8216;": "‘", "&rsquo;|&#8217;": "’", "&ldquo;|&#8220;": "“", "&rdquo;|&#8221;": "”",
    "&bdquo;|&#8222;": "„", "&laquo;": "«", "&raquo;": "»", "&deg;": "°", "&middot;": "·",
    "&szlig;": "ß", "&aelig;": "æ", "&AElig;": "Æ", "&oslash;": "ø", "&Oslash;": "Ø",
    "&sect;": "§", "&iexcl;": "¡", "&iquest;": "¿", "&cent;": "¢", "&yen;": "¥", "&ordf;": "ª", "&ordm;": "º",
    "&plusmn;": "±", "&sup2;": "²", "&sup3;": "³", "&frac12;": "½", "&frac14;": "¼", "&times;": "×", "&micro;": "µ",
    "&acute;": "´", "&shy;": "\u00ad", "&oelig;": "œ", "&OElig;": "Œ", "&eth;": "ð", "&thorn;": "þ",
    "&#0*38;|&#[xX]0*26;": "&amp;",
}  # fmt: skip
ACCENTS = {
    "grave": "\u0300", "acute": "\u0301", "circ": "\u0302", "tilde": "\u0303", "uml": "\u0308", "ring": "\u030a",
    "caron": "\u030c", "cedil": "\u0327",
}  # fmt: skip


HEXADECIMAL = {
    "[9aAdD]": "000", "(?!26)[1-9a-fA-F][0-9a-fA-F]": "00", "[1-9a-fA-F][0-9a-fA-F]{2}": "0",
    "(?![dD][89a-fA-F])[1-9a-fA-F][0-9a-fA-F]{3}": "", "[1-9a-fA-F][0-9a-fA-F]{4}": "+0", "10[0-9a-fA-F]{4}": "+",
}  # fmt: skip
"""By its digits, as what unistr wants before them."""

DECIMAL = {"3[2-7]|[4-9]\\d": "1000", "1[01]\\d|12[0-6]|1[6-9]\\d|2\\d\\d|3[0-7]\\d|38[0-3]": "100"}
NUMBERED = [number for number in (*range(32, 127), *range(160, 384)) if number not in (38, 39)]
IN_PLANE_16, MEANT = (
    "".join(chr(0x100000 + int(str(number), 16)) for number in NUMBERED),
    "".join(map(chr, NUMBERED)),
)
"""Decimal numbers of letters: each is read as if it were hexadecimal, a private character, which is translated."""


def _replaced(inner: str, pattern: str, by: str) -> str:
    quoted = by.replace("'", "''")
    return f"regexp_replace({inner}, '{pattern}', '{quoted}', 'g')"


def _entities() -> str:
    """Replacements one inside the other; & comes last, so that &amp;lt; is &lt; and not a bracket."""
    result = "entities"
    for pattern, character in ENTITIES.items():
        result = _replaced(result, pattern, character)
    return result


def _letters() -> str:
    """Letters with their accents put behind them, to be composed; hexadecimal numbers as unistr reads them, but for
    those that are no character: 0, and halves of a pair, which it would refuse."""
    result = r"replace(entities, '\', '\\')"
    for name, accent in ACCENTS.items():
        result = _replaced(result, f"&([A-Za-z]){name};", rf"\1{accent}")
    for digits, written in HEXADECIMAL.items():
        result = _replaced(result, f"&#[xX]0*({digits});", rf"\\{written}\1")
    for digits, plane in DECIMAL.items():
        result = _replaced(result, f"&#0*({digits});", rf"\\+{plane}\1")
    meant = MEANT.replace("'", "''")
    return f"normalize(translate(unistr({result}), '{IN_PLANE_16}', '{meant}'), NFC)"


TEXTS = (
    Macro(
        "trim_blanks",
        ("value",),
        f"regexp_replace(value::text, '^{AT_ENDS}+|{AT_ENDS}+$', '', 'g')",
        "Without blanks of any kind at its ends, such as no-break and zero-width ones and tabs.",
        "trim_blanks(E'\\u00a0 Ada\\u2003')",
        "Ada",
    ),
    Macro(
        "squeeze_blanks",
        ("value",),
        f"regexp_replace(trim_blanks(value), '{BLANK}+', ' ', 'g')",
        "The same, and each run of blanks inside is one space.",
        "squeeze_blanks(E' Ada\\u00a0 \\t Lovelace')",
        "Ada Lovelace",
    ),
    Macro(
        "cut_at_word",
        ("value", "size"),
        r"CASE WHEN char_length(value::text) <= size THEN value::text"
        r" ELSE coalesce(nullif(regexp_replace(left(value::text, greatest(size, 0) + 1), '(?<=\S)\s+\S*$', ''),"
        r" left(value::text, greatest(size, 0) + 1)), left(value::text, greatest(size, 0))) END",
        "At most so many characters, cut between two words; a longer word is cut itself.",
        "cut_at_word('one two three', 9)",
        "one two",
    ),
    Macro(
        "first_name",
        ("person",),
        "first_of_name(squeeze_blanks(person))",
        "All but the last name of a full name; it may be written `Last, First`.",
        "first_name('Ludwig van Beethoven')",
        "Ludwig",
    ),
    Macro(
        "last_name",
        ("person",),
        "last_of_name(squeeze_blanks(person))",
        "The last name with `van`, `de` and their like; NULL for a single word.",
        "last_name('Ludwig van Beethoven')",
        "van Beethoven",
    ),
    Macro(
        "first_of_name",
        ("person",),
        f"CASE WHEN {REVERSED} THEN nullif(trim_blanks(split_part(person, ',', 2)), '')"
        f" WHEN strpos(person, ' ') = 0 THEN nullif(person, '')"
        f" ELSE nullif(regexp_replace(person, '{SURNAME}', ''), '') END",
    ),
    Macro(
        "last_of_name",
        ("person",),
        f"CASE WHEN {REVERSED} THEN nullif(trim_blanks(regexp_replace(person, ',[^,]*', '')), '')"
        f" WHEN strpos(person, ' ') > 0 THEN (regexp_match(person, '{SURNAME}'))[1] END",
    ),
    Macro(
        "join_name",
        ("first", "last"),
        "nullif(concat_ws(' ', nullif(squeeze_blanks(first), ''), nullif(squeeze_blanks(last), '')), '')",
        "One full name of two parts, either of which may be missing.",
        "join_name(' Ada ', 'Lovelace')",
        "Ada Lovelace",
    ),
    Macro(
        "hash_of",
        ("value", "salt"),
        "CASE WHEN trim_blanks(value) <> '' THEN encode(sha256(convert_to(concat(salt, value), 'UTF8')), 'hex') END",
        "SHA-256 of the text in UTF-8 behind a salt (or ''), in hexadecimal digits: the same on every server.",
        "hash_of('Ada', 'pepper')",
        "a361fc0516894a29805742d18c2062065108996bdee21d8eecda9c133147d723",
    ),
    Macro(
        "email_address",
        ("value",),
        r"one_email(lower(trim_blanks(regexp_replace(regexp_replace(trim_blanks(value), '^[^<>]*<([^<>]+)>$', '\1'),"
        r" '^mailto:([^?]*)(?:\?.*)?$', '\1', 'i'))), value::text)",
        "The bare address in lower case, out of `Ada <Ada@Example.org>` or `mailto:`; letters of any language.",
        "email_address('Ada <Ada@Example.org>')",
        "ada@example.org",
    ),
    Macro(
        "one_email",
        ("address", "value"),
        f"CASE WHEN trim_blanks(value) = '' THEN NULL WHEN address ~ '^{LOCAL}@{LABEL}(?:\\.{LABEL})*$' THEN address"
        " ELSE ('no e-mail address: ' || value)::boolean::text END",
    ),
    Macro(
        "phone_number",
        ("value", "country"),
        r"one_phone(regexp_replace(replace(value::text, '(0)', ''), '[^0-9+]', '', 'g'), country::text, value::text)",
        "In the international form (+, country code, number); country: the code of numbers without one. Extensions,"
        " letters and a second number are refused, and so is a number that may begin with the code or not.",
        "phone_number('(0049) 89 / 12 34-56', '49')",
        "+4989123456",
    ),
    Macro(
        "one_phone",
        ("digits", "country", "value"),
        rf"CASE WHEN trim_blanks(value) = '' THEN NULL"
        rf" WHEN value !~ '{PHONE}' OR value ~ '{TWO_PHONES}' THEN ('no telephone number: ' || value)::boolean::text"
        r" WHEN digits ~ '^\+[1-9][0-9]{6,14}$' THEN digits"
        r" WHEN digits ~ '^00[1-9][0-9]{6,14}$' THEN '+' || substr(digits, 3)"
        r" WHEN country = '1' AND digits ~ '^011[1-9][0-9]{6,14}$' THEN '+' || substr(digits, 4)"
        r" WHEN country = '1' AND digits ~ '^1?[2-9][0-9]{9}$' THEN '+1' || right(digits, 10)"
        r" WHEN country = '1' OR char_length(digits) > 10 AND starts_with(digits, country)"
        r" THEN ('no telephone number: ' || value)::boolean::text"
        r" WHEN digits ~ '^0[1-9][0-9]{3,12}$' THEN '+' || country || substr(digits, 2)"
        r" WHEN digits ~ '^[1-9][0-9]{4,12}$' THEN '+' || country || digits"
        r" ELSE ('no telephone number: ' || value)::boolean::text END",
    ),
    Macro(
        "html_text",
        ("value",),
        "CASE WHEN strpos(value::text, '&') = 0 THEN value::text"
        " ELSE replace(html_letters(html_entities(value::text)), '&amp;', '&') END",
        "With the characters that HTML entities stand for, in normal form C; an unknown entity stays.",
        "html_text('Caf&eacute; &amp; Bar &#x20AC;')",
        "Café & Bar €",
    ),
    Macro("html_entities", ("entities",), _entities()),
    Macro("html_letters", ("entities",), _letters()),
)
