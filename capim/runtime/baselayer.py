"""The objects every cluster is born with: one copy a process, under what each cluster has written itself.

A real API server and its controllers make some two hundred objects that are the same in every cluster but
for uid, version, time and a few addresses. Here they are templates. A cluster that has not written one
has nothing of it: a read puts the template together (3 us), a list joins what reads put together, and
the first write of an object makes it the cluster's own. Uids follow from the cluster's and versions are
the first there are, so that a template's object is the same in every read and in every life.

Measured (CPython 3.11): a list of the 68 cluster roles 210 us, a cluster that wrote none of them 0 bytes
for a kind that nobody asked for, else 0.2 KiB and the keys it added to.
"""

from __future__ import annotations

import hashlib
import re
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from capim.runtime.objects import Stored, encode
from capim.runtime.objecttable import ObjectTable

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

#: what the templates leave open -> the cluster's own, as JSON has it
Values: TypeAlias = Mapping[str, bytes]

#: `@name@` within a string, `"@#name@"` in place of a whole value
_OPEN: Final = re.compile(rb'"@#(\w+)@"|@(\w+)@')
#: stands for the version until an object has one; no other number of this length is in a template
_VERSION: Final = 918_273_645_546_372_819
_UID: Final = "uid"
_RESOURCE_VERSION: Final = "version"


class Template(NamedTuple):
    """An object without what is a cluster's own."""

    stored: Stored  #: as encoded, with the names of what is open
    parts: tuple[bytes, ...]  #: the encoding around what is open
    names: tuple[str, ...]  #: what is open: one fewer than the parts
    number: int  #: its part of the uid: 128 bits
    version: int  #: its place among all templates


def template(resource: Resource, body: JsonObject, version: int) -> Template:
    """Make the template of an object; texts like `@time@` in it are what is open."""
    own = {"uid": f"@{_UID}@", "creationTimestamp": "@time@"}
    metadata = body["metadata"] | own | ({"generation": 1} if resource.generation else {})
    stored = encode(resource, body | {"metadata": metadata}, _VERSION)
    data = stored.rest.replace(b"%d" % _VERSION, f"@{_RESOURCE_VERSION}@".encode())
    pieces = _OPEN.split(data)  # text, one of two names, text, ...
    names = [(pieces[at] or pieces[at + 1]).decode() for at in range(1, len(pieces), 3)]
    place = f"{resource.group}/{resource.plural}/{stored.key}"
    number = int.from_bytes(hashlib.sha256(place.encode()).digest()[:16], "big")
    return Template(stored, tuple(pieces[::3]), tuple(names), number, version)


class Layer:
    """Templates by kind: made once a process for each sort of cluster. Immutable."""

    def __init__(self, objects: Iterable[tuple[Resource, JsonObject]]) -> None:
        self._kinds: dict[tuple[str, str], dict[str, Template]] = {}
        count = 0
        for count, (resource, body) in enumerate(objects, 1):
            made = template(resource, body, count)
            kind = self._kinds.setdefault(resource.group_resource, {})
            kind[made.stored.key] = made
        self.count: Final = count
        self._keys = {kind: sorted(found) for kind, found in self._kinds.items()}

    def of_kind(self, kind: tuple[str, str]) -> tuple[Mapping[str, Template], list[str]] | None:
        """Return a kind's templates by key and their keys in order, None where it has none. Read only."""
        found = self._kinds.get(kind)
        return None if found is None else (found, self._keys[kind])


