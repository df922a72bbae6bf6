"""Conversions of texts and numbers into amounts, dates, times and booleans.

Each is a chain of replacements that ends in a cast: the value stands in it once, and what no replacement understood
is refused by the cast, which quotes it.
"""

from __future__ import annotations

from mappings.conversions.macro import Macro

GAP = r"[ \u00a0\u2007\u2009\u202f''\u2019]"
COMMAS = r"[1-9]\d{0,2}(?:,\d{2,3})*,\d{3}(?:\.\d+)?"
DOTS = r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?"
AMOUNT = rf"(\d{{1,3}}(?:{GAP}\d{{3}})+(?:[.,]\d+)?|{COMMAS}|{DOTS}|\d+(?:[.,]\d+)?|[.,]\d+)"
MINUS = "[-−–]"
SIGN = rf"[^0-9]*{MINUS}"
BEFORE, BEHIND = r"(?:[^0-9]*[[:alpha:]]\.|[^0-9.,()]*)\s*", r"(?:[.,]\s*[-–—]*)?[^0-9.,()−–-]*$"
"""A currency before or behind an amount; `12,-` and `12.` are whole amounts."""

MANY = "k|t|m|b|mn|bn|tsd|mio|mrd|mill?ions?|millionen|milliard\\w*|billion\\w*|thousands?|tausend|lakhs?|crores?"
IN_ONES = rf"^(?!.*\d[.,]?\s*(?:{MANY})\M)"
"""`1.5 million` is no amount of one and a half."""

DATE = r"^(?!\d{4}-(?:\d\d?|[a-z]{3})-\d\d?$)(.+)$"
TIME = (
    r"(?:[t ,]+(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-6]\d(?:[.,:]\d+)?)?\s*(?:[ap]\.?m\.?|uhr)?\s*"
    r"(?:z|utc|gmt|cet|cest|mez|mesz|[-+]\d\d?(?::?\d\d)*)?(?:\s*\([a-z ]+\))?)?$"
)
"""A time of day with its zone, which is left off."""

WEEKDAY = (
    "(?:mon|tues?|wed|wednes|thu|thurs?|fri|sat|satur|sun)(?:day)?|"
    "mo|di|mi|do|fr|sa|so|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend"
)

YES = "yes|y|true|t|on|1|x|ja|j|wahr|oui|o|vrai|si|sí|s|sim|sì|vero|verdadero"
NO = "no|n|false|f|off|0|nein|falsch|non|faux|não|falso|nee"


def _chain(start: str, *replacements: tuple[str, str] | tuple[str, str, str]) -> str:
    """Replacements one after the other; what is put in is SQL, and a third part is the flags."""
    result = start
    for pattern, by, *flags in replacements:
        result = f"regexp_replace({result}, '{pattern}', {by}{''.join(f', {one!r}' for one in flags)})"
    return result


_AMOUNT = _chain(
    "trim_blanks(value)",
    (rf"{IN_ONES}[^0-9()−–-]*\({BEFORE}{AMOUNT}(?:[.,]\s*)?[^0-9.,()−–-]*\)[^0-9.,()−–-]*$", r"'-\1'", "i"),
    (rf"{IN_ONES}(?!{SIGN}{SIGN}){SIGN}{BEFORE}{AMOUNT}{BEHIND}", r"'-\1'", "i"),
    (rf"{IN_ONES}(?!{SIGN}){BEFORE}{AMOUNT}\s*[-−]{BEHIND}", r"'-\1'", "i"),
    (rf"{IN_ONES}(?!{SIGN}){BEFORE}{AMOUNT}{BEHIND}", r"'\1'", "i"),
    (rf"(?<=\d){GAP}(?=\d{{3}}(?!\d))", "''", "g"),
    (r"(?<=^-?[1-9]\d{0,2}(?:,\d{2,3})*),(?=(?:\d{2,3},)*\d{3}(?:\.\d+)?$)", "''", "g"),
    (r"(?<=^-?[1-9]\d{0,2}(?:\.\d{3})*)\.(?=\d{3}(?:\.\d{3})*(?:,\d+)?$)", "''", "g"),
    (r"^(-?\d*),(\d+)$", r"'\1.\2'"),
    (r"^(?!-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$)(.+)$", r"'no amount: \1'", "i"),
)

_SECONDS = _chain(
    "trim_blanks(value)", (r"^(?![-+]?\d+(?:\.\d*)?(?:e[+]?\d\d?)?$)(.+)$", r"'no unix time: \1'", "i")
)

