"""Conversions of texts: blanks, names of people, addresses, entities of HTML."""

from __future__ import annotations

from mappings.conversions.macro import BLANK, Macro

SUFFIX = r"(?:Jr|Sr|II|III|IV)\.?"
PARTICLES = (
    "van|von|vom|zu|zum|zur|de|del|della|der|den|di|da|dos|das|do|du|la|le|ter|ten|bin|ibn|al|el|af|av"
)
SURNAME = rf"(?:^|\s)((?:(?:{PARTICLES})\s+)*\S+(?:\s+{SUFFIX})?)$"
REVERSED = rf"person ~ ',' AND person !~ ',\s*{SUFFIX}$'"
"""`Lovelace, Ada`; not `Martin Luther King, Jr.`"""

ENTITIES = {
    "&nbsp;|&#160;": "\u00a0", "&quot;|&#34;": '"', "&apos;|&#0?39;": "'", "&lt;|&#60;": "<", "&gt;|&#62;": ">",
    "&euro;|&#8364;": "€", "&pound;|&#163;": "£", "&copy;|&#169;": "©", "&reg;|&#174;": "®", "&trade;|&#8482;": "™",
    "&hellip;|&#8230;": "…", "&ndash;|&#8211;": "–", "&mdash;|&#8212;": "—", "&bull;|&#8226;": "•",
    "&lsquo;|&#8216;": "‘", "&rsquo;|&#8217;": "’", "&ldquo;|&#8220;": "“", "&rdquo;|&#8221;": "”",
    "&bdquo;|&#8222;": "„", "&laquo;|&#171;": "«", "&raquo;|&#187;": "»", "&deg;|&#176;": "°", "&middot;|&#183;": "·",
    "&szlig;|&#223;": "ß", "&aelig;|&#230;": "æ", "&AElig;|&#198;": "Æ", "&oslash;|&#248;": "ø", "&Oslash;|&#216;": "Ø",
    "&sect;|&#167;": "§",
}  # fmt: skip
ACCENTS = {
    "grave": "\u0300", "acute": "\u0301", "circ": "\u0302", "tilde": "\u0303", "uml": "\u0308", "ring": "\u030a",
    "caron": "\u030c", "cedil": "\u0327",
}  # fmt: skip


def _replaced(inner: str, pattern: str, by: str) -> str:
    quoted = by.replace("'", "''")
    return f"regexp_replace({inner}, '{pattern}', '{quoted}', 'g')"


def _entities() -> str:
    """Replacements one inside the other; & comes last, so that &amp;lt; is &lt; and not a bracket."""
    found = "entities"
    for pattern, character in ENTITIES.items():
        found = _replaced(found, pattern, character)
    return found


def _letters() -> str:
    """Letters with their accents put behind them, to be composed; hexadecimal numbers as unistr reads them."""
    found = r"replace(entities, '\', '\\')"
    for name, accent in ACCENTS.items():
        found = _replaced(found, f"&([A-Za-z]){name};", rf"\1{accent}")
    found = _replaced(found, "&#[xX]0*([0-9A-Fa-f]{4});", r"\\\1")
    found = _replaced(found, "&#[xX]0*([0-9A-Fa-f]{2});", r"\\00\1")
    return f"normalize(unistr({found}), NFC)"


TEXTS = (
    Macro(
        "trim_blanks",
        ("value",),
        f"regexp_replace(value::text, '^{BLANK}+|{BLANK}+$', '', 'g')",
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
        r" ELSE coalesce(nullif(regexp_replace(left(value::text, greatest(size, 0) + 1), '\s+\S*$', ''),"
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
        f"CASE WHEN {REVERSED} THEN nullif(trim_blanks(split_part(person, ',', 1)), '')"
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
        r"one_email(lower(trim_blanks(regexp_replace(regexp_replace(value::text, '^.*<([^<>]+)>\s*$', '\1'),"
        r" '^\s*mailto:', '', 'i'))), value::text)",
        "The bare address in lower case, out of `Ada <Ada@Example.org>` or `mailto:`.",
        "email_address('Ada <Ada@Example.org>')",
        "ada@example.org",
    ),
    Macro(
        "one_email",
        ("address", "value"),
        r"CASE WHEN address = '' THEN NULL WHEN address ~ '^[^@\s<>,;]+@[^@\s<>,;]+$' THEN address"
        r" ELSE ('no e-mail address: ' || value)::boolean::text END",
    ),
    Macro(
        "phone_number",
        ("value", "country"),
        r"one_phone(regexp_replace(replace(value::text, '(0)', ''), '[^0-9+]', '', 'g'), country::text, value::text)",
        "In the international form (+, country code, number); country: the code of numbers without one.",
        "phone_number('(0049) 89 / 12 34-56', '49')",
        "+4989123456",
    ),
    Macro(
        "one_phone",
        ("digits", "country", "value"),
        r"CASE WHEN trim_blanks(value) = '' THEN NULL"
        r" WHEN value ~ '[[:alpha:]]' THEN ('no telephone number: ' || value)::boolean::text"
        r" WHEN digits ~ '^\+[1-9][0-9]{6,14}$' THEN digits"
        r" WHEN digits ~ '^00[1-9][0-9]{6,14}$' THEN '+' || substr(digits, 3)"
        r" WHEN digits ~ '^0[1-9][0-9]{3,12}$' THEN '+' || country || substr(digits, 2)"
        r" WHEN country = '1' AND digits ~ '^1[0-9]{10}$' THEN '+' || digits"
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