class Base:
    """The layer as one cluster sees it."""

    __slots__ = ("_layer", "_read", "_seed", "_values")

    def __init__(self, layer: Layer, seed: str, values: Callable[[], Values]) -> None:
        """Lay a layer under a cluster.

        Args:
            layer: the templates.
            seed: the cluster's uid.
            values: what the templates leave open; asked for when an object is read first.
        """
        self._layer = layer
        self._seed = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "big")
        self._read = values
        self._values: Values | None = None

    @property
    def last_version(self) -> int:
        """The version of the last object."""
        return self._layer.count

    def forget_values(self) -> None:
        """Ask for what the templates leave open again: it has changed."""
        self._values = None

    def table(self, kind: tuple[str, str]) -> ObjectTable:
        """Return a table of this kind with the layer's objects in it."""
        found = self._layer.of_kind(kind)
        if found is None:
            return ObjectTable()
        templates, keys = found
        if any("@" in key for key in keys):  # named by what is the cluster's own
            templates = {self.stored(it).key: it for it in templates.values()}
            keys = sorted(templates)
        return LayeredTable(self, templates, keys)

    def count(self, kind: tuple[str, str]) -> int:
        """Return how many objects of a kind the layer has."""
        found = self._layer.of_kind(kind)
        return 0 if found is None else len(found[1])

    def stored(self, made: Template) -> Stored:
        """Put an object together."""
        if self._values is None:
            self._values = self._read()
        version = made.version
        digits = f"{made.number ^ self._seed:032x}"
        uid = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
        values = {**self._values, _UID: uid.encode(), _RESOURCE_VERSION: b"%d" % version}
        data = [made.parts[0]]
        for name, part in zip(made.names, made.parts[1:], strict=True):
            data += (values[name], part)
        was = made.stored
        name = was.name
        if name.startswith("@"):
            name = self._values[name.strip("@")].decode()
        return Stored(
            was.resource,
            was.namespace,
            name,
            uid,
            version,
            b"".join(data),
            was.labels,
            (),
            was.finalizers,
            False,
            was.field_values,
        )


class LayeredTable(ObjectTable):
    """The objects of one kind: the cluster's own, and those of the layer that it has not touched."""

    def __init__(self, base: Base, templates: Mapping[str, Template], keys: list[str]) -> None:
        super().__init__()
        self._base = base
        self._templates = templates
        self._keys = keys  # the layer's own list until one is added or goes
        self._shared = True
        self._gone: frozenset[str] = frozenset()  # keys of the layer that the cluster deleted

    def get(self, key: str) -> Stored | None:
        """Return the object at a key, or None."""
        found = self._objects.get(key)
        if found is not None:
            return found
        made = self._templates.get(key)
        return None if made is None or key in self._gone else self._base.stored(made)

    def put(self, stored: Stored) -> None:
        """Store an object in place of the one at its key."""
        key = stored.key
        if key not in self._objects and (key not in self._templates or key in self._gone):
            self._own_keys()
            insort(self._keys, key)
            self._gone -= {key}
        self._objects[key] = stored
        self.edition += 1

    def remove(self, key: str) -> None:
        """Remove the object at a key. Raises KeyError."""
        if self._objects.pop(key, None) is None and (
            key not in self._templates or key in self._gone
        ):
            raise KeyError(key)
        self._own_keys()
        self._keys.remove(key)
        self.edition += 1
        if key in self._templates:
            self._gone |= {key}

    def slice(self, first: int, last: int) -> Iterator[Stored]:
        """Yield the objects at these positions, in order."""
        return map(self._at, self._keys[first:last])

    def lost(self) -> Iterator[Stored]:
        """Yield the layer's objects that the cluster deleted, as they were."""
        return (self._base.stored(self._templates[key]) for key in self._gone)

    def is_born(self, key: str) -> bool:
        """Tell whether the layer has an object at this key."""
        return key in self._templates

    def _at(self, key: str) -> Stored:
        found = self._objects.get(key)
        return self._base.stored(self._templates[key]) if found is None else found

    def validate(self) -> None:
        """Raise AssertionError where an invariant is broken; for tests."""
        assert self._keys == sorted({*self._objects, *self._templates} - self._gone)  # noqa: S101
        assert all(key == stored.key for key, stored in self._objects.items())  # noqa: S101
        assert not self._gone & self._objects.keys()  # noqa: S101

    def _own_keys(self) -> None:
        if self._shared:
            self._keys, self._shared = [*self._keys], False
