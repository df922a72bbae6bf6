"""What words in names mean: reads words.txt once, and cuts a name into the words and phrases it is made of."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from rapidfuzz.fuzz import ratio
from rapidfuzz.process import extract

FILE = Path(__file__).with_name("words.txt")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
LONGEST_PHRASE = 4
SHORTEST_GLUED = 5  # a shorter word is not taken apart
SHORTEST_GUESSED, MOST_GUESSES = 3, 4
PLURALS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", ""))
UNUSED_PLURALS = ("ss", "us", "is")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """phrases: meanings of each phrase (a tuple of words); near: meanings that often stand for each other."""

    phrases: dict[tuple[str, ...], frozenset[str]]
    near: dict[str, frozenset[str]]
    weak: frozenset[str]
    timing: frozenset[str]
    naming: frozenset[str]
    units: dict[str, tuple[float, str]]
    words: frozenset[str] = field(repr=False)

    def meanings(self, word: str) -> frozenset[str]:
        """What a single word may mean; of its singular or stem where it is not known itself."""
        for candidate in (word, singular(word), stem(word)):
            if result := self.phrases.get((candidate,)):
                return result
        return frozenset()

    @cache  # noqa: B019 - there is one vocabulary
    def guessed(self, word: str) -> frozenset[str]:
        """What a word that nobody knows may mean: a known one's beginning or consonants, or one written wrongly."""
        if len(word) < SHORTEST_GUESSED or not word.isalpha():
            return frozenset()
        without = [w for w in self.words if consonants(w) == word]
        begun = [w for w in self.words if w.startswith(word) and len(word) > 3 and len(w) <= 2 * len(word)]
        close = extract(word, self.words, scorer=ratio, score_cutoff=86, limit=3) if len(word) > 3 else []
        guesses = {*without, *begun, *(w for w, _, _ in close)}
        result = [self.phrases.get((w,), frozenset()) for w in sorted(guesses)]
        meanings = frozenset(meaning for meant in result for meaning in meant)
        return meanings if len(meanings) <= MOST_GUESSES else frozenset()


@cache
def vocabulary() -> Vocabulary:
    """The words of words.txt."""
    phrases: dict[tuple[str, ...], set[str]] = defaultdict(set)
    near: dict[str, set[str]] = defaultdict(set)
    special: dict[str, list[str]] = defaultdict(list)
    for line in FILE.read_text().splitlines():
        meaning, colon, listed = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        items = [item.strip() for item in listed.split(",")]
        if meaning == "near":
            for item in items:
                near[item].update(items)
        elif meaning in ("weak", "timing", "naming", "units"):
            special[meaning] += items
        else:
            for item in items:
                phrases[tuple(raw_words(item))].add(meaning)
    return Vocabulary(
        {phrase: frozenset(result) for phrase, result in phrases.items()},
        {meaning: frozenset(result) for meaning, result in near.items()},
        frozenset(special["weak"]),
        frozenset(special["timing"]),
        frozenset(special["naming"]),
        dict(_unit(item) for item in special["units"]),
        frozenset(word for phrase in phrases for word in phrase if len(word) > 2 and word.isalpha())
        | {"id", "no", "nr", "dt", "at", "is", "of", "by", "on"},
    )


def _unit(item: str) -> tuple[str, tuple[float, str]]:
    word, _, meaning = item.partition("=")
    factor, _, of = meaning.partition(" ")
    return word, (float(factor), of)


def plain(text: str) -> str:
    """Lower case without accents: what a dictionary looks words up by."""
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
    return "".join(letter for letter in folded if not unicodedata.combining(letter)).casefold()


def raw_words(name: str) -> list[str]:
    """The parts of a snake, kebab or camel case name, plain; digits stand alone."""
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    bare = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return [plain(part) for part in PART.findall(bare)]


@cache
def consonants(word: str) -> str:
    """A word without its vowels, but for one that it begins with."""
    return word[:1] + "".join(letter for letter in word[1:] if letter not in "aeiou")


@cache
def singular(word: str) -> str:
    """An English plural's singular; other words as they are."""
    if len(word) < 4 or word.endswith(UNUSED_PLURALS):
        return word
    for ending, instead in PLURALS:
        if word.endswith(ending):
            return word.removesuffix(ending) + instead
    return word


@cache
def stem(word: str) -> str:
    """A word without the ending of a past tense: hired -> hire, joined -> join."""
    if len(word) < 5 or not word.endswith("ed"):
        return singular(word)
    return word[:-1] if (word[:-1],) in vocabulary().phrases else word[:-2]


@cache
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, glued ones taken apart where every part is a known word."""
    return tuple(word for raw in raw_words(name) for word in _unglued(raw))


def _unglued(word: str) -> list[str]:
    known = vocabulary()
    if len(word) < SHORTEST_GLUED or not word.isascii() or known.meanings(word):
        return [word]
    return _cut(word) or [word]


def _cut(word: str) -> list[str] | None:
    """The fewest known words that make up all of `word`, longest first; None where there are none."""
    known = vocabulary().words
    best: dict[int, list[str]] = {0: []}
    for end in range(2, len(word) + 1):
        for start in range(end - 2, -1, -1):
            piece = word[start:end]
            if start in best and (piece in known or (len(piece) > 3 and singular(piece) in known)):
                parts = [*best[start], piece]
                if end not in best or len(parts) < len(best[end]):
                    best[end] = parts
    result = best.get(len(word))
    return result if result and len(result) <= 3 else _cut_end(word)


def _cut_end(word: str) -> list[str] | None:
    """The longest known word that `word` ends with, and what stands before it."""
    known = vocabulary()
    for start in range(3, len(word) - 3):
        if known.meanings(word[start:]):
            return [word[:start], word[start:]]
    return None
