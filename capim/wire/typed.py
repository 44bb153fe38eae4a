"""Values compared, merged and cut by their shape: what server-side apply does to objects. Pure.

Nothing given is changed, and results share what they can with it. Two values that are equal are never
looked into, so comparing costs what the change costs.

Semantics: structured-merge-diff v6, `typed`. Departure: as in Python, true equals 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from capim.wire import fieldset
from capim.wire.fieldset import (
    FieldSet,
    is_member,
    key_element,
    node_of,
    ordered,
    text_key_element,
    value_element,
)
from capim.wire.shapes import ANY, Form, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEAF: Final[FieldSet] = {}
_ABSENT: Final = object()


class TypedError(ValueError):
    """A value does not fit its shape; the text begins with the path."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between an old and a new value."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    def without(self, ignored: FieldSet) -> Comparison:
        """Return what differs outside of the paths that are ignored."""
        if not ignored:
            return self
        kept = (fieldset.without(one, ignored) for one in (self.added, self.modified, self.removed))
        return Comparison(*kept)

    @property
    def changed(self) -> FieldSet:
        """What the new value has and the old one had not, or not so."""
        return fieldset.union(self.added, self.modified)


def form_of(shape: Shape, value: Any) -> Form:
    """Return how this very value is divided."""
    form = shape.form
    if form is Form.MAP or form is Form.DEDUCED:
        return Form.MAP if isinstance(value, dict) else Form.LEAF
    return Form.LIST if form is Form.LIST and isinstance(value, list) else Form.LEAF


def element_of(shape: Shape, item: Any) -> str:
    """Return the element of a path that names this item of a list. Raises TypedError: it has none."""
    if not shape.keys:
        if isinstance(item, dict):
            raise TypedError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise TypedError("not supported: associative list with lists as elements")
        if item is None:
            raise TypedError("associative list without keys has an element that's an explicit null")
        return value_element(item)
    if item is None:
        raise TypedError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise TypedError("associative list with keys may not have non-map elements")
    if len(shape.keys) == 1 and isinstance(value := item.get(shape.keys[0]), str):
        return text_key_element(shape.keys[0], value)
    keys = {key: item[key] for key in shape.keys if key in item}
    if len(keys) < len(shape.keys):
        keys = {
            key: item.get(key, shape.defaults.get(key))
            for key in shape.keys
            if key in item or key in shape.defaults
        }
        if not keys:
            named = "[" + " ".join(f'"{key}"' for key in shape.keys) + "]"
            raise TypedError(
                f"associative list with keys has an element that omits all key fields {named} "
                "(and doesn't have default values for any key fields)"
            )
    return key_element(keys)


def elements_of(shape: Shape, items: list[Any]) -> list[str]:
    """Return the path elements of a list's items. Raises TypedError: one has none."""
    elements = []
    for index, item in enumerate(items):
        try:
            elements.append(element_of(shape, item))
        except TypedError as error:
            raise TypedError(f"element {index}: {error}") from None
    return elements


# --- sets of a value ---------------------------------------------------------------------------------


def fields_of(value: Any, shape: Shape) -> FieldSet:
    """Return what an applied configuration claims: its leaves, members of maps and items of lists."""
    return _claimed(value, shape) or {}


def _claimed(value: Any, shape: Shape) -> FieldSet | None:
    form = form_of(shape, value)
    if form is Form.MAP:
        return _claimed_members(value, shape) or None
    if form is Form.LIST:
        return _claimed_items(value, shape) or None
    return None if value is None and shape.form is not Form.LEAF else _LEAF


def _claimed_members(value: dict[str, Any], shape: Shape) -> FieldSet:
    made: FieldSet = {}
    for name, one in value.items():
        below = _claimed(one, shape.of(name) or ANY)
        member = one is None or one == {} or name not in shape.fields
        if below is not None and not below:
            member = True
        node = node_of(below or _LEAF, member=member)
        if node is not None:
            made[f"f:{name}"] = node
    return ordered(made)


def _claimed_items(value: list[Any], shape: Shape) -> FieldSet:
    made: FieldSet = {}
    item_shape = shape.element or ANY
    for element, item in zip(elements_of(shape, value), value, strict=True):
        repeated = element in made
        below = None if repeated else _claimed(item, item_shape)
        made[element] = node_of(below or _LEAF, member=True)
    return ordered(made)


