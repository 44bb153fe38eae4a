"""A release: the files that clusterctl looks for, with nothing left to fill in that nobody gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import release

COMPONENTS = "image: localhost/capim-manager:dev\nargs: ['${A:=:8443}']\n"
VARIABLE = re.compile(r"\$\{(\w+)(?::=)?([^}]*)\}")


def made(components: str = COMPONENTS, version: str = "v0.1.7") -> dict[str, str]:
    return release.files(version, "example.org/capim:v0.1.7", components)


def filled(text: str) -> list[dict[str, Any]]:
    """Read a template with every variable at its default, else 1."""
    return list(yaml.safe_load_all(VARIABLE.sub(lambda match: match[2] or "1", text)))


def cluster_of(text: str) -> dict[str, Any]:
    (found,) = (document["spec"] for document in filled(text) if document["kind"] == "Cluster")
    return dict(found)


def test_the_files_have_the_names_that_clusterctl_asks_for() -> None:
    assert set(made()) == {
        "infrastructure-components.yaml",
        "metadata.yaml",
        "cluster-template.yaml",
        "cluster-template-in-memory.yaml",
        "cluster-template-in-memory-development.yaml",
        "cluster-template-in-memory-many-machine-deployments.yaml",
        "clusterclass-in-memory.yaml",
        "clusterclass-in-memory-quick-start.yaml",
    }


def test_the_components_name_the_releases_image() -> None:
    assert made()["infrastructure-components.yaml"] == COMPONENTS.replace(
        "localhost/capim-manager:dev", "example.org/capim:v0.1.7"
    )


def test_every_class_that_a_template_names_is_there() -> None:
    files = made()
    for name, text in files.items():
        if name.startswith("cluster-template-"):
            topology = cluster_of(text)["topology"]
            cluster_class, *_ = yaml.safe_load_all(files[f"clusterclass-{topology['class']}.yaml"])
            assert cluster_class["metadata"]["name"] == topology["class"]
            classes = {md["class"] for md in cluster_class["spec"]["workers"]["machineDeployments"]}
            assert {md["class"] for md in topology["workers"]["machineDeployments"]} <= classes


def test_the_template_without_a_flavor_needs_no_class() -> None:
    text = made()["cluster-template.yaml"]
    names = {(document["kind"], document["metadata"]["name"]) for document in filled(text)}
    spec = cluster_of(text)
    for reference in (spec["controlPlaneRef"], spec["infrastructureRef"]):
        assert (reference["kind"], reference["name"]) in names
    assert {name for name, _ in VARIABLE.findall(text)} >= release.GIVEN


def test_many_machine_deployments_differ_in_name() -> None:
    text = made()["cluster-template-in-memory-many-machine-deployments.yaml"]
    topology = cluster_of(text)["topology"]
    names = [md["name"] for md in topology["workers"]["machineDeployments"]]
    assert names == [f"md-{index}" for index in range(10)]


@pytest.mark.parametrize(
    ("components", "version", "message"),
    [
        pytest.param(COMPONENTS, "0.1.0", "'0.1.0' is no version", id="no-v"),
        pytest.param(COMPONENTS, "v0.1", "'v0.1' is no version", id="no-patch"),
        pytest.param(COMPONENTS, "v9.9.0", "no release series for v9.9.0", id="series"),
        pytest.param("image: other", "v0.1.0", "name no image", id="image"),
        pytest.param(COMPONENTS + "${B}", "v0.1.0", r"\$\{B\} has no default", id="variable"),
        pytest.param(COMPONENTS + "${NAMESPACE}", "v0.1.0", r"\$\{NAMESPACE\}", id="components"),
    ],
)
def test_what_is_no_release_is_refused(components: str, version: str, message: str) -> None:
    with pytest.raises(release.ReleaseError, match=message):
        made(components, version)


def test_without_kubectl_the_message_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(release.ReleaseError, match="kubectl on PATH"):
        release.build(tmp_path)


def test_a_release_takes_the_place_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "build", lambda _: COMPONENTS)
    stale = tmp_path / "infrastructure-in-memory" / "v0.1.0" / "old.yaml"
    stale.parent.mkdir(parents=True)
    stale.touch()
    folder = release.write(tmp_path, "v0.1.0")
    assert folder == stale.parent
    assert {path.name for path in folder.iterdir()} == set(made())
    assert (
        "localhost/capim-manager:v0.1.0" in (folder / "infrastructure-components.yaml").read_text()
    )
