"""Walking a tree, rewriting it, measuring it; chains of operators, which may be thousands long, without recursion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from mappings.expressions.tree import Binary, Column, Node, String

_PARTS: dict[type[Node], tuple[str, ...]] = {}


def _parts(node: Node) -> tuple[str, ...]:
    """The fields of this kind of node which hold nodes."""
    kind = type(node)
    if kind not in _PARTS:
        own = {"Node", "When", "Index", "Argument", "String"}
        names = [field.name for field in fields(kind) if own & set(re.findall(r"\w+", str(field.type)))]
        _PARTS[kind] = tuple(names)
    return _PARTS[kind]


def children(node: Node) -> Iterator[Node]:
    """The nodes that this one is made of, from left to right."""
    for name in _parts(node):
        value = getattr(node, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Node):
                yield item


def walk(node: Node) -> Iterator[Node]:
    """This node and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        result = waiting.pop()
        yield result
        waiting.extend(reversed(list(children(result))))


def rewrite(node: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with each node replaced by what `change` gives for it, children first.

    A chain of operators (a || b || c …) may be thousands long and leans to the left: it is not walked by recursion.
    """
    chain: list[Binary] = []
    while isinstance(node, Binary):
        chain.append(node)
        node = node.left
    changed: dict[str, Any] = {}
    for name in _parts(node):
        value = getattr(node, name)
        if isinstance(value, Node):
            changed[name] = rewrite(value, change)
        elif isinstance(value, tuple):
            items = list(value)
            for number, item in enumerate(items):
                if isinstance(item, Node):
                    items[number] = rewrite(item, change)
            changed[name] = tuple(items)
    done = change(replace(node, **changed) if changed else node)
    for link in reversed(chain):
        done = change(replace(link, left=done, right=rewrite(link.right, change)))
    return done


def substituted(node: Node, values: Mapping[str, Node]) -> Node:
    """With these nodes in the places of bare columns of those names; its own constants have no place in the text."""

    def change(result: Node) -> Node:
        if isinstance(result, Column) and result.qualifier is None and result.name in values:
            return values[result.name]
        return replace(result, at=-1) if isinstance(result, String) else result

    return rewrite(node, change)


def measure(node: Node) -> tuple[int, int]:
    """(size, height): how many nodes are printed, and on how many levels, a chain of operators counted as one.

    What stands in two places is one object, and looked at once.
    """
    known: dict[int, tuple[int, int]] = {}
    waiting = [node]
    while waiting:
        result = waiting[-1]
        below = list(children(result))
        unknown = [child for child in below if id(child) not in known]
        waiting += unknown
        if not unknown:
            left = result.left if isinstance(result, Binary) else None
            size, height = 1, 0
            for child in below:
                size += known[id(child)][0]
                height = max(height, known[id(child)][1] - (child is left))
            known[id(result)] = size, height + 1
            waiting.pop()
    return known[id(node)]
