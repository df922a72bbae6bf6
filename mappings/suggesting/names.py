"""How alike two names are, by what their words mean: `kunden_nr` and `customerId`, `dob` and `birth_date`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Generic, TypeVar

from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler

from mappings.suggesting.vocabulary import LONGEST_PHRASE, singular, stem, vocabulary, words_of

PLAIN, NAMING, TIMING, WEAK, OWN = 1.0, 0.5, 0.35, 0.2, 0.25
"""How much a word of a name counts: by itself; as a word like id or name beside others; as one like date or at,
or a unit, beside others; as one that says little; as one that the table's own name says already."""

SAME_MEANING, NEAR = 0.93, 0.55
GUESSED = 0.85  # of what a guessed word is worth
SPREAD = 0.8  # a prefix that this part of a table's columns share says nothing


@dataclass(frozen=True, slots=True)
class Unit:
    """A word or phrase of a name. weight: how much it counts there; is_guess: nobody knows what it means."""

    text: str
    meanings: frozenset[str]
    weight: float = PLAIN
    is_guess: bool = False


Name = tuple[Unit, ...]


@cache
def units(name: str) -> Name:
    """The words and phrases of a name, weighted as if it stood alone."""
    return _weighed(_taken_apart(name), frozenset())


@cache
def _taken_apart(name: str) -> Name:
    """The words and phrases of a name, before they are weighed beside others."""
    return tuple(_phrases(words_of(name)))


def _phrases(words: Sequence[str]) -> Iterable[Unit]:
    known, at = vocabulary(), 0
    while at < len(words):
        for length in range(min(LONGEST_PHRASE, len(words) - at), 0, -1):
            phrase = tuple(words[at : at + length])
            meanings = known.phrases.get(phrase) if length > 1 else known.meanings(phrase[0])
            if meanings or length == 1:
                guessed = frozenset() if meanings else known.guessed(phrase[0])
                yield Unit(" ".join(phrase), meanings or guessed, is_guess=bool(guessed))
                at += length
                break


def _weighed(result: Name, own: frozenset[str]) -> Name:
    if len(result) == 1:
        return result
    weighed = tuple(replace(unit, weight=_weight(unit, own)) for unit in result)
    if all(unit.weight <= WEAK for unit in weighed):
        return result
    return weighed


def _weight(unit: Unit, own: frozenset[str]) -> float:
    known = vocabulary()
    if unit.text in own or unit.meanings & own:
        return OWN
    if unit.text in known.weak or unit.text.isdigit():
        return WEAK
    if unit.meanings & known.timing or unit.text in known.units:
        return TIMING
    if unit.meanings & known.naming and " " not in unit.text:
        return NAMING
    return PLAIN


def of_table(name: str) -> Name:
    """A table's name."""
    return units(name)


def of_tables(named: Mapping[int, str]) -> dict[int, Name]:
    """The names of many tables, by oid: a word that nearly all begin with says nothing of any of them."""
    prefix = shared_prefix([*named.values()])
    result = {}
    for oid, name in named.items():
        taken = _taken_apart(name)
        short = len(taken) > 1 and taken[0].text == prefix
        result[oid] = _weighed(taken[1:], frozenset()) if short else units(name)
    return result


def of_columns(table: str, columns: Sequence[str]) -> dict[str, Name]:
    """The names of a table's columns: words of the table's name, and prefixes that all share, count little."""
    own = frozenset(
        word for unit in units(table) for word in (unit.text, singular(unit.text), *_sharp(unit.meanings))
    )
    prefix = shared_prefix(columns)
    result = {}
    for column in columns:
        name = _taken_apart(column)
        if prefix and len(name) > 1 and name[0].text == prefix:
            name = name[1:]
        result[column] = _weighed(name, own)
    return _with_the_other_name(result)


def _with_the_other_name(result: dict[str, Name]) -> dict[str, Name]:
    """Where a person has a given name or a surname in a column of its own, `name` is the other one."""
    meant = {meaning for name in result.values() for unit in name for meaning in unit.meanings}
    missing = {"given name", "surname"} - meant
    if len(missing) != 1:
        return result
    return {
        column: tuple(
            replace(unit, meanings=unit.meanings | missing) if "name" in unit.meanings else unit
            for unit in name
        )
        if len(name) == 1
        else name
        for column, name in result.items()
    }


def _sharp(meanings: frozenset[str]) -> frozenset[str]:
    """The meanings, where there are few enough to go by."""
    return meanings if len(meanings) <= 2 else frozenset()


def shared_prefix(columns: Sequence[str]) -> str:
    """The first word that nearly all columns of a table begin with; '' for none."""
    firsts = Counter(words[0] for column in columns if len(words := words_of(column)) > 1)
    if len(columns) < 4 or not firsts:
        return ""
    word, times = firsts.most_common(1)[0]
    return word if times >= SPREAD * len(columns) else ""


def mark(name: Name) -> frozenset[str]:
    """What a name comes down to: its words that count, each by what it means where that is known."""
    counted = [unit for unit in name if unit.weight > WEAK] or name
    return frozenset(min(unit.meanings) if unit.meanings else stem(unit.text) for unit in counted)


