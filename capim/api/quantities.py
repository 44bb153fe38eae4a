"""Quantities of resources: `500m`, `1Gi`, `1e3`; exact, in whole nanos.

A quantity keeps the family its text was written in (decimal, binary, exponent); an API server stores it
in that family's shortest form. Source: k8s.io/apimachinery `pkg/api/resource`.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import Final, NamedTuple

NANO: Final = 10**9
MALFORMED: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_DECIMAL: Final = {
    name: 10 ** (9 + 3 * power)
    for name, power in zip(
        ("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), range(-3, 7), strict=True
    )
}
_BINARY: Final = {
    name: NANO << (10 * power)
    for name, power in zip(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), range(1, 7), strict=True)
}
_TEXT: Final = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<power>[+-]?\d+))?"
)
#: what is in its shortest form already: most of what clients send
_SHORTEST: Final = re.compile(r"0|[1-9]\d{0,2}(?:[mkMGT]|[KMGT]i)?")
_LARGEST: Final = (1 << 63) - 1
_LONGEST: Final = 1000  #: characters; Python reads no number of many more
_LARGEST_POWER: Final = 30  #: beyond it, and below its negative, one digit is out of range


class Quantity(NamedTuple):
    """An amount in nanos, and the family its text was of: `decimal`, `binary` or `exponent`."""

    nanos: int
    family: str = "decimal"

    def __str__(self) -> str:
        """Write the shortest form."""
        if self.family == "binary" and abs(self.nanos) >= 1024 * NANO and self.nanos % NANO == 0:
            return _shortest(self.nanos, _BINARY)
        text = _shortest(self.nanos, _DECIMAL)
        if self.family != "exponent":
            return text
        number, suffix = re.fullmatch(r"(-?\d+)(\D*)", text).groups()  # type: ignore[union-attr]
        power = round(len(str(_DECIMAL[suffix])) - 10)
        return f"{number}e{power}" if power else number


@functools.lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Quantity:
    """Read a quantity; finer than a nano is rounded up. Raises ValueError with an API server's words."""
    found = _TEXT.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        raise ValueError(MALFORMED)
    suffix, power = found["suffix"] or "", found["power"]
    if power is not None:
        unit, family = Fraction(10) ** _bounded(int(power), len(text)) * NANO, "exponent"
    elif suffix in _BINARY:
        unit, family = Fraction(_BINARY[suffix]), "binary"
    else:
        unit, family = Fraction(_DECIMAL[suffix]), "decimal"
    exact = Fraction(found["number"].rstrip(".")) * unit
    nanos = -(-exact.numerator // exact.denominator) if exact > 0 else exact.__floor__()
    return Quantity(max(-_LARGEST * NANO, min(nanos, _LARGEST * NANO)), family)


@functools.lru_cache(maxsize=4096)
def canonical_quantity(text: str) -> str:
    """Return the text an API server stores. Raises ValueError as `parse_quantity`."""
    return text if _SHORTEST.fullmatch(text) else str(parse_quantity(text.strip()))


def _bounded(power: int, length: int) -> int:
    """Return an exponent that a number of so many digits is too large or too small with as well."""
    most = _LARGEST_POWER + length
    return max(-most, min(power, most))


def _shortest(nanos: int, units: dict[str, int]) -> str:
    if nanos == 0:
        return "0"
    for suffix, unit in reversed(units.items()):
        if nanos % unit == 0:
            return f"{nanos // unit}{suffix}"
    raise AssertionError(nanos)  # every family's smallest unit divides what gets here
