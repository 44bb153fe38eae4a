"""What a struct's absent fields become: a tree of defaults, walked only where an object has something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from capim.api.meta import JsonObject


@dataclass(frozen=True, slots=True)
class Shape:
    """Defaults of one struct.

    `values` stand in for what is absent, `zeros` for what is absent or zero; an empty dict or list is
    made anew each time. `parts` are structs within, `each` lists of structs; `first` runs before and
    `last` after all that.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    zeros: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Shape] = field(default_factory=dict)
    each: Mapping[str, Shape] = field(default_factory=dict)
    first: Callable[[JsonObject], None] | None = None
    last: Callable[[JsonObject], None] | None = None


def fill(obj: JsonObject, shape: Shape) -> None:
    """Give an object its defaults, in place; it is canonical, so types are as the kind has them."""
    if shape.first:
        shape.first(obj)
    _complete(obj, shape)
    for key, part in shape.parts.items():
        inner = obj.get(key)
        if inner is not None:
            fill(inner, part)
    for key, part in shape.each.items():
        for inner in obj.get(key) or ():
            fill(inner, part)
    if shape.last:
        shape.last(obj)


def _complete(obj: JsonObject, shape: Shape) -> None:
    for key, value in shape.values.items():
        held = obj.get(key)
        if held is None or held == "":
            obj[key] = type(value)() if type(value) in {dict, list} else value
    for key, value in shape.zeros.items():
        if not obj.get(key):
            obj[key] = value
