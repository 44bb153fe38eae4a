"""What a connection sends waits for what it may tell of to be written down, and nothing else waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from capim.server.outlet import HELD_BYTES, outlet

if TYPE_CHECKING:
    from collections.abc import Callable


class Wire(asyncio.Transport):
    """A transport that remembers what was done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.done.append(bytes(data).decode())

    def writelines(self, list_of_data: object) -> None:
        self.done.append(f"lines {list_of_data!r}")

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 100


class Wall:
    """A barrier that a test moves."""

    def __init__(self) -> None:
        self.position = 0
        self.saved = 0
        self.broken = ""
        self.waiting: list[tuple[int, Callable[[], None]]] = []

    def when_saved(self, position: int, callback: Callable[[], None]) -> None:
        self.waiting.append((position, callback))

    def save(self, position: int) -> None:
        """Write down what there is up to a frame."""
        self.saved = position
        ready = [entry for entry in self.waiting if entry[0] <= position]
        self.waiting = [entry for entry in self.waiting if entry[0] > position]
        for _, callback in ready:
            callback()


def test_what_tells_of_nothing_new_goes_at_once() -> None:
    wire, wall = Wire(), Wall()
    gate = outlet(wire, wall)
    gate.write(b"a")
    gate.writelines([b"b", b"c"])
    gate.close()
    assert wire.done == ["a", "lines [b'b', b'c']", "close"]
    assert outlet(wire, None) is wire


class Owner(asyncio.Protocol):
    """Remembers when it is to wait."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


def test_owner_waits_while_too_much_is_held_back() -> None:
    owner, wall = Owner(), Wall()
    gate = outlet(Wire(), wall, owner)
    for position in range(1, 5):
        wall.position = position
        gate.write(bytes(HELD_BYTES // 2))
    assert owner.told == ["pause"]
    wall.save(2)
    assert owner.told == ["pause"]
    wall.save(4)
    assert owner.told == ["pause", "resume"]
    gate.write(b"more")
    assert owner.told == ["pause", "resume"]


def test_what_may_tell_of_it_waits_in_order() -> None:
    wire, wall = Wire(), Wall()
    gate = outlet(wire, wall)
    wall.position = 1
    gate.write(b"first")
    gate.write(b"again")
    wall.position = 2
    gate.writelines([b"sec", b"ond"])
    assert (wire.done, len(wall.waiting)) == ([], 2)
    assert gate.get_write_buffer_size() == 100 + len("firstagainsecond")
    wall.save(1)
    assert wire.done == ["first", "again"]
    gate.close()
    assert gate.is_closing()
    assert not wire.is_closing()
    wall.save(2)
    assert wire.done == ["first", "again", "second", "close"]
    assert gate.get_write_buffer_size() == 100


def test_nothing_overtakes_what_waits() -> None:
    wire, wall = Wire(), Wall()
    gate = outlet(wire, wall)
    wall.position = 1
    gate.write(b"first")
    wall.saved = 1  # written down, and the callback is yet to come
    gate.write(b"second")
    assert wire.done == []
    wall.save(1)
    assert wire.done == ["first", "second"]


def test_a_client_whose_answer_cannot_be_vouched_for_is_cut_off() -> None:
    wire, wall = Wire(), Wall()
    gate = outlet(wire, wall)
    wall.position = 1
    gate.write(b"made")
    wall.broken = "disk full"
    for _, callback in wall.waiting:
        callback()
    assert wire.done == ["abort"]
    reader = Wire()
    outlet(reader, wall).write(b"read")
    assert reader.done == ["read"], "reads go on"
