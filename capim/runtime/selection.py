"""Which objects a list or a watch is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api import errors
from capim.api.views import is_view, view_of
from capim.wire.selectors import FieldSelector

if TYPE_CHECKING:
    from capim.api.resources import Resource
    from capim.runtime.objects import Stored
    from capim.wire.selectors import LabelSelector

_EVERYWHERE = ("metadata.name", "metadata.namespace")


class Selection:
    """A namespace (None: all of them), labels and fields.

    Raises:
        APIError: BadRequest, for a field this kind cannot be selected by.
    """

    __slots__ = ("_fields", "_labels", "namespace")

    def __init__(
        self,
        resource: Resource,
        namespace: str | None,
        labels: LabelSelector | None,
        fields: FieldSelector | None,
    ) -> None:
        self.namespace = namespace if resource.namespaced else None
        self._labels = labels or None
        self._fields = fields or None
        if fields:
            _check_fields(resource, fields)
            if is_view(resource):
                self._fields = _of_storage(resource, fields)

    @property
    def selective(self) -> bool:
        """Whether labels or fields restrict the selection."""
        return self._labels is not None or self._fields is not None

    def in_namespace(self, stored: Stored) -> bool:
        """Tell whether the object is in the namespace."""
        return self.namespace is None or stored.namespace == self.namespace

    def matches(self, stored: Stored) -> bool:
        """Tell whether labels and fields match; the namespace is not looked at."""
        if self._labels is not None and not self._labels.matches(stored.labels):
            return False
        return self._fields is None or self._fields.matches(stored.fields())


def _of_storage(resource: Resource, fields: FieldSelector) -> FieldSelector:
    """Return a view's selector in the names of what is stored."""
    names = view_of(resource).fields
    return FieldSelector(
        tuple(
            (names.get(path, path), operator, value)
            for path, operator, value in fields.requirements
        )
    )


def _check_fields(resource: Resource, fields: FieldSelector) -> None:
    # kinds with fields of their own know a namespace only where they have one; others always do
    own = bool(resource.field_labels) or resource.custom
    for path, _, _ in fields.requirements:
        placeless = path == "metadata.namespace" and own and not resource.namespaced
        if path in resource.field_labels or (path in _EVERYWHERE and not placeless):
            continue
        if own:
            raise errors.bad_request(f"field label not supported: {path}")
        raise errors.bad_request(
            f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
