"""Manifests for processes outside the cluster: rendered, and their webhooks pointed at loopback."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.kube import JsonObject

_VARIABLE: Final = re.compile(r"\$\{([A-Z_]+)(?::=([^}]*))?\}")


def substitute(text: str, **values: str) -> str:
    """Replace `${NAME}` and `${NAME:=default}` as clusterctl does; a value given wins.

    Raises:
        KeyError: a variable has neither value nor default.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        return values[name] if default is None or name in values else default

    return _VARIABLE.sub(value, text)


def load(text: str) -> list[JsonObject]:
    """Read YAML documents; empty ones are left out."""
    return [document for document in yaml.safe_load_all(text) if document]


def kustomize(folder: Path) -> list[JsonObject]:
    """Render a kustomization with kubectl, its variables at their defaults."""
    if shutil.which("kubectl") is None:
        message = "these tests need kubectl on PATH: https://kubernetes.io/docs/tasks/tools"
        raise RuntimeError(message)
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder), "--load-restrictor=LoadRestrictionsNone"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        message = f"kubectl kustomize {folder}: {done.stderr[-2000:]}"
        raise RuntimeError(message)
    return load(substitute(done.stdout))


def definitions(documents: list[JsonObject], port: int, bundle: str) -> list[JsonObject]:
    """Return the CRDs, their conversion webhooks at `https://127.0.0.1:port`."""
    found = [item for item in documents if item["kind"] == "CustomResourceDefinition"]
    for item in found:
        # asks cert-manager to fill in what we fill in here
        item["metadata"].pop("annotations", None)
        webhook = item["spec"].get("conversion", {}).get("webhook")
        if webhook:
            _point_at(webhook["clientConfig"], port, bundle)
    return found


def webhooks(documents: list[JsonObject], port: int, bundle: str) -> list[JsonObject]:
    """Return the admission webhook configurations, pointed at `https://127.0.0.1:port`."""
    found = [item for item in documents if item["kind"].endswith("WebhookConfiguration")]
    for item in found:
        item["metadata"].pop("annotations", None)
        for webhook in item["webhooks"]:
            _point_at(webhook["clientConfig"], port, bundle)
    return found


def _point_at(client_config: JsonObject, port: int, bundle: str) -> None:
    service = client_config.pop("service", None)
    if service is not None:
        client_config["url"] = f"https://127.0.0.1:{port}{service.get('path', '/')}"
        client_config["caBundle"] = bundle


def without_delays(documents: list[JsonObject]) -> list[JsonObject]:
    """Set every start-up duration and jitter in machine templates to zero, in place."""
    return with_delays(documents, vm="0s", others="0s", jitter="0")


def with_delays(
    documents: list[JsonObject], *, vm: str, others: str, jitter: str
) -> list[JsonObject]:
    """Set the start-up durations in machine templates, of the VM and of what comes after, in place."""
    for document in documents:
        for phase, provisioning in _provisionings(document, ""):
            duration = vm if phase == "vm" else others
            provisioning.update(startupDuration=duration, startupJitter=jitter)
    return documents


def _provisionings(node: object, phase: str) -> Iterator[tuple[str, JsonObject]]:
    if isinstance(node, list):
        for item in node:
            yield from _provisionings(item, phase)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "provisioning":
                yield phase, value
            else:
                yield from _provisionings(value, key)
