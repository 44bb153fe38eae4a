"""Management clusters as clusterctl fills them, and the local repository that it fills them from.

clusterctl creates Deployments, webhooks and requests for certificates; here are neither nodes nor
cert-manager, so `InitializedCluster` does their part: it runs each manager as a local process and points
the webhooks at it. CAPIM gets the rights of the service account that its manifests made, and no others.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from tests.e2e import authority, build, manifests, ports
from tests.e2e.kube import Kube, wait_until
from tests.e2e.provider import CapimProvider
from tests.e2e.testbed import Testbed
from tools import release

if TYPE_CHECKING:
    from tests.e2e.kube import JsonObject

VERSION: Final = "v0.1.0"
_FOREIGN_APIS: Final = ("cert-manager-api.yaml", "prometheus-api.yaml")
_TIMEOUT_S: Final = 120
CAPIM: Final = release.PROVIDER
_ADMISSION: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_PORT_COUNT: Final = 12
_PROVIDER_LABEL: Final = "cluster.x-k8s.io/provider"
#: testbed's name of a manager -> clusterctl's name, type and folder of its provider, and its components
_PROVIDERS: Final = {
    "core": ("cluster-api", "CoreProvider", "cluster-api", "core"),
    "cabpk": ("kubeadm", "BootstrapProvider", "bootstrap-kubeadm", "bootstrap"),
    "kcp": ("kubeadm", "ControlPlaneProvider", "control-plane-kubeadm", "control-plane"),
}
#: who asked for what, once it was answered: shows which rights are used
_AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}


class InitializedCluster(Testbed):
    """etcd and kube-apiserver at first; after `clusterctl init`, `run_pods` makes it work."""

    @classmethod
    def begin(cls, line: str, folder: Path) -> InitializedCluster:
        """Start a cluster with cert-manager's and Prometheus' API alone, and wait until it is ready."""
        folder.mkdir(parents=True)
        policy = folder / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(_AUDIT_POLICY))
        flags = (
            *cls.flags,
            f"--audit-policy-file={policy}",
            f"--audit-log-path={folder / 'audit.log'}",
        )
        programs = build.ensure([*build.needed(line), f"clusterctl-{line}"])
        port = ports.free_ports(1)[0]
        cluster = cls(line, folder, programs, authority.Authority("e2e"), port, flags)
        try:
            cluster._write_files()
            cluster._start_api_server()
            cluster.kube = Kube(cluster._admin_kubeconfig(), contract=cluster.contract)
            wait_until(cluster._api_unready, _TIMEOUT_S, "kube-apiserver ready")
            for name in _FOREIGN_APIS:
                documents = manifests.load(Path(__file__).with_name(name).read_text())
                super().install_definitions(cluster, documents, 0)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def install_definitions(self, documents: list[JsonObject], webhook_port: int) -> None:
        """Point the conversion webhooks at `webhook_port`: clusterctl has created the definitions."""
        del documents
        self._point_webhooks("CustomResourceDefinition", CAPIM, webhook_port)

    def install_webhooks(self, documents: list[JsonObject], webhook_port: int) -> None:
        """Point the admission webhooks at `webhook_port`: clusterctl has created them too."""
        del documents
        for kind in _ADMISSION:
            self._point_webhooks(kind, CAPIM, webhook_port)

    def run_pods(self, port_range: range | None = None) -> CapimProvider:
        """Do what nodes and cert-manager would do for the Deployments, and return CAPIM."""
        # clusterctl's move follows owners: the collector takes off those that are gone
        self._start_controller_manager()
        managers = self._managers()
        for manager in managers:
            for kind in ("CustomResourceDefinition", *_ADMISSION):
                self._point_webhooks(kind, _PROVIDERS[manager.name][2], manager.webhook_port)
        running = [self.run_manager(manager) for manager in managers]
        account = self.account_kubeconfig("capim-system", "capim-manager")
        provider = CapimProvider(
            self, port_count=_PORT_COUNT, kubeconfig=account, port_range=port_range
        )
        for manager, process in zip(managers, running, strict=True):
            self.wait_ready(manager, process)
        return provider

    def account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig file with a token of a service account."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = self.kube.request("POST", path, request)["status"]["token"]
        config = self._admin_kubeconfig()
        config["users"] = [{"name": "admin", "user": {"token": token}}]
        file = self.folder / f"{name}.kubeconfig"
        file.write_text(yaml.safe_dump(config))
        return file

    def used_rights(self, account: str) -> set[tuple[str, str]]:
        """Return what a service account has asked for: pairs of `group/resource` and verb."""
        found = set()
        for line in (self.folder / "audit.log").read_text().splitlines():
            event = json.loads(line)
            target = event.get("objectRef", {})
            if event["user"]["username"] == f"system:serviceaccount:{account}" and target:
                resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
                found.add((f"{target.get('apiGroup', '')}/{resource}", event["verb"]))
        return found

    def _point_webhooks(self, kind: str, provider: str, port: int) -> None:
        select = manifests.definitions if kind == "CustomResourceDefinition" else manifests.webhooks
        present = self.kube.list(kind, labels=f"{_PROVIDER_LABEL}={provider}")
        for item in select(present, port, self.authority.bundle):
            self.kube.request("PUT", self.kube.path(kind, "", item["metadata"]["name"]), item)


@dataclass(frozen=True, slots=True)
class Repository:
    """A local repository with CAPIM as `make release` makes it, and Cluster API's own providers."""

    config: Path  #: of clusterctl
    program: Path  #: clusterctl itself

    @classmethod
    def create(cls, cluster: Testbed, folder: Path) -> Repository:
        """Write the repository and clusterctl's configuration file."""
        made = release.write(folder, VERSION)
        entries = [_entry("in-memory", "InfrastructureProvider", made, "infrastructure")]
        version = f"v{build.CLUSTER_API[cluster.line]}"
        for manager in cluster._managers():
            name, kind, label, component = _PROVIDERS[manager.name]
            target = folder / label / version
            target.mkdir(parents=True)
            components = release.build(manager.config)
            (target / f"{component}-components.yaml").write_text(components)
            metadata = cluster.source() / "metadata.yaml"
            (target / "metadata.yaml").write_bytes(metadata.read_bytes())
            entries.append(_entry(name, kind, target, component))
        config = folder / "clusterctl.yaml"
        config.write_text(yaml.safe_dump({"providers": entries}))
        return cls(config, cluster.bin / f"clusterctl-{cluster.line}")

    def run(self, *arguments: str, kubeconfig: Path | None = None) -> Answer:
        """Run clusterctl and return what it said, whatever its exit code."""
        command = [str(self.program), *arguments, f"--config={self.config}"]
        if kubeconfig:
            command.append(f"--kubeconfig={kubeconfig}")
        environment = {**os.environ, "CLUSTERCTL_DISABLE_VERSIONCHECK": "true"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command said."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[JsonObject]:
        """The YAML documents of the output."""
        return manifests.load(self.out)


def _entry(name: str, kind: str, folder: Path, component: str) -> dict[str, str]:
    return {"name": name, "type": kind, "url": str(folder / f"{component}-components.yaml")}
