"""Objects that are refused: every mistake of an object is told, in a real server's words and order.

The objects are in `kinds_invalid.yaml`, a line each.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import yaml

from tests.conformance.case import Case, post
from tests.conformance.smallest import KINDS

_ROWS: Final = Path(__file__).with_suffix(".yaml")


def _cases() -> list[Case]:
    rows: list[tuple[str, dict[str, Any]]] = yaml.safe_load(_ROWS.read_text("ascii"))
    numbers: Counter[str] = Counter()
    made = []
    for kind_name, fields in rows:
        numbers[kind_name] += 1
        kind = KINDS[kind_name]
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        body = {**head, "metadata": {"name": kind.name}, **fields}
        step = post(f"{kind.path}?dryRun=All", body, until=_account_is_there)
        made.append(Case(f"kinds: refused {kind_name} {numbers[kind_name]}", [step]))
    return made


def _account_is_there(answer: Any) -> bool:
    """A namespace's default account comes a little after it."""
    return 'serviceaccount "default" not found' not in str(answer.body)


CASES: Final[list[Case]] = _cases()