_SPELT = "lower(trim_blanks(value))"
for _other, _month in {
    "mai": "may",
    "okt": "oct",
    "dez": "dec",
    "mär": "mar",
    "mae": "mar",
    "jän": "jan",
}.items():
    _SPELT = f"replace({_SPELT}, '{_other}', '{_month}')"
_DATE = _chain(
    _SPELT,
    (rf"^(?:{WEEKDAY})[.,]*\s+(?=[[:alnum:]])", "''"),
    (rf"^(\d{{4}})([-/.]?)(\d\d)\2(\d\d){TIME}", r"'\1-\3-\4'"),
    (rf"^(\d{{4}})[-/.](\d\d?)[-/.](\d\d?){TIME}", r"'\1-\2-\3'"),
    (rf"^(\d\d?)\. ?(\d\d?)\. ?(\d{{4}}|\d\d){TIME}", r"'y\3-\2-\1'"),
    (
        rf"^(\d\d?)[-/. ](\d\d?)[-/. ](\d{{4}}|\d\d){TIME}",
        r"CASE day_order::text WHEN 'mdy' THEN 'y\3-\1-\2' WHEN 'dmy' THEN 'y\3-\2-\1'"
        r" ELSE 'neither dmy nor mdy: \1 \2 \3' END",
    ),
    (
        rf"^(\d\d?)(?:st|nd|rd|th|\.)?[ -]*([[:alpha:]]{{3}})[[:alpha:]]*\.?,?[ -]*(\d{{4}}|\d\d){TIME}",
        r"'y\3-\2-\1'",
    ),
    (rf"^([[:alpha:]]{{3}})[[:alpha:]]*\.? *(\d\d?)(?:st|nd|rd|th)?,? +(\d{{4}}|\d\d){TIME}", r"'y\3-\1-\2'"),
    (r"^y([0-6]\d)-", r"'20\1-'"),
    (r"^y([7-9]\d)-", r"'19\1-'"),
    (r"^y(\d{4})-", r"'\1-'"),
    (rf"^0000-00?-00?{TIME}", "''"),
    (DATE, r"'no date: \1'"),
)

VALUES = (
    Macro(
        "money_amount",
        ("value",),
        f"nullif({_AMOUNT}, '')::numeric",
        "A number out of `1,234.50`, `1.234,50 €`, `(12.00)` or `1 234,5`; a single comma or point before three"
        " digits (`1.234`) means thousands. `1.5 million`, `NaN` and `Infinity` are refused.",
        "money_amount('-1.234,50 €')",
        "-1234.50",
    ),
    Macro(
        "date_of",
        ("value", "day_order"),
        f"nullif({_DATE}, '')::date",
        "A date out of the usual forms, in numbers or with a month's English or German name; day_order says how"
        " 3/4/2024 is meant, 'dmy' or 'mdy'; with points (3.4.2024) the day is first. Two digits are a year from 1970"
        " to 2069; a time of day is left off; 0000-00-00 is NULL.",
        "date_of('3/4/2024', 'mdy')",
        "2024-03-04",
    ),
    Macro(
        "unix_time",
        ("value",),
        f"seconds_of(nullif({_SECONDS}, '')::numeric)",
        "The time (timestamptz) of a number of seconds, milliseconds, microseconds or nanoseconds since 1970: up to"
        " 11, 14, 17 and more digits before the point.",
        "unix_time(1700000000) AT TIME ZONE 'UTC'",
        "2023-11-14 22:13:20",
    ),
    Macro("seconds_of", ("number",), "to_timestamp((number / unix_unit(number))::double precision)"),
    Macro(
        "unix_unit",
        ("number",),
        "CASE WHEN abs(number) < 100000000000 THEN 1 WHEN abs(number) < 100000000000000 THEN 1000"
        " WHEN abs(number) < 100000000000000000 THEN 1000000 ELSE 1000000000 END",
    ),
    Macro(
        "yes_or_no",
        ("value",),
        "nullif("
        + _chain("lower(trim_blanks(value))", (f"^(?:{YES})$", "'true'"), (f"^(?:{NO})$", "'false'"))
        + ", '')::boolean",
        "A boolean out of words such as yes and no, on and off, 1 and 0, ja and nein, oui and non, sí and no.",
        "yes_or_no('Ja')",
        "true",
    ),
)
