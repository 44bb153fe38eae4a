"""Values compared, merged and cut by their shape: what server-side apply does to objects. Pure.

Nothing given is changed, and results share what they can with it. Two values that are equal are never
looked into, so comparing costs what the change costs.

Semantics: structured-merge-diff v6, `typed`. Departure: as in Python, true equals 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson

from capim.wire import fieldset
from capim.wire.fieldset import (
    FieldSet,
    is_member,
    key_element,
    keyed_element,
    node_of,
    ordered,
    value_element,
)
from capim.wire.shapes import ANY, Form, Shape, members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LEAF: Final[FieldSet] = {}
_ABSENT: Final = object()
#: what was added, modified and removed at a place; None: nothing
Nodes: TypeAlias = tuple[FieldSet | None, FieldSet | None, FieldSet | None]
_MODIFIED: Final[Nodes] = (None, _LEAF, None)
_DIVIDED: Final[frozenset[type]] = frozenset({dict, list})


class TypedError(ValueError):
    """A value does not fit its shape; the text begins with the path."""


class Comparison(NamedTuple):
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

    def encode(self) -> bytes:
        """Return bytes that are equal for equal differences."""
        return orjson.dumps((self.added, self.modified, self.removed))

    @property
    def changed(self) -> FieldSet:
        """What the new value has and the old one had not, or not so."""
        return fieldset.union(self.added, self.modified)


def decode_comparison(data: bytes) -> Comparison:
    """Return what `Comparison.encode` encoded."""
    return Comparison(*orjson.loads(data))


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
    if shape.keys_of is not None and (known := _keyed_elements(shape, shape.keys_of, items)):
        return known
    elements = []
    for index, item in enumerate(items):
        try:
            elements.append(element_of(shape, item))
        except TypedError as error:
            raise TypedError(f"element {index}: {error}") from None
    return elements


def _keyed_elements(
    shape: Shape, keys_of: Callable[[Any], Any], items: list[Any]
) -> list[str] | None:
    """Return what `elements_of` does where all items have all keys, None where they have not."""
    try:
        values = list(map(keys_of, items))
        if len(shape.keys) == 1:
            return [keyed_element(shape.keys, value) for value in values]
        return [keyed_element(shape.keys, *value) for value in values]
    except (KeyError, TypeError):  # what is missing may have a default; the long way tells
        return None


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
    if not value or form_of(shape, value) is Form.LEAF:
        return _LEAF
    made: FieldSet = {}
    if isinstance(value, dict):
        made[fieldset.SELF] = _LEAF
        for name, element, child in members(shape, tuple(value)):
            one = value[name]
            made[element] = whole(one, child) if one.__class__ in _DIVIDED else _LEAF
        return made
    item_shape = shape.element or ANY
    for element, item in zip(elements_of(shape, value), value, strict=True):
        made[element] = _LEAF if element in made else whole(item, item_shape)
    return {fieldset.SELF: _LEAF, **ordered(made)}


def grown(zero: dict[str, Any], value: dict[str, Any], shape: Shape) -> FieldSet:
    """Return what a value has that is not so in what it began as: `compare(...).changed`, but faster."""
    made: FieldSet = {}
    for name, element, child in members(shape, tuple(value)):
        one = value[name]
        if name not in zero:
            made[element] = whole(one, child) if one.__class__ in _DIVIDED else _LEAF
        elif (was := zero[name]) == one:
            continue
        elif one and isinstance(one, dict) and form_of(child, one) is Form.MAP:
            if below := grown(was or {}, one, child):
                made[element] = below
        else:
            added, modified, _ = _compare_values(was, one, child)
            if added is not None or modified is not None:
                made[element] = _united(added, modified)
    return made


def _united(added: FieldSet | None, modified: FieldSet | None) -> FieldSet:
    if added is None or modified is None:
        return (modified if added is None else added) or _LEAF
    both: FieldSet = fieldset.union({"f:": added}, {"f:": modified})["f:"]
    return both


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
    added, modified, removed = _compare_members(old, new, shape)
    return Comparison(added or {}, modified or {}, removed or {})


def _compare_members(old: dict[str, Any], new: dict[str, Any], shape: Shape) -> Nodes:
    added: FieldSet = {}
    changed: dict[str, Nodes] = {}
    removed: FieldSet = {}
    for name, value in new.items():
        was = old.get(name, _ABSENT)
        if was is value or was == value:
            continue
        child = shape.fields.get(name) or shape.element or ANY
        if was is _ABSENT:
            added[f"f:{name}"] = whole(value, child)
        elif was.__class__ in _DIVIDED or value.__class__ in _DIVIDED:
            changed[f"f:{name}"] = _compare_values(was, value, child)
        else:
            changed[f"f:{name}"] = _MODIFIED
    if not old.keys() <= new.keys():
        for name in old.keys() - new.keys():
            child = shape.fields.get(name) or shape.element or ANY
            removed[f"f:{name}"] = whole(old[name], child)
    return _level(added, changed, removed)


def _compare_values(old: Any, new: Any, shape: Shape) -> Nodes:
    old_form, new_form = form_of(shape, old), form_of(shape, new)
    form = new_form if old is None else old_form if new is None else new_form
    if old_form is not new_form and old is not None and new is not None:
        return _compare_forms(old, new, shape)
    if form is Form.LEAF:
        return _MODIFIED
    if not old and not new:
        return _MODIFIED
    if form is Form.MAP:
        return _compare_members(old or {}, new or {}, shape)
    return _compare_items(old or [], new or [], shape)


def _compare_forms(old: Any, new: Any, shape: Shape) -> Nodes:
    """Compare what was divided with what is not, or the other way: the value is another, and all of it."""
    added = _compare_values(None, new, shape)[0]
    removed = _compare_values(old, None, shape)[2]
    return added, _LEAF, removed


def _compare_items(old: list[Any], new: list[Any], shape: Shape) -> Nodes:
    if not _aligned(old, new, shape):
        return _compare_rearranged(old, new, shape)
    item_shape = shape.element or ANY
    changed = {
        element_of(shape, now): _compare_values(was, now, item_shape)
        for was, now in zip(old, new, strict=True)
        if was is not now and was != now
    }
    return _level({}, changed, {})


def _compare_rearranged(old: list[Any], new: list[Any], shape: Shape) -> Nodes:
    item_shape = shape.element or ANY
    before, after = _by_element(old, shape), _by_element(new, shape)
    added: FieldSet = {}
    changed: dict[str, Nodes] = {}
    for element, now in after.items():
        was = before.get(element)
        if was is None:
            added[element] = whole(now[0], item_shape) if len(now) == 1 else _LEAF
        elif was != now:
            changed[element] = _compare_repeated(was, now, item_shape)
    removed = {
        element: whole(was[0], item_shape) if len(was) == 1 else _LEAF
        for element, was in before.items()
        if element not in after
    }
    return _level(added, changed, removed)


def _compare_repeated(was: list[Any], now: list[Any], shape: Shape) -> Nodes:
    """Compare items with one key: several are together like one atomic item."""
    if len(was) == len(now) == 1:
        return _compare_values(was[0], now[0], shape)
    if len(was) > 1 and len(now) > 1:
        return _MODIFIED
    if len(was) > 1:
        return whole(now[0], shape), None, _LEAF
    return _LEAF, None, whole(was[0], shape)


def _level(added: FieldSet, changed: dict[str, Nodes], removed: FieldSet) -> Nodes:
    """Return the nodes of a level: with what its members' comparisons found."""
    modified: FieldSet = {}
    for element, (more, other, less) in changed.items():
        if more is not None:
            added[element] = more
        if other is not None:
            modified[element] = other
        if less is not None:
            removed[element] = less
    return (
        ordered(added) if added else None,
        ordered(modified) if modified else None,
        ordered(removed) if removed else None,
    )


def _aligned(old: list[Any], new: list[Any], shape: Shape) -> bool:
    """Tell whether two lists have the same elements in the same places, and none of them twice."""
    if shape.keys_of is None or len(old) != len(new):
        return False
    try:
        names = list(map(shape.keys_of, old))
        return names == list(map(shape.keys_of, new)) and len(set(names)) == len(names)
    except (KeyError, TypeError):  # the long way tells what is wrong, if anything is
        return False


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
