"""Drift: the catalogs differ from the ones that a plan was made on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mappings.catalog.fingerprints import Change, since_planned
from mappings.compiling import structure
from mappings.compiling.names.resolve import Databases
from mappings.language.spec import MappingSpec
from mappings.models import Environment, Revision
from mappings.plan.model import Plan
from mappings.planning.live_databases import connected
from mappings.problems import Problem
from mappings.schema import register
from mappings.store import revision_spec

MOST_TOLD = 5


def drift(plan: Plan, revision: Revision, environment: Environment) -> list[Problem]:
    """What changed since the plan was made, as blockers. Refused where a database cannot be reached."""
    spec = revision_spec(revision)
    with connected(environment) as result:
        return [*_other_values(plan, environment), *drift_of(plan, spec, result)]


def _other_values(plan: Plan, environment: Environment) -> Iterator[Problem]:
    """Parameters whose values in the environment are not those of the plan."""
    for parameter in plan.parameters:
        now = environment.parameters.get(parameter.name)
        if now != parameter.value:
            was = f"the value of the parameter {parameter.name} was {parameter.value}"
            text = f"{was} when the plan was made, and is {now if now is not None else 'taken away'} now"
            yield Problem("params", text)


def drift_of(plan: Plan, spec: MappingSpec, databases: Databases) -> list[Problem]:
    """The same for open databases. Steps of the plan that are done already are no drift."""
    taken = list(register.taken(databases.target, plan))
    if not plan.structure:
        return taken
    changes = since_planned(plan.structure, structure.read(spec, databases, plan.steps))
    if not changes:
        return taken
    return [Problem("", f"the tables changed after the plan was made: {told(changes)}"), *taken]


def told(changes: Iterable[Change]) -> str:
    """The first few changes in a row, with how many more there are."""
    texts = [str(change) for change in changes]
    more = [f"and {len(texts) - MOST_TOLD} more"] if len(texts) > MOST_TOLD else []
    return "; ".join([*texts[:MOST_TOLD], *more])
