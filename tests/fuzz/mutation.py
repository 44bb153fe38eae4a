"""Inputs made of other inputs: bits turned, pieces cut, doubled, exchanged, words of the format put in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

#: longer inputs find nothing that shorter ones do not, and cost time
LIMIT_BYTES: Final = 1 << 14
_EDGES: Final = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
_NUMBERS: Final = (b"0", b"-1", b"1e999", b"9223372036854775808", b"0.1", b"4294967296", b"1e-400")


class Mutator:
    """Makes inputs out of a pool; a seed and a pool decide which."""

    def __init__(self, rng: random.Random, pool: Sequence[bytes], words: Sequence[bytes]) -> None:
        self._rng = rng
        self._pool = pool  #: may grow while it is used
        self._words = (*words, *_NUMBERS)
        self._steps: tuple[Callable[[bytes], bytes], ...] = (
            self._flip,
            self._edge,
            self._cut,
            self._double,
            self._insert,
            self._insert,
            self._splice,
            self._truncate,
            self._wrap,
        )

    def next(self) -> bytes:
        """Return the next input."""
        data = self._rng.choice(self._pool)
        for _ in range(self._rng.choice((1, 1, 2, 3, 6))):
            data = self._rng.choice(self._steps)(data)
        return data[:LIMIT_BYTES]

    def _at(self, data: bytes) -> int:
        return self._rng.randrange(len(data) + 1)

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._at(data)
        return start, min(len(data), start + self._rng.choice((1, 2, 4, 16, 64)))

    def _set(self, data: bytes, value: Callable[[int], int]) -> bytes:
        if not data:
            return data
        at = self._rng.randrange(len(data))
        return data[:at] + bytes([value(data[at])]) + data[at + 1 :]

    def _flip(self, data: bytes) -> bytes:
        return self._set(data, lambda byte: byte ^ 1 << self._rng.randrange(8))

    def _edge(self, data: bytes) -> bytes:
        return self._set(data, lambda _: self._rng.choice(_EDGES))

    def _cut(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:start] + data[end:]

    def _double(self, data: bytes) -> bytes:
        start, end = self._span(data)
        return data[:end] + data[start:end] * self._rng.choice((1, 1, 2, 40)) + data[end:]

    def _insert(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._rng.choice(self._words) + data[at:]

    def _splice(self, data: bytes) -> bytes:
        other = self._rng.choice(self._pool)
        return data[: self._at(data)] + other[self._at(other) :]

    def _truncate(self, data: bytes) -> bytes:
        return data[: self._at(data)]

    def _wrap(self, data: bytes) -> bytes:
        """Put a piece into brackets of its own, seldom into very many."""
        start, end = self._span(data)
        left, right = self._rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")")))
        times = self._rng.choice((1, 1, 1, 2, 500))
        return data[:start] + left * times + data[start:end] + right * times + data[end:]
