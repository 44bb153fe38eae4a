"""The cases by area: every module here has CASES."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conformance.case import Case


def all_cases(containing: str = "") -> list[Case]:
    """Return the cases whose names contain a text, ordered by area.

    Raises:
        ValueError: two cases have one name.
    """
    found: dict[str, Case] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        cases: list[Case] = importlib.import_module(f"{__name__}.{module}").CASES
        for case in cases:
            if case.name in found:
                raise ValueError(f"two cases are named {case.name!r}")
            found[case.name] = case
    return [case for case in found.values() if containing in case.name]
