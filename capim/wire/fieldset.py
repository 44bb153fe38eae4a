"""Sets of field paths, as `metadata.managedFields` lists them (FieldsV1). Pure.

A set is its own JSON: `{"f:spec": {"f:replicas": {}}}` holds `.spec.replicas`. A node that is empty or
has a member `.` is in the set itself; the root never is. Elements of a path: `f:name` a field,
`k:{"name":"x"}` the list element with these keys, `v:"x"` the list element with this value, `i:0` the
element at this index. The text of an element is canonical, so equal texts are equal elements.

Sets are never changed, and results share what they can: a result that `is` its input says that nothing
happened. Members are kept in the order that a real server writes. Semantics: structured-merge-diff v6,
`fieldpath`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

FieldSet: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

SELF: Final = "."
_LEAF: Final[FieldSet] = {}
_RANKS: Final = {".": 0, "f": 1, "k": 2, "v": 3, "i": 4}
#: Go's encoder of JSON writes these so that HTML stays safe
_ESCAPED: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def key_element(keys: Mapping[str, Any]) -> str:
    """Name the list element with these keys, which are in order."""
    return f"k:{escaped_json(keys)}"


@functools.lru_cache(maxsize=4096, typed=True)
def keyed_element(names: tuple[str, ...], *values: str | int) -> str:
    """Name the list element with these values of its keys; the same few occur again and again."""
    return key_element(dict(zip(names, values, strict=True)))


def value_element(value: Any) -> str:
    """Name the list element that is this scalar."""
    return f"v:{escaped_json(value)}"


def is_member(node: FieldSet) -> bool:
    """Tell whether a node below the root is in the set itself."""
    return not node or SELF in node


def _plain(node: FieldSet) -> FieldSet:
    """Return a node as it is written when nothing is below it."""
    return _LEAF if len(node) == 1 and SELF in node else node


def node_of(children: FieldSet, *, member: bool) -> FieldSet | None:
    """Return a node with these children, None for one that holds nothing."""
    if not children:
        return _LEAF if member else None
    return {SELF: _LEAF, **children} if member else children


def ordered(level: FieldSet) -> FieldSet:
    """Return a level with its elements in order; what lies below is taken to be."""
    return level if len(level) < 2 else {name: level[name] for name in _in_order(tuple(level))}


@functools.lru_cache(maxsize=2048)
def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return elements in order; the levels of a kind have the same few again and again."""
    made = sorted(names)
    if made[-1] >= "g":  # not only fields, whose order is that of their text
        made.sort(key=_order)
    return tuple(made)


def of_paths(*paths: Path) -> FieldSet:
    """Return the set of these paths."""
    made: FieldSet = {}
    for path in paths:
        one: FieldSet = _LEAF
        for element in reversed(path):
            one = {element: one}
        made = union(made, one)
    return made


def paths(fields: FieldSet) -> Iterator[Path]:
    """Yield the paths of a set: members of a level before what is below it."""
    levels: list[tuple[Path, FieldSet]] = [((), fields)]
    while levels:
        prefix, level = levels.pop()
        for element, node in level.items():
            if element != SELF and is_member(node):
                yield (*prefix, element)
        below = [((*prefix, name), node) for name, node in level.items() if node]
        levels.extend(reversed(below))


