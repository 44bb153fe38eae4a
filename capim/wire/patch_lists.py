"""How strategic merge patch treats the elements of a list: what tells them apart, and which order they get.

Elements are all maps, told apart by the value of the list's merge key, or all scalars of one type, told
apart by themselves. The order is that of k8s.io/apimachinery's strategicpatch: what the patch names comes in
the patch's order, what only the server has keeps its order, and the server's order interleaves the two.
"""

from __future__ import annotations

from typing import Any, Final

from capim.wire.patch_values import PatchError

DIRECTIVE: Final = "$patch"


def check_elements(*lists: list[Any]) -> bool:
    """Tell whether the elements are maps. Raises PatchError: lists of lists, mixed types, or no element."""
    types = {type(element) for elements in lists for element in elements}
    if list in types:
        raise PatchError("lists of lists are not supported")
    if len(types) != 1 or type(None) in types:
        reason = (
            "list element types are not identical"
            if types
            else "no elements in any of the given slices"
        )
        raise PatchError(reason)
    return dict in types


def identity(element: Any, merge_key: str) -> tuple[type, Any]:
    """Return what tells the element apart: its merge key's value, or itself without a merge key."""
    value = element
    if merge_key:
        if not isinstance(element, dict):
            raise PatchError(
                f"expected a map with the merge key {merge_key}, but received {element!r}"
            )
        if merge_key not in element:
            raise PatchError(f"map: {element} does not contain declared merge key: {merge_key}")
        value = element[merge_key]
    if isinstance(value, dict | list):
        raise PatchError(f"{value!r} cannot tell elements of a list apart")
    return type(value), value


def find(elements: list[Any], wanted: tuple[type, Any], merge_key: str) -> int | None:
    """Return the index of the first element with this identity; one without the merge key never matches."""
    for index, element in enumerate(elements):
        if not isinstance(element, dict):
            raise PatchError(f"value for key {index} is not a map")
        if merge_key in element and identity(element, merge_key) == wanted:
            return index
    return None


def without_repeats(elements: list[Any]) -> list[Any]:
    """Return scalars without those that came before."""
    return list({identity(element, ""): element for element in elements}.values())


def ordered(
    merged: list[Any], patch_order: list[Any], server_order: list[Any], merge_key: str
) -> list[Any]:
    """Sort the merged elements by both orders; an element is placed by its first appearance in an order."""
    by_patch = _positions(patch_order, merge_key)
    by_server = _positions(server_order, merge_key)
    keyed = [(identity(element, merge_key), element) for element in merged]
    ours = sorted(
        (pair for pair in keyed if pair[0] in by_patch), key=lambda pair: by_patch[pair[0]]
    )
    theirs = sorted(
        (pair for pair in keyed if pair[0] not in by_patch),
        key=lambda pair: by_server.get(pair[0], len(by_server)),
    )
    return _interleaved(theirs, ours, by_server)


def _positions(elements: list[Any], merge_key: str) -> dict[tuple[type, Any], int]:
    positions: dict[tuple[type, Any], int] = {}
    for index, element in enumerate(elements):
        positions.setdefault(identity(element, merge_key), index)
    return positions


def _interleaved(
    left: list[tuple[tuple[type, Any], Any]],
    right: list[tuple[tuple[type, Any], Any]],
    by_server: dict[tuple[type, Any], int],
) -> list[Any]:
    """Insert each of `left` before the first of `right` that the server has after it."""
    result, position = [], 0
    for key, element in right:
        while position < len(left) and _is_before(left[position][0], key, by_server):
            result.append(left[position][1])
            position += 1
        result.append(element)
    return result + [element for _, element in left[position:]]


def _is_before(
    left: tuple[type, Any], right: tuple[type, Any], positions: dict[tuple[type, Any], int]
) -> bool:
    return left in positions and right in positions and positions[left] < positions[right]


def check_order(patch: list[Any], order: list[Any], merge_key: str) -> None:
    """Check that the elements of a patch appear, in their order, in its $setElementOrder."""
    if not patch or not order:
        return
    wanted = iter([identity(element, merge_key) for element in order])
    for element in patch:
        if isinstance(element, dict) and DIRECTIVE in element:
            continue
        key = identity(element, merge_key)
        if not any(key == other for other in wanted):
            raise PatchError(
                f"The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n"
            )
