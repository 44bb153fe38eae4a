"""Finds out that a message was lost on its way, or came late or twice. Pure.

A connection that breaks takes along what was on its way, and neither side is told. So each side numbers
what it sends, and begins anew with the message that opens a session: a worker with `Register`, a
coordinator with its answer, `Welcome`. A gap costs a whole `Sync`, which makes everything right; what is
late or comes twice is dropped, or a machine that was removed meanwhile would come back. The heartbeats
are numbered too, so that a loss is found within one of their intervals though nothing else is sent.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from capim.messaging.envelope import Command, Register, Welcome

if TYPE_CHECKING:
    from capim.messaging.envelope import Report

_OPENING = (Register, Welcome)


class Place(NamedTuple):
    """Where a message belongs in what its sender says to one peer."""

    session: int  #: counted by the sender, from its start
    number: int  #: in the session


class Verdict(enum.Enum):
    """What a message's place tells."""

    NEXT = enum.auto()
    GAP = enum.auto()  #: something before it is lost or late; it counts itself
    LATE = enum.auto()  #: its turn is over: drop it


class Outgoing:
    """Numbers what is sent to one peer."""

    def __init__(self) -> None:
        self._next = Place(0, 0)

    def place(self, message: Command | Report) -> Place:
        """Return the place that a message would have."""
        if isinstance(message, _OPENING):
            return Place(self._next.session + 1, 0)
        return self._next

    def sent(self, place: Place) -> None:
        """Note that the message of this place was handed over."""
        self._next = Place(place.session, place.number + 1)


class Incoming:
    """Judges what one peer says."""

    def __init__(self) -> None:
        self._sender: str | int | None = None  #: the peer's life or epoch; None: nobody spoke yet
        self._expected = Place(0, 0)

    def take(self, message: Command | Report, place: Place) -> Verdict:
        """Note a message and say whether it comes in its turn."""
        sender = _sender(message)
        if self._sender is None or isinstance(message, _OPENING):
            return self._open(sender, place)
        if sender != self._sender or place.session != self._expected.session:
            return Verdict.LATE
        return self._compare(place)

    def _open(self, sender: str | int, place: Place) -> Verdict:
        if sender == self._sender and place.session <= self._expected.session:
            return Verdict.LATE
        self._sender = sender
        self._expected = Place(place.session, 0)
        return self._compare(place)

    def _compare(self, place: Place) -> Verdict:
        expected = self._expected.number
        if place.number < expected:
            return Verdict.LATE
        self._expected = Place(place.session, place.number + 1)
        return Verdict.NEXT if place.number == expected else Verdict.GAP


def _sender(message: Command | Report) -> str | int:
    """Return what tells one life of the peer from the next."""
    return message.epoch if isinstance(message, Command) else message.life
