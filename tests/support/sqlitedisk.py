"""What SQLite asks of the disk, recorded, and what a loss of power can leave of it.

The recorder is a VFS of SQLite's, put before the platform's own through ctypes: writes, truncations, syncs
and deletions are noted and passed on. Where Python has SQLite built in there is nothing to put it before.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator, Sequence

_P, _I, _I64 = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_Open = ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _P, _I, _P)
_Delete = ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _I)
_Write = ctypes.CFUNCTYPE(_I, _P, _P, _I, _I64)
_Truncate = ctypes.CFUNCTYPE(_I, _P, _I64)
_Sync = ctypes.CFUNCTYPE(_I, _P, _I)
_SECTOR: Final = 512
#: a file of these kinds that is made brings a sync of its folder along with the first of its own
_WITH_FOLDER: Final = 0x0800 | 0x80000
#: in place of a file's name: what the folder says of its files
FOLDER: Final = ""


class _Vfs(ctypes.Structure):
    _fields_ = [
        *(("version", _I), ("file_size", _I), ("path_size", _I)),
        *(("next", _P), ("name", ctypes.c_char_p), ("data", _P)),
        *(("open", _P), ("delete", _P)),
        ("rest", _P * 14),
    ]


class _Methods(ctypes.Structure):
    _fields_ = [
        *(("version", _I), ("close", _P), ("read", _P)),
        *(("write", _P), ("truncate", _P), ("sync", _P)),
        ("rest", _P * 13),
    ]


class Step(NamedTuple):
    """One thing that SQLite asked for."""

    kind: str  #: `write`, `truncate`, `sync`, `delete`
    file: str  #: its name, without the folder
    offset: int = 0  #: of a truncation: the size
    data: bytes = b""


def library() -> ctypes.CDLL | None:
    """Return the SQLite that Python uses, if it is a library of its own."""
    name = ctypes.util.find_library("sqlite3")
    if name is None:
        return None
    found = ctypes.CDLL(name)
    found.sqlite3_libversion.restype = ctypes.c_char_p
    found.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    found.sqlite3_vfs_register.argtypes = [ctypes.POINTER(_Vfs), _I]
    found.sqlite3_vfs_unregister.argtypes = [ctypes.POINTER(_Vfs)]
    return found if found.sqlite3_libversion().decode() == sqlite3.sqlite_version else None


class _Recorder:
    """A VFS that passes all on to the one before it. One thread."""

    def __init__(self, below: Any) -> None:
        self.steps: list[Step] = []
        self._below = below
        self._names: dict[int, str] = {}  #: of open files, by address
        self._made: set[int] = set()
        self._tables: dict[int, _Methods] = {}
        self._kept: list[Any] = [_Open(self._open), _Delete(self._delete)]
        self._real_open = _Open(below.open)
        self._real_delete = _Delete(below.delete)
        self.vfs = _Vfs()
        ctypes.pointer(self.vfs)[0] = below
        self.vfs.name = b"recorder"
        self.vfs.open, self.vfs.delete = (ctypes.cast(one, _P).value for one in self._kept)

    def _open(self, vfs: int, name: bytes, file: int, flags: int, out: int) -> int:
        code = self._real_open(vfs, name, file, flags, out)
        methods = _P.from_address(file)
        if code == 0 and methods.value:
            self._names[file] = Path((name or b"temporary").decode()).name
            if flags & _WITH_FOLDER:
                self._made.add(file)
            if methods.value not in self._tables:
                self._tables[methods.value] = self._recording(_Methods.from_address(methods.value))
            methods.value = ctypes.addressof(self._tables[methods.value])
        return int(code)

    def _delete(self, vfs: int, name: bytes, sync: int) -> int:
        self.steps.append(Step("delete", Path(name.decode()).name))
        if sync:
            self.steps.append(Step("sync", FOLDER))
        return int(self._real_delete(vfs, name, sync))

    def _recording(self, real: _Methods) -> _Methods:
        """Return a table of methods that notes what changes a file."""
        below = _Write(real.write), _Truncate(real.truncate), _Sync(real.sync)

        def write(file: int, data: int, size: int, offset: int) -> int:
            self._note(file, "write", offset, ctypes.string_at(data, size))
            return int(below[0](file, data, size, offset))

        def truncate(file: int, size: int) -> int:
            self._note(file, "truncate", size)
            return int(below[1](file, size))

        def sync(file: int, flags: int) -> int:
            self._note(file, "sync")
            if file in self._made:
                self._made.remove(file)
                self.steps.append(Step("sync", FOLDER))
            return int(below[2](file, flags))

        table = _Methods()
        ctypes.pointer(table)[0] = real
        hooks = _Write(write), _Truncate(truncate), _Sync(sync)
        self._kept += hooks
        table.write, table.truncate, table.sync = (ctypes.cast(one, _P).value for one in hooks)
        return table

    def _note(self, file: int, kind: str, offset: int = 0, data: bytes = b"") -> None:
        self.steps.append(Step(kind, self._names[file], offset, data))


@contextlib.contextmanager
def recorded(sqlite: ctypes.CDLL) -> Iterator[list[Step]]:
    """Record all that SQLite does in this block; its databases must be closed when it ends."""
    below = sqlite.sqlite3_vfs_find(None)
    recorder = _Recorder(below.contents)
    sqlite.sqlite3_vfs_register(recorder.vfs, 1)
    try:
        yield recorder.steps
    finally:
        sqlite.sqlite3_vfs_unregister(recorder.vfs)
        sqlite.sqlite3_vfs_register(below, 1)


def after_power_loss(steps: Sequence[Step], rng: random.Random) -> dict[str, bytes]:
    """Return the files that can be on the disk when power goes after these steps.

    What was synced is there. Of what came after, any part may be: each write whole, not, or torn between
    sectors, in any order.
    """
    files: dict[str, bytearray] = {}
    pending: dict[str, list[Step]] = {}
    for step in steps:
        if step.kind == "sync":
            for kept in pending.pop(step.file, []):
                _apply(files, kept)
        else:
            place = FOLDER if step.kind == "delete" else step.file
            pending.setdefault(place, []).append(step)
    chance = rng.choice([0.0, 0.5, 1.0])
    for waiting in pending.values():
        for step in waiting:
            if rng.random() < chance:
                _apply(files, _torn(step, rng) if chance < 1 else step)
    return {name: bytes(data) for name, data in files.items()}


def after_process_death(steps: Iterable[Step]) -> dict[str, bytes]:
    """Return the files that are there when a process ends after these steps."""
    files: dict[str, bytearray] = {}
    for step in steps:
        if step.kind != "sync":
            _apply(files, step)
    return {name: bytes(data) for name, data in files.items()}


def _torn(step: Step, rng: random.Random) -> Step:
    sectors = len(step.data) // _SECTOR
    if sectors < 2 or rng.random() < 0.5:
        return step
    return step._replace(data=step.data[: rng.randrange(1, sectors) * _SECTOR])


def _apply(files: dict[str, bytearray], step: Step) -> None:
    if step.kind == "delete":
        files.pop(step.file, None)
        return
    data = files.setdefault(step.file, bytearray())
    if step.kind == "truncate":
        del data[step.offset :]
    else:
        data.extend(bytes(max(step.offset - len(data), 0)))
        data[step.offset : step.offset + len(step.data)] = step.data
