"""The conformance cases' own machinery: references, masks, and that every case can be read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.case import Answer
from tests.conformance.cases import all_cases
from tests.conformance.differences import KNOWN
from tests.conformance.masking import Masking
from tests.conformance.substitution import MissingValueError, Values

UID = "6f1c2f7a-1111-2222-3333-444455556666"


def values(*bodies: Any) -> Values:
    return Values("ns-1", "name-1", [Answer(200, "application/json", body) for body in bodies])


def test_references_in_texts_are_replaced() -> None:
    found = values({"metadata": {"uid": UID}}).text("/{ns}/{name}?uid={0.metadata.uid}&x={2}{y}")
    assert found == f"/ns-1/name-1?uid={UID}&x={{2}}{{y}}"


def test_a_reference_alone_keeps_its_type() -> None:
    body = {"{name}": ["{0.spec.ports.0.port}", "p{0.spec.ports.0.port}"]}
    assert values({"spec": {"ports": [{"port": 80}]}}).tree(body) == {"name-1": [80, "p80"]}


def test_a_key_with_dots_is_reached_by_escaping() -> None:
    answer = Answer(200, "application/json", {"labels": {"example.com/a": "1"}})
    assert answer.at(r"labels.example\.com/a") == "1"
    assert answer.at("labels.example") is None


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(MissingValueError, match=r"no metadata\.uid in the answer of step 0"):
        values({}).text("{0.metadata.uid}")


def test_what_is_learnt_is_masked_everywhere() -> None:
    masking = Masking({"ns-1": "<ns>"})
    masking.learn({"metadata": {"generateName": "a-", "name": "a-x7k2p", "uid": UID}})
    masked = masking.mask({"message": f"a-x7k2p in ns-1 is {UID} since 2026-01-02T03:04:05Z"})
    assert masked == {"message": "a-<suffix> in <ns> is <uid> since <time>"}


def test_what_is_a_clusters_own_leaves_its_kind() -> None:
    body = {
        "metadata": {"resourceVersion": "17", "managedFields": [{"manager": "x"}]},
        "spec": {
            "clusterIP": "10.0.0.7",
            "clusterIPs": ["10.0.0.7"],
            "ports": [{"nodePort": 30001}],
        },
        "headless": {"clusterIP": "None"},
    }
    assert Masking({}).mask(body) == {
        "metadata": {"resourceVersion": "<version>"},
        "spec": {
            "clusterIP": "<ip>",
            "clusterIPs": ["<ip>"],
            "ports": [{"nodePort": "<port>"}],
        },
        "headless": {"clusterIP": "None"},
    }


def test_ages_in_tables_are_masked() -> None:
    table = {
        "kind": "Table",
        "columnDefinitions": [{"name": "Name"}, {"name": "Age"}],
        "rows": [{"cells": ["5s", "5s"]}],
    }
    assert Masking({}).mask(table)["rows"] == [{"cells": ["5s", "<age>"]}]


def test_paths_left_out_may_have_wildcards() -> None:
    body = {"items": [{"a": 1, "b": 2}, {"a": 3}]}
    masked = Masking({}).mask(body, ["items.*.a", "absent.x"])
    assert masked == {"items": [{"a": "<left out>", "b": 2}, {"a": "<left out>"}]}


def test_known_differences_are_of_cases_that_exist() -> None:
    names = {case.name for case in all_cases()}
    assert not set(KNOWN) - names
