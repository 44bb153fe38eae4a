"""A small Kubernetes client for the tests: JSON in, JSON out, and waiting that explains itself.

The transport is the `kubernetes` package's; kinds are found in a table, so that a workload cluster's
fake API is asked for nothing but what a test is about.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlencode

import kubernetes
import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

JsonObject: TypeAlias = dict[str, Any]

_CAPI: Final = "cluster.x-k8s.io"
_ADMISSION: Final = "admissionregistration.k8s.io"
#: kind -> (group, plural, namespaced); the version of Cluster API's groups is the line's
_KINDS: Final[dict[str, tuple[str, str, bool]]] = {
    "Namespace": ("", "namespaces", False),
    "Node": ("", "nodes", False),
    "Pod": ("", "pods", True),
    "Secret": ("", "secrets", True),
    "ConfigMap": ("", "configmaps", True),
    "Event": ("", "events", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io", "customresourcedefinitions", False),
    "MutatingWebhookConfiguration": (_ADMISSION, "mutatingwebhookconfigurations", False),
    "ValidatingWebhookConfiguration": (_ADMISSION, "validatingwebhookconfigurations", False),
    "Cluster": (_CAPI, "clusters", True),
    "ClusterClass": (_CAPI, "clusterclasses", True),
    "Machine": (_CAPI, "machines", True),
    "MachinePool": (_CAPI, "machinepools", True),
    "MachineSet": (_CAPI, "machinesets", True),
    "MachineDeployment": (_CAPI, "machinedeployments", True),
    "MachineHealthCheck": (_CAPI, "machinehealthchecks", True),
    "KubeadmConfig": (f"bootstrap.{_CAPI}", "kubeadmconfigs", True),
    "KubeadmConfigTemplate": (f"bootstrap.{_CAPI}", "kubeadmconfigtemplates", True),
    "KubeadmControlPlane": (f"controlplane.{_CAPI}", "kubeadmcontrolplanes", True),
    "KubeadmControlPlaneTemplate": (
        f"controlplane.{_CAPI}",
        "kubeadmcontrolplanetemplates",
        True,
    ),
    "InMemoryCluster": (f"infrastructure.{_CAPI}", "inmemoryclusters", True),
    "InMemoryClusterTemplate": (f"infrastructure.{_CAPI}", "inmemoryclustertemplates", True),
    "InMemoryFault": (f"infrastructure.{_CAPI}", "inmemoryfaults", True),
    "InMemoryMachine": (f"infrastructure.{_CAPI}", "inmemorymachines", True),
    "InMemoryMachinePool": (f"infrastructure.{_CAPI}", "inmemorymachinepools", True),
    "InMemoryMachinePoolTemplate": (
        f"infrastructure.{_CAPI}",
        "inmemorymachinepooltemplates",
        True,
    ),
    "InMemoryMachineTemplate": (f"infrastructure.{_CAPI}", "inmemorymachinetemplates", True),
    # the in-memory kinds of today's Go provider, for measurements
    "DevCluster": (f"infrastructure.{_CAPI}", "devclusters", True),
    "DevClusterTemplate": (f"infrastructure.{_CAPI}", "devclustertemplates", True),
    "DevMachine": (f"infrastructure.{_CAPI}", "devmachines", True),
    "DevMachineTemplate": (f"infrastructure.{_CAPI}", "devmachinetemplates", True),
}
#: group -> version, where it is not the line's contract
_VERSIONS: Final = {"": "v1", "apiextensions.k8s.io": "v1", _ADMISSION: "v1"}


class KubeError(RuntimeError):
    """The API server answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Kube:
    """One API server. `contract` is the version in which Cluster API's kinds are read."""

    def __init__(self, kubeconfig: Mapping[str, Any], *, contract: str = "v1beta1") -> None:
        client = kubernetes.config.new_client_from_config_dict(dict(kubeconfig))  # type: ignore[no-untyped-call]
        self._pool = client.rest_client.pool_manager
        self._host = client.configuration.host
        self._contract = contract

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.clear()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        timeout_s: float = 30,
    ) -> JsonObject:
        """Send one request and return the decoded answer.

        Raises:
            KubeError: any status from 400 on.
            urllib3.exceptions.HTTPError: no answer.
        """
        response = self._pool.request(
            method,
            self._host + path,
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type, "Accept": "application/json"},
            timeout=timeout_s,
            retries=False,
        )
        if response.status >= 400:
            raise KubeError(response.status, _reason(response.data))
        decoded: JsonObject = json.loads(response.data)
        return decoded

    def path(self, kind: str, namespace: str = "", name: str = "", *, version: str = "") -> str:
        """Return the URL path of a kind's collection or of one object."""
        group, plural, namespaced = _KINDS[kind]
        ours = "v1alpha1" if kind.startswith("InMemory") else ""
        version = version or ours or _VERSIONS.get(group, self._contract)
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        inside = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{inside}/{plural}" + (f"/{name}" if name else "")

    def get(self, kind: str, namespace: str, name: str) -> JsonObject:
        """Return one object; raises KubeError 404 when it is absent."""
        return self.request("GET", self.path(kind, namespace, name))

    def find(self, kind: str, namespace: str, name: str) -> JsonObject | None:
        """Return one object, None when it is absent."""
        try:
            return self.get(kind, namespace, name)
        except KubeError as error:
            if error.code == 404:
                return None
            raise

    def list(self, kind: str, namespace: str = "", *, labels: str = "") -> list[JsonObject]:
        """Return the objects of a kind; kind and apiVersion are set on each."""
        query = "?" + urlencode({"labelSelector": labels}) if labels else ""
        answer = self.request("GET", self.path(kind, namespace) + query)
        items = answer.get("items") or []
        return [{**item, "kind": kind, "apiVersion": answer["apiVersion"]} for item in items]

    def create(self, document: JsonObject, namespace: str = "") -> JsonObject:
        """Create an object at the version it names."""
        return self.request("POST", self._document_path(document, namespace), document)

    def apply(self, documents: Iterable[JsonObject], namespace: str = "") -> None:
        """Server-side apply documents, in their order, as one field manager that always wins."""
        for document in documents:
            path = self._document_path(document, namespace) + "/" + document["metadata"]["name"]
            self.request(
                "PATCH",
                path + "?fieldManager=e2e&force=true",
                document,
                content_type="application/apply-patch+yaml",
            )

    def patch(self, kind: str, namespace: str, name: str, change: JsonObject) -> JsonObject:
        """Merge-patch one object."""
        return self.request(
            "PATCH",
            self.path(kind, namespace, name),
            change,
            content_type="application/merge-patch+json",
        )

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Ask for an object's deletion; an absent one is as good."""
        try:
            self.request("DELETE", self.path(kind, namespace, name))
        except KubeError as error:
            if error.code != 404:
                raise

    def _document_path(self, document: JsonObject, namespace: str) -> str:
        version = document["apiVersion"].rsplit("/", 1)[-1]
        namespace = document["metadata"].get("namespace") or namespace
        return self.path(document["kind"], namespace, version=version)