def whole(value: Any, shape: Shape) -> FieldSet:
    """Return the node of a value that is new or gone altogether: everything in it is a member."""
    if not value or not isinstance(value, dict | list):
        return _LEAF
    if form_of(shape, value) is Form.LEAF:
        return _LEAF
    made: FieldSet = {}
    other = shape.element or ANY
    if isinstance(value, dict):
        fields = shape.fields
        for name in sorted(value):
            one = value[name]
            leaf = not isinstance(one, dict | list)
            made[f"f:{name}"] = _LEAF if leaf else whole(one, fields.get(name, other))
        return {fieldset.SELF: _LEAF, **made}
    for element, item in zip(elements_of(shape, value), value, strict=True):
        made[element] = _LEAF if element in made else whole(item, other)
    return {fieldset.SELF: _LEAF, **ordered(made)}


def with_named_fields(fields: FieldSet, shape: Shape | None) -> FieldSet:
    """Return a set with every named field that has something below it as a member too."""
    made: FieldSet = {}
    for element, node in fields.items():
        if element == fieldset.SELF or not node:
            made[element] = node
            continue
        child = None if shape is None else shape.below(element)
        below = with_named_fields(node, child)
        named = shape is not None and element[0] == "f" and element[2:] in shape.fields
        made[element] = {fieldset.SELF: _LEAF, **below} if named else below
    return made


# --- comparing ---------------------------------------------------------------------------------------


def compare(old: dict[str, Any], new: dict[str, Any], shape: Shape) -> Comparison:
    """Return what differs. Raises TypedError: a list's items cannot be told apart."""
    differ = _Differ()
    added, modified, removed = differ.members(old, new, shape)
    return Comparison(added or {}, modified or {}, removed or {})


class _Differ:
    """Walks two values; each method returns nodes of what was added, modified and removed."""

    def members(
        self, old: dict[str, Any], new: dict[str, Any], shape: Shape
    ) -> tuple[FieldSet | None, FieldSet | None, FieldSet | None]:
        diff, fields, other = _Diff(), shape.fields, shape.element or ANY
        for name, value in new.items():
            was = old.get(name, _ABSENT)
            if was is not _ABSENT and was == value:
                continue
            child = fields.get(name, other)
            if was is _ABSENT:
                diff.added[f"f:{name}"] = whole(value, child)
            else:
                diff.put(f"f:{name}", self.value(was, value, child))
        for name, was in old.items():
            if name not in new:
                diff.removed[f"f:{name}"] = whole(was, fields.get(name, other))
        return diff.nodes()

    def value(
        self, old: Any, new: Any, shape: Shape
    ) -> tuple[FieldSet | None, FieldSet | None, FieldSet | None]:
        old_form, new_form = form_of(shape, old), form_of(shape, new)
        form = new_form if old is None else old_form if new is None else new_form
        if form is Form.LEAF or (old_form is not new_form and None not in (old, new)):
            return None, _LEAF, None
        if not old and not new:
            return None, _LEAF, None
        if form is Form.MAP:
            return self.members(old or {}, new or {}, shape)
        return self.items(old or [], new or [], shape)

    def items(
        self, old: list[Any], new: list[Any], shape: Shape
    ) -> tuple[FieldSet | None, FieldSet | None, FieldSet | None]:
        diff, item_shape = _Diff(), shape.element or ANY
        before, after = _by_element(old, shape), _by_element(new, shape)
        for element, now in after.items():
            was = before.get(element)
            if was is None:
                diff.added[element] = whole(now[0], item_shape) if len(now) == 1 else _LEAF
            elif len(was) == len(now) == 1:
                if was[0] != now[0]:
                    diff.put(element, self.value(was[0], now[0], item_shape))
            else:
                self._repeated(diff, element, was, now, item_shape)
        for element, was in before.items():
            if element not in after:
                diff.removed[element] = whole(was[0], item_shape) if len(was) == 1 else _LEAF
        return diff.nodes()

    def _repeated(
        self, diff: _Diff, element: str, was: list[Any], now: list[Any], shape: Shape
    ) -> None:
        """Compare items with one key: together they are like one atomic item."""
        if len(was) > 1 and len(now) > 1:
            if was != now:
                diff.modified[element] = _LEAF
        elif len(was) > 1:
            diff.added[element] = whole(now[0], shape)
            diff.removed[element] = _LEAF
        else:
            diff.removed[element] = whole(was[0], shape)
            diff.added[element] = _LEAF


