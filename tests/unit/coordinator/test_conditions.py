"""Conditions and patches: when a time moves, who speaks in a summary, what a patch leaves out."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from capim.api.meta import format_time
from coordinator.controllers.conditions import Severity, State, apply, summary
from coordinator.controllers.patches import (
    at_version,
    difference,
    with_finalizer,
    without_finalizer,
)
from coordinator.controllers.secrets import replaced_server
from tests.support.clusterapi import condition, infra_machine

BEFORE, NOW = 1_700_000_000.0, 1_700_000_100.0
WAITING = State("Waiting", "for a reason", Severity.INFO)


@pytest.mark.parametrize(
    ("state", "moved"),
    [
        pytest.param(WAITING, False, id="same"),
        pytest.param(State("Other", "for a reason", Severity.INFO), True, id="reason"),
        pytest.param(State("Waiting", "for another", Severity.INFO), True, id="message"),
        pytest.param(State("Waiting", "for a reason", Severity.ERROR), True, id="severity"),
        pytest.param(State("Provisioned"), True, id="status"),
    ],
)
def test_a_time_moves_when_anything_else_does(state: State, moved: bool) -> None:
    held = apply([], "Kind", WAITING, BEFORE)
    (after,) = apply(held, "Kind", state, NOW)
    assert after["lastTransitionTime"] == format_time(NOW if moved else BEFORE)
    assert ("severity" in after) == (after["status"] == "False")


def test_others_stay_and_ready_comes_first() -> None:
    held = [condition("Alien", "True", "Theirs")]
    held = apply(held, "Zebra", WAITING, NOW)
    held = apply(held, "Ready", WAITING, NOW)
    assert [one["type"] for one in held] == ["Ready", "Alien", "Zebra"]


def named(**states: State) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = []
    for kind, state in states.items():
        held = apply(held, kind, state, NOW)
    return held


DONE = State("Provisioned")
ERROR = State("InternalError", "it broke", Severity.ERROR)


@pytest.mark.parametrize(
    ("held", "counted", "expected"),
    [
        pytest.param(named(), False, None, id="none"),
        pytest.param(named(A=DONE, B=DONE), True, State("Ready"), id="all"),
        pytest.param(
            named(A=DONE, B=WAITING),
            True,
            State("Waiting", "1 of 3 completed", Severity.INFO),
            id="counted",
        ),
        pytest.param(
            named(A=WAITING, B=ERROR),
            False,
            State("InternalError", "it broke", Severity.ERROR),
            id="the-gravest-speaks",
        ),
        pytest.param(
            named(B=State("Second", "b", Severity.INFO), A=State("First", "a", Severity.INFO)),
            False,
            State("First", "a", Severity.INFO),
            id="then-the-first",
        ),
        pytest.param(named(Other=ERROR, A=DONE), False, State("Ready"), id="others-do-not"),
    ],
)
def test_summary(held: list[dict[str, Any]], counted: bool, expected: State | None) -> None:
    assert summary(held, ("A", "B", "C"), counted=counted) == expected


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        pytest.param({"a": 1}, {"a": 1}, {}, id="same"),
        pytest.param({"a": 1, "b": 2}, {"a": 3}, {"a": 3}, id="changed-and-nothing-removed"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 1}}, {}, id="nested-same"),
        pytest.param({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"c": 2}}, id="nested-added"),
        pytest.param({}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="whole"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}, id="lists-are-whole"),
    ],
)
def test_difference(before: dict[str, Any], after: dict[str, Any], patch: dict[str, Any]) -> None:
    assert difference(before, after) == patch


def test_a_patch_is_for_one_version_and_keeps_its_metadata() -> None:
    patch = at_version({"metadata": {"finalizers": []}}, infra_machine())
    assert patch == {"metadata": {"finalizers": [], "resourceVersion": "1"}}


def test_finalizers_of_others_stay() -> None:
    obj = infra_machine(metadata={"finalizers": ["theirs", "ours"]})
    assert with_finalizer(obj, "ours") == ["theirs", "ours"]
    assert without_finalizer(obj, "ours") == {"metadata": {"finalizers": ["theirs"]}}
    assert without_finalizer(obj, "absent") == {}


def kubeconfig(text: str) -> dict[str, Any]:
    return {"data": {"value": base64.b64encode(text.encode()).decode()}}


def test_a_kubeconfigs_server_is_replaced_and_nothing_else() -> None:
    config: dict[str, Any] = {
        "clusters": [{"name": "c", "cluster": {"server": "https://old:1", "insecure": True}}],
        "users": [{"name": "u"}],
    }
    patch = replaced_server(kubeconfig(yaml.safe_dump(config)), "https://new:1")
    assert patch is not None
    written = yaml.safe_load(base64.b64decode(patch["data"]["value"]))
    config["clusters"][0]["cluster"] = {"server": "https://new:1", "insecure": True}
    assert written == config


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param({}, id="empty"),
        pytest.param({"data": {"value": "%"}}, id="no-base64"),
        pytest.param(kubeconfig("{"), id="no-yaml"),
        pytest.param(kubeconfig("[]"), id="no-mapping"),
        pytest.param(kubeconfig("clusters: [{cluster: {server: 'https://new:1'}}]"), id="there"),
    ],
)
def test_what_needs_no_new_server_or_cannot_have_one_is_left(secret: dict[str, Any]) -> None:
    assert replaced_server(secret, "https://new:1") is None
