"""A mapping's parameters in one environment: their values, and those that have none."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.compiling.names.resolve import Databases
from mappings.language.spec import MappingSpec
from mappings.plan.measures import Parameter
from mappings.problems import Problem


def with_values(spec: MappingSpec, databases: Databases) -> tuple[Parameter, ...]:
    """The parameters that have a value here, in the file's order."""
    values = databases.parameters
    return tuple(Parameter(name, values[name]) for name in spec.params if name in values)


def without_value(spec: MappingSpec, databases: Databases, environment: str) -> Iterator[Problem]:
    """A blocker for each parameter that has no value here."""
    for name in spec.params:
        if name not in databases.parameters:
            way = f"`environment set {environment} --param {name}=VALUE`"
            text = f"the parameter {name} has no value in environment {environment}"
            yield Problem("params", f"{text}; give it one on the environment's page or with {way}")
