"""Whose selector takes which pod: selectors of services and budgets, parsed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.runtime.controllers.podstate import label_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.controllers.base import Key
    from capim.runtime.objects import Change
    from capim.wire.selectors import LabelSelector


class SelectorBook:
    """The selectors of all objects of one kind. One loop, no lock."""

    __slots__ = ("_selectors",)

    def __init__(self) -> None:
        self._selectors: dict[Key, LabelSelector] = {}

    def __len__(self) -> int:
        return len(self._selectors)

    def note(self, change: Change) -> Key:
        """Take the selector of an object that changed; return its key."""
        stored = change.stored
        key = (stored.namespace, stored.name)
        self._selectors.pop(key, None)
        if change.type != "DELETED":
            selector = (stored.json().get("spec") or {}).get("selector")
            if selector is not None:  # an empty one takes everything, an absent one nothing
                self._selectors[key] = label_selector(selector)
        return key

    def of_pod(self, change: Change) -> Iterator[Key]:
        """Yield the keys whose selector takes a pod, or took it before this change."""
        stored, previous = change.stored, change.previous
        for key, selector in self._selectors.items():
            if key[0] != stored.namespace:
                continue
            if selector.matches(stored.labels) or (previous and selector.matches(previous.labels)):
                yield key