class _Diff:
    """What was added to, modified in and removed from one level."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.added: FieldSet = {}
        self.modified: FieldSet = {}
        self.removed: FieldSet = {}

    def put(
        self, element: str, nodes: tuple[FieldSet | None, FieldSet | None, FieldSet | None]
    ) -> None:
        """Take what a member's comparison found."""
        added, modified, removed = nodes
        if added is not None:
            self.added[element] = added
        if modified is not None:
            self.modified[element] = modified
        if removed is not None:
            self.removed[element] = removed

    def nodes(self) -> tuple[FieldSet | None, FieldSet | None, FieldSet | None]:
        """Return the nodes of this level; None where nothing is."""
        return (
            ordered(self.added) if self.added else None,
            ordered(self.modified) if self.modified else None,
            ordered(self.removed) if self.removed else None,
        )


def _by_element(items: list[Any], shape: Shape) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for element, item in zip(elements_of(shape, items), items, strict=True):
        found.setdefault(element, []).append(item)
    return found


# --- merging and cutting -----------------------------------------------------------------------------


def merge(live: Any, applied: Any, shape: Shape) -> Any:
    """Return a live value with an applied configuration laid over it. Raises TypedError."""
    if applied is None and form_of(shape, live) is not Form.LEAF and live:
        return live
    live_form, form = form_of(shape, live), form_of(shape, applied)
    if form is Form.LEAF or not applied:
        return applied if form is Form.LEAF or not live or live_form is not form else live
    if form is Form.MAP:
        return _merge_maps(live if live_form is Form.MAP else {}, applied, shape)
    return _merge_lists(live if live_form is Form.LIST else [], applied, shape)


def _merge_maps(live: dict[str, Any], applied: dict[str, Any], shape: Shape) -> dict[str, Any]:
    made = dict(live)
    for name, value in applied.items():
        child = shape.of(name) or ANY
        made[name] = merge(live[name], value, child) if name in live else value
    return made


def _merge_lists(live: list[Any], applied: list[Any], shape: Shape) -> list[Any]:
    """Merge by elements: what is in both keeps the order of the applied, the rest stays around it."""
    mine, theirs = elements_of(shape, applied), elements_of(shape, live)
    by_mine = dict(zip(mine, applied, strict=True))
    if len(by_mine) < len(mine):
        repeated = next(element for index, element in enumerate(mine) if element in mine[:index])
        raise TypedError(f"duplicate entries for key {fieldset.path_text([repeated])}")
    by_theirs: dict[str, Any] = {}
    for element, item in zip(theirs, live, strict=True):
        by_theirs[element] = None if element in by_theirs else item
    item_shape = shape.element or ANY

    def merged(element: str) -> Any:
        was = by_theirs.get(element)
        return by_mine[element] if was is None else merge(was, by_mine[element], item_shape)

    order = _interleave(theirs, mine)
    return [live[at] if at is not None else merged(element) for at, element in order]


def _interleave(theirs: list[str], mine: list[str]) -> Iterable[tuple[int | None, str]]:
    """Yield the order of a merged list: (index, element) of an item of theirs, (None, element) of mine."""
    own, known, done = set(mine), set(theirs), set[str]()
    shared = [element for element in mine if element in known]
    left = right = position = 0
    while left < len(theirs) or right < len(mine):
        wanted = shared[position] if position < len(shared) else None
        next_mine = mine[right] if right < len(mine) else None
        if left < len(theirs):
            element = theirs[left]
            if element not in own:
                yield left, element
                left += 1
                continue
            if next_mine is not None and element != next_mine and wanted not in {None, element}:
                left += 1
                continue
            if element in done or element == next_mine:
                left += 1
        if next_mine is not None:
            done.add(next_mine)
            yield None, next_mine
            position += next_mine == wanted
            right += 1


def remove(value: Any, fields: FieldSet, shape: Shape) -> Any:
    """Return a value without these fields and items; what becomes empty is None."""
    form = form_of(shape, value)
    if shape.form is Form.LEAF and isinstance(value, dict | list):
        return None
    if form is Form.LEAF or not value:
        return None if isinstance(value, dict | list) else value
    if form is Form.MAP:
        kept = {
            name: remove(one, node, shape.of(name) or ANY) if node else one
            for name, one in value.items()
            for node in [fields.get(f"f:{name}")]
            if node is None or not is_member(node)
        }
        return kept or None
    item_shape = shape.element or ANY
    items = []
    for element, item in zip(elements_of(shape, value), value, strict=True):
        node = fields.get(element)
        if node is None:
            items.append(item)
        elif not is_member(node):
            items.append(remove(item, node, item_shape))
    return items or None