def likeness(one: Name, other: Name) -> float:
    """0 to 1: how much of both names' weight has a counterpart in the other, and how good it is."""
    if not one or not other:
        return 0.0
    pairs = [
        (result, a, b) for a, x in enumerate(one) for b, y in enumerate(other) if (result := alike(x, y)) > 0
    ]
    pairs.sort(key=lambda pair: -pair[0])
    used_one: set[int] = set()
    used_other: set[int] = set()
    matched = 0.0
    for result, a, b in pairs:
        if a not in used_one and b not in used_other:
            used_one.add(a)
            used_other.add(b)
            matched += result * (one[a].weight + other[b].weight)
    return matched / (sum(unit.weight for unit in one) + sum(unit.weight for unit in other))


def alike(one: Unit, other: Unit) -> float:
    """0 to 1: how alike two words or phrases are."""
    if one.text == other.text:
        return 1.0
    guess = GUESSED if one.is_guess or other.is_guess else 1.0
    return guess * _alike(one.text, one.meanings, other.text, other.meanings)


@cache
def _alike(one: str, meanings: frozenset[str], other: str, others: frozenset[str]) -> float:
    if singular(one) == singular(other) or stem(one) == stem(other):
        return 0.98
    by_meaning = _by_meaning(meanings, others)
    if by_meaning >= SAME_MEANING - 0.1:
        return by_meaning
    by_head = 0.45 if head(one) == head(other) and " " in one + other else 0.0
    known = bool(meanings and others)  # two words that are known are not alike for their letters
    return max(by_meaning, by_head, 0.0 if known else _by_letters(one, other))


def _by_meaning(meanings: frozenset[str], others: frozenset[str]) -> float:
    if meanings & others:
        return SAME_MEANING - 0.02 * (min(len(meanings), len(others), 4) - 1)
    near = vocabulary().near
    return NEAR if any(near.get(meaning, frozenset()) & others for meaning in meanings) else 0.0


@cache
def head(phrase: str) -> str:
    """The last word of a phrase, which says what kind of thing it is."""
    return singular(phrase.rsplit(" ", 1)[-1])


def _by_letters(one: str, other: str) -> float:
    short, long = sorted((one, other), key=len)
    if len(short) < 3 or short.isdigit() or long.isdigit():
        return 0.0
    size, ratio = len(short), fuzz.ratio(short, long)
    rules = (
        (0.8, size > 3 and ratio > 75 and JaroWinkler.similarity(short, long) > 0.9),
        (0.7, long.startswith(short)),
        (0.6, size > 5 and ratio >= 70),
        (0.55, short[0] == long[0] and size * 3 >= len(long) and _skeleton(short, long)),
        (0.5, size > 3 and short in long),
    )
    return next((result for result, holds in rules if holds), 0.0)


def _skeleton(short: str, long: str) -> bool:
    """Whether `short` is `long` with letters left out, its consonants first: cstmr, qnty."""
    letters = iter(long)
    return all(letter in letters for letter in short) and sum(letter in "aeiou" for letter in short) <= 1


Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Index(Generic[Key]):
    """Names, to be found by what is like them without comparing with each."""

    names: dict[Key, Name]
    units: dict[str, Unit] = field(default_factory=dict)
    holders: dict[str, list[Key]] = field(default_factory=dict)
    keys: dict[str, set[str]] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name, result in self.names.items():
            for unit in result:
                self.units.setdefault(unit.text, unit)
                self.holders.setdefault(unit.text, []).append(name)
        for text, unit in self.units.items():
            for key in (*unit.meanings, *_keys(text)):
                self.keys.setdefault(key, set()).add(text)
            if not unit.meanings:
                self.strangers.add(text)

    def near(self, unit: Unit) -> dict[str, float]:
        """The units here that are like this one, and how much."""
        near = vocabulary().near
        wanted = {other for meaning in unit.meanings for other in near.get(meaning, ())}
        keys = (*unit.meanings, *wanted, *_keys(unit.text))
        texts = self.strangers.union(*(self.keys.get(key, ()) for key in keys))
        candidates = texts if unit.meanings else self.units
        return {text: result for text in candidates if (result := alike(unit, self.units[text])) > 0}

    def likenesses(self, names: dict[Key, Name]) -> dict[tuple[Key, Key], float]:
        """How alike those names are to the names here, of each pair that has anything in common."""
        near: dict[str, dict[str, float]] = {}
        result: dict[tuple[Key, Key], float] = {}
        for name, ours in names.items():
            for unit in ours:
                if unit.text not in near:
                    near[unit.text] = self.near(unit)
            others = {one for unit in ours for text in near[unit.text] for one in self.holders[text]}
            result.update(((name, other), likeness(ours, self.names[other])) for other in others)
        return result


def _keys(text: str) -> tuple[str, str, str]:
    """By what else than its meanings a unit is found: its stem, its singular and its head."""
    return f"={stem(text)}", f"={singular(text)}", f"-{head(text)}"
