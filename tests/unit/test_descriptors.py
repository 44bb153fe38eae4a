"""What fits into the limit of open files."""

from __future__ import annotations

import resource

import pytest

from capim.aio import descriptors
from capim.aio.descriptors import Capacity, raise_limit


@pytest.mark.parametrize(
    ("soft", "hard", "after"),
    [
        pytest.param(1024, 4096, 4096, id="raised"),
        pytest.param(4096, 4096, 4096, id="cannot-be-raised"),
        pytest.param(1024, resource.RLIM_INFINITY, descriptors._WANTED, id="unlimited"),
        pytest.param(1024, 1 << 30, descriptors._WANTED, id="more-than-is-wanted"),
        pytest.param(1 << 20, 1 << 20, 1 << 20, id="never-lowered"),
    ],
)
def test_limit_is_raised_as_far_as_allowed(
    soft: int, hard: int, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: kept[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: kept.append(limits))
    assert raise_limit().descriptors == after
    assert kept[-1] == (after, hard)


def test_capacity_says_what_fits() -> None:
    text = "1024 open files allow 928 connections to a process, enough for about 116 clusters"
    assert str(Capacity(1024)) == text


def test_small_limit_keeps_half_for_connections() -> None:
    assert Capacity(64).connections == 32