def has(fields: FieldSet, path: Path) -> bool:
    """Tell whether a path is in the set."""
    node: FieldSet | None = fields
    for element in path:
        node = node.get(element) if node else None
        if node is None:
            return False
    return bool(path) and node is not None and is_member(node)


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the paths of both sets."""
    if not right or left is right:
        return left
    if not left:
        return right
    made, grown = left, False
    for element, node in right.items():
        if element not in left:
            made = dict(made) if made is left else made
            made[element], grown = node, True
        elif element != SELF and (both := _union_node(left[element], node)) is not left[element]:
            made = dict(made) if made is left else made
            made[element] = both
    return ordered(made) if grown else made


def _union_node(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left:
        return left if not right else right if SELF in right else {SELF: _LEAF, **right}
    if not right:
        return left if SELF in left else {SELF: _LEAF, **left}
    return union(left, right)


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the paths that are in both sets."""
    made: FieldSet = {}
    for element, node in left.items():
        other = right.get(element)
        if other is None or element == SELF:
            continue
        member = is_member(node) and is_member(other)
        below = intersection(node, other) if node and other else _LEAF
        both = node_of(below, member=member)
        if both is not None:
            made[element] = both
    return made


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the paths of `left` that are not in `right`; taking a path leaves what lies below it."""
    return _reduced(left, right, _difference_node)


def _reduced(
    left: FieldSet, right: FieldSet, rest_of: Callable[[FieldSet, FieldSet], FieldSet | None]
) -> FieldSet:
    """Return `left` with what `rest_of` leaves of each element that both sets have."""
    if not left:
        return left
    made = left
    for element, other in right.items():
        node = left.get(element)
        if node is None or element == SELF:
            continue
        rest = rest_of(node, other)
        if rest is not node:
            made = dict(made) if made is left else made
            if rest is None:
                del made[element]
            else:
                made[element] = rest
    return made


def _difference_node(node: FieldSet, other: FieldSet) -> FieldSet | None:
    below = difference(node, other) if node and other else node
    if not is_member(node):
        return below or None
    if not is_member(other):
        return _plain(below)
    return {name: child for name, child in below.items() if name != SELF} or None


def without(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the paths of `left` that are neither in `right` nor below a path that is."""
    return _reduced(left, right, _without_node)


def _without_node(node: FieldSet, other: FieldSet) -> FieldSet | None:
    if is_member(other):
        return None
    if not node:
        return node
    return _plain(below) if (below := without(node, other)) else None


def parse(fields: object) -> FieldSet:
    """Read FieldsV1 that a client wrote; elements of kinds nobody knows are left out.

    Raises:
        ValueError: it is no set of fields.
    """
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise ValueError("FieldsV1 is not an object")
    made: FieldSet = {}
    for element, node in fields.items():
        if element == SELF:
            made[SELF] = _LEAF
        elif (canonical := _parse_element(element)) is not None:
            made[canonical] = _plain(parse(node))
    return ordered(made)


def _parse_element(text: str) -> str | None:
    if len(text) < 2:
        raise ValueError("key must be 2 characters long:")
    if text[1] != ":":
        raise ValueError(f"missing colon: {text}")
    kind, rest = text[0], text[2:]
    if kind == "f":
        return text
    if kind == "i":
        return f"i:{int(rest)}"
    if kind not in "kv":
        return None
    value = orjson.loads(rest)
    if kind == "v":
        return value_element(value)
    if not isinstance(value, dict):
        raise ValueError(f"keys of a list element are an object: {text}")
    return key_element(dict(sorted(value.items())))


def path_text(path: Iterable[str]) -> str:
    """Write a path for a person: `.spec.containers[name="x"].image`."""
    return "".join(_element_text(element) for element in path)


def _element_text(element: str) -> str:
    kind, rest = element[0], element[2:]
    if kind == "f":
        return f".{rest}"
    if kind == "i":
        return f"[{rest}]"
    value = orjson.loads(rest)
    if kind == "v":
        return f"[={_value_text(value)}]"
    return f"[{','.join(f'{name}={_value_text(one)}' for name, one in value.items())}]"


def _value_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def escaped_json(value: Any) -> str:
    """Write JSON as Go does: keys in order, and what HTML would read escaped."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    for plain, escaped in _ESCAPED.items():
        if plain in text:
            text = text.replace(plain, escaped)
    return text


def _order(element: str) -> tuple[Any, ...]:
    """Return what sorts an element among its siblings: by kind, then by name or value."""
    kind, rest = element[0], element[2:]
    if kind == "k":
        keys = orjson.loads(rest).items()
        return (_RANKS[kind], *((name, _value_order(value)) for name, value in keys))
    if kind == "v":
        return (_RANKS[kind], _value_order(orjson.loads(rest)))
    return (_RANKS[kind], int(rest)) if kind == "i" else (_RANKS[kind], rest)


def _value_order(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    return (1, value) if isinstance(value, str) else (3, escaped_json(value))
