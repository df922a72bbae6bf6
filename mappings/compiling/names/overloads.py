"""Which of an extension's operators or functions of one name PostgreSQL would take, had it only those and pg_catalog's.

Source of the rules: PostgreSQL, "Operator Type Resolution" and "Function Type Resolution". Where they go further than
is followed here, the answer is that it cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mappings.catalog.extensions import UNKNOWN, ExtensionFunction, ExtensionOperator, Extensions, TypeFacts

TEXT = 25
"""PostgreSQL: text."""
NO_TYPE = TypeFacts(0, "", 0, None)
"""The left side of a prefix operator."""


class Ambiguous(Exception):
    """Which operator or function is meant cannot be told; the text is a sentence."""


def choose_operator(
    known: Extensions, name: str, left: TypeFacts, right: TypeFacts, at_home: Callable[[], bool]
) -> ExtensionOperator | None:
    """The extension's operator; None for pg_catalog's, which at_home says whether there is. May raise Ambiguous."""
    given = (right.oid if left.oid == UNKNOWN else left.oid, left.oid if right.oid == UNKNOWN else right.oid)
    if left is NO_TYPE:
        given = (0, right.oid)
    touched = bool({left.oid, right.oid} & known.types)
    named = [operator for operator in known.operators if operator.name == name]
    exact = [operator for operator in named if (operator.left, operator.right) == given]
    if not exact and not touched:
        return None
    if exact:
        return exact[0] if touched or not at_home() else None
    fitting = [o for o in named if _fits(known, left.oid, o.left) and _fits(known, right.oid, o.right)]
    also_at_home = at_home()
    if (
        also_at_home
    ):  # what takes the extension's value only as another type fits no better than pg_catalog's own
        fitting = [o for o in fitting if _takes(known, o, left, right)]
    if len(fitting) > 1:  # a constant of no type yet is a text where one may be
        texts = [o for o in fitting if _takes_text((o.left, o.right), (left, right))]
        fitting = texts if len(texts) == 1 else fitting
    if fitting and (also_at_home or len(fitting) > 1):
        raise Ambiguous(
            f"which operator {name} between these types is meant cannot be told; cast its operands"
        )
    return fitting[0] if fitting else None


def choose_function(
    known: Extensions, named: Sequence[ExtensionFunction], types: Sequence[TypeFacts]
) -> ExtensionFunction | None:
    """The one with the most arguments of just their types; None where none takes them, or several do as well."""
    rated = []
    for function in named:
        wanted = spread(function, len(types))
        if len(wanted) != len(types):
            continue
        pairs = list(zip(types, wanted, strict=True))
        if all(_fits(known, facts.oid, oid) for facts, oid in pairs):
            same = sum(facts.oid == oid for facts, oid in pairs)
            texts = sum(facts.oid == UNKNOWN and oid == TEXT for facts, oid in pairs)
            rated.append(((same, texts, not function.variadic), function))
    rated.sort(key=lambda item: item[0], reverse=True)
    if not rated or (len(rated) > 1 and rated[0][0] == rated[1][0]):
        return None
    return rated[0][1]


def spread(function: ExtensionFunction, count: int) -> tuple[int, ...]:
    """The arguments' types, the last one repeated where it may be."""
    if not function.variadic:
        return function.arguments
    fixed = function.arguments[:-1]
    return (*fixed, *(function.variadic for _ in range(count - len(fixed))))


def _fits(known: Extensions, given: int, wanted: int) -> bool:
    """Whether a value goes without being asked for as one of that type."""
    return given in (wanted, UNKNOWN) or (given, wanted) in known.casts


def _takes(known: Extensions, operator: ExtensionOperator, left: TypeFacts, right: TypeFacts) -> bool:
    """Whether it takes an operand of an extension's type as what it is."""
    pairs = (left.oid, operator.left), (right.oid, operator.right)
    return any(given == wanted and given in known.types for given, wanted in pairs)


def _takes_text(wanted: tuple[int, int], types: tuple[TypeFacts, TypeFacts]) -> bool:
    pairs = zip(wanted, types, strict=True)
    return all(oid == TEXT if facts.oid == UNKNOWN else oid == facts.oid for oid, facts in pairs)
