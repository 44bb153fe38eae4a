"""The objects of one kind, in the order of their keys."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.objects import Stored


def key_of(namespace: str, name: str) -> str:
    """Return the key of an object; cluster scope has an empty namespace."""
    return f"{namespace}/{name}" if namespace else name


class ObjectTable:
    """A sorted map from key to object. Insertion and removal move at most one array of pointers."""

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self._keys: list[str] = []
        self.edition = 0  #: grows with every change

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key: str) -> Stored | None:
        """Return the object at a key, or None."""
        return self._objects.get(key)

    def put(self, stored: Stored) -> None:
        """Store an object in place of the one at its key."""
        key = stored.key
        if key not in self._objects:
            insort(self._keys, key)
        self._objects[key] = stored
        self.edition += 1

    def remove(self, key: str) -> None:
        """Remove the object at a key. Raises KeyError."""
        del self._objects[key]
        del self._keys[bisect_left(self._keys, key)]
        self.edition += 1

    def span(self, namespace: str | None, start: str = "") -> tuple[int, int]:
        """Return the positions [first, last) of a namespace (None: of all) from a key on."""
        if namespace is None:
            return bisect_left(self._keys, start), len(self._keys)
        first = bisect_left(self._keys, max(start, f"{namespace}/"))
        return first, bisect_left(self._keys, f"{namespace}0")  # "0" is what follows "/"

    def slice(self, first: int, last: int) -> Iterator[Stored]:
        """Yield the objects at these positions, in order."""
        return map(self._objects.__getitem__, self._keys[first:last])

    def own(self) -> Iterator[Stored]:
        """Yield the objects that this cluster wrote, in no certain order."""
        return iter(self._objects.values())

    def lost(self) -> Iterator[Stored]:
        """Yield the objects the cluster was born with and deleted, as they were."""
        return iter(())

    def is_born(self, key: str) -> bool:
        """Tell whether the cluster was born with an object at this key."""
        return False

    def validate(self) -> None:
        """Raise AssertionError where an invariant is broken; for tests."""
        assert self._keys == sorted(self._objects)  # noqa: S101
        assert all(key == stored.key for key, stored in self._objects.items())  # noqa: S101
