"""What Go's JSON decoder says of bytes that are no JSON: clients see these words, so the fake says them.

Only looked at when a faster parser has refused; it reads as encoding/json's scanner does, byte by byte.
"""

from __future__ import annotations

import re
from typing import Final

_ENDED: Final = "unexpected end of JSON input"
_SPACE: Final = b" \t\r\n"
#: nested deeper than Go reads
_DEPTH_LIMIT: Final = 10_000
_LITERALS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_CLOSING: Final = {ord("{"): ord("}"), ord("["): ord("]")}
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_ESCAPES: Final = frozenset(b'bfnrt\\/"')
_DIGITS: Final = frozenset(b"0123456789")
_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
_SHORT: Final = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 39: "'", 92: "\\"}


class _SyntaxError(ValueError):
    """What is wrong."""


def syntax_error(data: bytes) -> str:
    """Return what Go says is wrong with a JSON text; empty where it takes it."""
    try:
        _Scanner(data).scan()
    except _SyntaxError as error:
        return str(error)
    return ""


class _Scanner:
    """Reads one value and looks at nothing but its syntax."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._open: list[int] = []  #: brackets that wait for their end

    def scan(self) -> None:
        """Read the whole text. Raises _SyntaxError."""
        self._value()
        while self._open:
            self._after_value()
        self._skip_space()
        if self._at < len(self._data):
            raise self._unexpected("after top-level value")

    def _value(self) -> None:
        """Read a value; of an object or list only what comes before its first value."""
        while True:
            byte = self._next()
            if byte not in _CLOSING:
                self._scalar(byte)
                return
            self._at += 1
            if len(self._open) >= _DEPTH_LIMIT:
                raise _SyntaxError("exceeded max depth")
            if self._next() == _CLOSING[byte]:
                self._at += 1
                return
            self._open.append(byte)
            if byte == ord("{"):
                self._key()

    def _after_value(self) -> None:
        byte, opened = self._next(), self._open[-1]
        if byte == _CLOSING[opened]:
            self._open.pop()
            self._at += 1
            return
        if byte != ord(","):
            what = "object key:value pair" if opened == ord("{") else "array element"
            raise self._unexpected(f"after {what}")
        self._at += 1
        if opened == ord("{"):
            self._key()
        self._value()

    def _key(self) -> None:
        if self._next() != ord('"'):
            raise self._unexpected("looking for beginning of object key string")
        self._text()
        if self._next() != ord(":"):
            raise self._unexpected("after object key")
        self._at += 1

    def _scalar(self, byte: int) -> None:
        if byte == ord('"'):
            self._text()
        elif byte in _LITERALS:
            self._literal(_LITERALS[byte])
        elif byte == ord("-") or byte in _DIGITS:
            self._number()
        else:
            raise self._unexpected("looking for beginning of value")

    def _text(self) -> None:
        self._at += 1
        while True:
            found = _PLAIN.match(self._data, self._at)
            self._at = found.end() if found else self._at
            byte = self._byte()
            if byte < 0x20:
                raise self._unexpected("in string literal")
            self._at += 1
            if byte == ord('"'):
                return
            self._escape()

    def _escape(self) -> None:
        byte = self._byte()
        if byte not in _ESCAPES and byte != ord("u"):
            raise self._unexpected("in string escape code")
        self._at += 1
        if byte != ord("u"):
            return
        for _ in range(4):
            if self._byte() not in _HEX:
                raise self._unexpected("in \\u hexadecimal character escape")
            self._at += 1

    def _literal(self, word: bytes) -> None:
        for expected in word:
            if self._byte() != expected:
                raise self._unexpected(
                    f"in literal {word.decode()} (expecting {_quoted(expected)})"
                )
            self._at += 1

    def _number(self) -> None:
        if self._byte() == ord("-"):
            self._at += 1
            if self._byte() not in _DIGITS:
                raise self._unexpected("in numeric literal")
        if self._byte() == ord("0"):
            self._at += 1
        else:
            self._digits()
        if self._peek() == ord("."):
            self._at += 1
            self._some_digits("after decimal point in numeric literal")
        if self._peek() in b"eE":
            self._at += 1
            if self._peek() in b"+-":
                self._at += 1
            self._some_digits("in exponent of numeric literal")

    def _some_digits(self, context: str) -> None:
        if self._byte() not in _DIGITS:
            raise self._unexpected(context)
        self._digits()

    def _digits(self) -> None:
        while self._peek() in _DIGITS:
            self._at += 1

    def _skip_space(self) -> None:
        while self._peek() in _SPACE:
            self._at += 1

    def _next(self) -> int:
        self._skip_space()
        return self._byte()

    def _peek(self) -> int:
        """Return the byte here; a byte that no grammar knows at the end."""
        return self._data[self._at] if self._at < len(self._data) else 0

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise _SyntaxError(_ENDED)
        return self._data[self._at]

    def _unexpected(self, context: str) -> _SyntaxError:
        return _SyntaxError(f"invalid character {_quoted(self._data[self._at])} {context}")


def _quoted(byte: int) -> str:
    if byte in _SHORT:
        return f"'\\{_SHORT[byte]}'"
    if byte < 0x20 or byte == 0x7F:
        return f"'\\x{byte:02x}'"
    if 0x80 <= byte < 0xA1 or byte == 0xAD:
        return f"'\\u{byte:04x}'"
    return f"'{chr(byte)}'"