def _reason(data: bytes) -> str:
    try:
        status = json.loads(data)
    except ValueError:
        return data.decode(errors="replace")[:500]
    return str(status.get("message", status))[:1000]


def wait_until(missing: Callable[[], list[str]], timeout_s: float, what: str) -> None:
    """Ask `missing` until it returns nothing; it names what is not yet as it should be.

    Raises:
        AssertionError: `timeout_s` is over; the message has `what` and the last answer.
    """
    deadline = time.monotonic() + timeout_s
    while left := _ask(missing):
        if time.monotonic() > deadline:
            lines = "\n  ".join(left[:40])
            message = f"not after {timeout_s:.0f} s: {what}; {len(left)} missing:\n  {lines}"
            raise AssertionError(message)
        time.sleep(0.5)


def _ask(missing: Callable[[], list[str]]) -> list[str]:
    try:
        return missing()
    except (KubeError, urllib3.exceptions.HTTPError) as error:
        return [f"{type(error).__name__}: {error}"]


#: conditions that say what is going on; a quiet object has them False
_NEGATIVE: Final = frozenset(
    {
        "Deleting",
        "Paused",
        "Remediating",
        "RollingOut",
        "ScalingDown",
        "ScalingUp",
        "Updating",
    }
)


def conditions(document: JsonObject) -> dict[str, JsonObject]:
    """Return an object's conditions by type."""
    found = document.get("status", {}).get("conditions") or []
    return {condition["type"]: condition for condition in found}


def unsettled(document: JsonObject, required: Iterable[str]) -> list[str]:
    """Name every condition that is not as a settled object has it, and each of `required` not there."""
    found = conditions(document)
    label = f"{document['kind']}/{document['metadata']['name']}"
    left = [f"{label}: no condition {name}" for name in required if name not in found]
    for name, condition in found.items():
        wanted = "False" if name in _NEGATIVE else "True"
        if condition["status"] != wanted:
            reason = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            left.append(f"{label}: {name} is {condition['status']} ({reason})")
    return left
