"""The audit of dependencies: what counts as a finding, and that silence of the index is none."""

from __future__ import annotations

from typing import Any

import pytest

from tools import audit
from tools.audit import Pin

LOCK = """\
# by pip-compile
aiohttp==3.14.5 \\
    --hash=sha256:0133c3
    # via capim
pip==26.0
"""
GOOD: dict[str, Any] = {"info": {"yanked": False}, "vulnerabilities": []}
ADVISORY = {"id": "PYSEC-1", "summary": "it leaks", "fixed_in": ["3.14.6"], "withdrawn": None}
PINS = [Pin("aiohttp", "3.14.5"), Pin("pip", "26.0")]


def known(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def test_every_pin_is_read() -> None:
    assert audit.pins(LOCK) == PINS
    locked = audit.LOCK.read_text(encoding="utf-8")
    assert len(audit.pins(locked)) == locked.count("==")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(GOOD, [], id="nothing"),
        pytest.param(
            known(vulnerabilities=[ADVISORY]),
            ["aiohttp 3.14.5: PYSEC-1, fixed in 3.14.6: it leaks"],
            id="advisory",
        ),
        pytest.param(
            known(vulnerabilities=[{"id": "PYSEC-2", "link": "there"}]),
            ["aiohttp 3.14.5: PYSEC-2, fixed in no release yet: there"],
            id="not-fixed",
        ),
        pytest.param(
            known(vulnerabilities=[{**ADVISORY, "withdrawn": "2026-01-01"}]), [], id="withdrawn"
        ),
        pytest.param(
            known(info={"yanked": True, "yanked_reason": "broken"}),
            ["aiohttp 3.14.5: taken back by its authors: broken"],
            id="yanked",
        ),
    ],
)
def test_what_is_found(answer: dict[str, Any], expected: list[str]) -> None:
    found, unasked = audit.audit(PINS, lambda pin: answer if pin is PINS[0] else GOOD, frozenset())
    assert (found, unasked) == (expected, 0)


def test_what_is_accepted_is_no_finding() -> None:
    answer = known(vulnerabilities=[ADVISORY])
    assert audit.audit(PINS[:1], lambda _: answer, frozenset({"PYSEC-1"})) == ([], 0)


def test_an_index_that_does_not_answer_is_asked_once() -> None:
    asked = list[Pin]()
    assert audit.audit(PINS, asked.append, frozenset()) == ([], 2)
    assert asked == PINS[:1]


def test_a_release_that_the_index_does_not_know_is_counted() -> None:
    assert audit.audit(PINS, lambda pin: GOOD if pin is PINS[0] else None, frozenset()) == ([], 1)
