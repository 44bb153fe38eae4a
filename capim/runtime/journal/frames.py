"""Frames of a cluster's journal to bytes and back, and the links between them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import msgpack

from capim.api.meta import JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.runtime.objects import EventType

#: raised with every change of a frame's form; a reader knows the forms before its own
FORM: Final = 1
_EVENTS: Final[tuple[EventType, ...]] = ("ADDED", "MODIFIED", "DELETED")
_LINK_BYTES: Final = 16


class DamageError(ValueError):
    """A frame is not what was written; the message says what is wrong with it."""


class ObjectFrame(NamedTuple):
    """One object as it is stored; where `data` is a key, one the cluster was born with, and which is gone."""

    api_version: str
    kind: str
    data: bytes

    @property
    def lost(self) -> str:
        """The key of an object that is gone, empty for one that is there."""
        return "" if self.data.startswith(b"{") else self.data.decode()


class ChangeFrame(NamedTuple):
    """One change; its version stands in the object."""

    event: EventType
    api_version: str
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """What one commit adds to a cluster's journal."""

    #: of a base: the version of `objects`, which all changes are above; None: the frame is no base
    floor: int | None = None
    objects: list[ObjectFrame] = field(default_factory=list)
    changes: list[ChangeFrame] = field(default_factory=list)
    machines: dict[str, JsonObject | None] = field(default_factory=dict)  #: None: it went
    etcd: JsonObject | None = None  #: None: as before

    def encode(self) -> bytes:
        """Return the frame's bytes."""
        changes = [(_EVENTS.index(change.event), *change[1:]) for change in self.changes]
        parts = (FORM, self.floor, self.objects, changes, self.machines, self.etcd)
        return bytes(msgpack.packb(parts))


def decode(body: bytes) -> Frame:
    """Read a frame. Raises DamageError."""
    try:
        form, floor, objects, changes, machines, etcd = msgpack.unpackb(body)
        if form != FORM:
            raise DamageError(f"a frame of form {form}, this version reads {FORM}")
        return Frame(
            floor,
            [ObjectFrame(*item) for item in objects],
            [ChangeFrame(_EVENTS[event], *rest) for event, *rest in changes],
            machines,
            etcd,
        )
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise DamageError(f"not a frame: {error}") from error


def link(before: bytes, body: bytes) -> bytes:
    """Return the link of a frame that follows the frame with the link `before`."""
    return hashlib.blake2b(body, key=before, digest_size=_LINK_BYTES).digest()


def first_link(uid: str) -> bytes:
    """Return what the base of a cluster's journal is linked to: no other cluster's frame follows it."""
    return hashlib.blake2b(uid.encode(), digest_size=_LINK_BYTES).digest()


class Row(NamedTuple):
    """A frame as it lies in the file."""

    number: int
    link: bytes
    body: bytes


def read(uid: str, rows: Iterable[Row]) -> list[Frame]:
    """Check the chain and return its frames: a base and what follows.

    Raises:
        DamageError: the chain is broken, or does not begin with a base.
    """
    frames: list[Frame] = []
    number, before = None, first_link(uid)
    for row in rows:
        if number is not None and row.number != number + 1:
            raise DamageError(f"frame {number + 1} is missing")
        if row.link != link(before, row.body):
            raise DamageError(f"frame {row.number} is not what was written")
        number, before = row.number, row.link
        frames.append(decode(row.body))
    if not frames or frames[0].floor is None:
        raise DamageError("there is no base")
    return frames
