"""The table of Kubernetes lines: known, nearest and unreadable versions."""

from __future__ import annotations

import pytest

from capim.api.kubernetes_versions import DEFAULT_LINE, LINES, lookup


@pytest.mark.parametrize(
    ("version", "normalised", "coredns", "etcd"),
    [
        pytest.param("v1.35.4", "v1.35.4", "v1.13.1", "3.6.6", id="release"),
        pytest.param("1.28.0", "v1.28.0", "v1.10.1", "3.5.15", id="without-v"),
        pytest.param("v1.37.0-beta.0", "v1.37.0-beta.0", "v1.14.6", "3.7.0", id="pre-release"),
        pytest.param("v1.33.1+k3s.1", "v1.33.1+k3s.1", "v1.12.0", "3.5.21", id="build"),
    ],
)
def test_known_line(version: str, normalised: str, coredns: str, etcd: str) -> None:
    found = lookup(version)
    assert (found.version, found.line.coredns, found.line.etcd_version) == (
        normalised,
        coredns,
        etcd,
    )
    assert found.known
    assert not found.warning


@pytest.mark.parametrize(
    ("version", "nearest"), [("v1.20.15", 24), ("v1.99.0", 37), ("v2.0.0", 24)]
)
def test_unknown_line_gets_the_nearest_and_a_warning(version: str, nearest: int) -> None:
    found = lookup(version)
    assert (found.known, found.line.minor) == (False, nearest)
    assert version in found.warning
    assert f"those of v1.{nearest}" in found.warning


@pytest.mark.parametrize("version", ["", "latest", "v1.35", "1.35.x", "v1.35.0 "])
def test_text_that_is_no_version_is_refused_with_an_example(version: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not a Kubernetes version: write for example v1\.35\.4"
    ):
        lookup(version)


def test_kubeadm_writes_v1beta4_from_1_31_on() -> None:
    assert lookup("v1.30.0").line.kubeadm_api_version == "kubeadm.k8s.io/v1beta3"
    assert lookup("v1.31.0").line.kubeadm_api_version == "kubeadm.k8s.io/v1beta4"


def test_lines_follow_each_other_and_never_take_coredns_back() -> None:
    assert [line.minor for line in LINES] == list(range(24, 38))
    tags = [tuple(int(part) for part in line.coredns[1:].split(".")) for line in LINES]
    assert tags == sorted(tags)  # KubeadmControlPlane refuses a CoreDNS downgrade
    assert DEFAULT_LINE.version == "v1.35.4"
