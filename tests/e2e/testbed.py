"""A management cluster on loopback: etcd, kube-apiserver, the Cluster API managers.

Every port is free when it is taken, so two testbeds can run side by side. The garbage collector and
the namespace controller are the only controllers of kube-controller-manager that run: nothing here
has pods. Each process writes a log into the testbed's folder.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import urllib3
import yaml

from tests.e2e import authority, build, manifests, ports
from tests.e2e.kube import Kube, KubeError, wait_until
from tests.e2e.processes import Process, stop_all

if TYPE_CHECKING:
    from tests.e2e.kube import JsonObject

_CAPI: Final = "sigs.k8s.io/cluster-api"
_START_TIMEOUT_S: Final = 120
_NAMESPACES: Final = (
    "capi-system",
    "capi-kubeadm-bootstrap-system",
    "capi-kubeadm-control-plane-system",
    "capim-system",
    "capd-system",
)
_GATES: Final = {
    "core": "ClusterTopology=true,MachinePool=true",
    "cabpk": "MachinePool=true",
    "kcp": "ClusterTopology=true",
    "infra": "ClusterTopology=true",
}


@dataclass(frozen=True, slots=True)
class Manager:
    """A Cluster API manager as a local process: where its manifests are and where it listens."""

    name: str
    config: Path  #: kustomization with its CRDs and webhooks
    webhook_port: int
    health_port: int
    diagnostics_port: int

    @classmethod
    def on_free_ports(cls, name: str, config: Path) -> Manager:
        """Return a manager with three ports nobody listens on."""
        return cls(name, config, *ports.free_ports(3))

    def arguments(self, webhook_certs: Path) -> list[str]:
        """Return the flags that every Cluster API manager takes."""
        return [
            f"--webhook-port={self.webhook_port}",
            f"--webhook-cert-dir={webhook_certs}",
            f"--health-addr=127.0.0.1:{self.health_port}",
            f"--diagnostics-address=127.0.0.1:{self.diagnostics_port}",
            "--insecure-diagnostics=true",
            "--leader-elect=false",
        ]

    def unready(self) -> list[str]:
        """Say why the manager is not ready; nothing when it is."""
        url = f"http://127.0.0.1:{self.health_port}/readyz"
        try:
            answer = urllib3.request("GET", url, timeout=2, retries=False)
        except urllib3.exceptions.HTTPError as error:
            return [f"{self.name}: {error}"]
        return [] if answer.status == 200 else [f"{self.name}: readyz says {answer.status}"]


@dataclass
class Testbed:
    """A running management cluster. `start` it, and `stop` it whatever happened."""

    __test__ = False  # pytest: the name begins like a test's

    line: str  #: of Cluster API: 1.7 or 1.14
    folder: Path
    bin: Path
    authority: authority.Authority
    port: int  #: kube-apiserver's
    #: kube-apiserver's, beside what every one here gets; no controller makes the default service
    #: accounts that pods would need
    flags: tuple[str, ...] = ("--disable-admission-plugins=ServiceAccount",)
    kube: Kube = field(init=False)
    processes: list[Process] = field(default_factory=list)

    @classmethod
    def start(cls, line: str, folder: Path, *, baseline: bool = False) -> Testbed:
        """Start everything but an infrastructure provider, and wait until it is ready."""
        folder.mkdir(parents=True)
        programs = build.ensure(build.needed(line, baseline=baseline))
        testbed = cls(line, folder, programs, authority.Authority("e2e"), ports.free_ports(1)[0])
        try:
            testbed._start()
        except BaseException:
            testbed.stop()
            raise
        return testbed

    def stop(self) -> None:
        """Stop every process; the logs stay."""
        stop_all(self.processes)
        self.processes.clear()
        if hasattr(self, "kube"):
            self.kube.close()

    @property
    def contract(self) -> str:
        """The newest version of Cluster API's kinds that the line serves."""
        return "v1beta1" if self.line == "1.7" else "v1beta2"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig file."""
        return self.folder / "kubeconfig"

    @property
    def webhook_certs(self) -> Path:
        """Folder with tls.crt and tls.key for webhook servers on loopback."""
        return self.folder / "webhook-certs"

    def source(self, *, test: bool = False) -> Path:
        """Return the source folder of the line's Cluster API module, or of its test module."""
        path = f"{_CAPI}/test" if test else _CAPI
        return build.module_dir(path, f"v{build.CLUSTER_API[self.line]}")

    def run(self, name: str, command: list[str], **environment: str) -> Process:
        """Start a process that ends with the testbed."""
        process = Process.start(name, command, folder=self.folder, environment=environment)
        self.processes.append(process)
        return process

    def run_manager(self, manager: Manager) -> Process:
        """Start one of the Go managers; `manager.name` chooses the program."""
        command = [
            str(self.bin / f"capi-{self.line}-{manager.name}"),
            *manager.arguments(self.webhook_certs),
            f"--feature-gates={_GATES[manager.name]}",
            "--kube-api-qps=100",
            "--kube-api-burst=200",
            "--v=2",
        ]
        identity = {"POD_NAMESPACE": "capi-system", "POD_NAME": manager.name, "POD_UID": "1"}
        return self.run(
            manager.name,
            command,
            KUBECONFIG=str(self.kubeconfig),
            POD_IP="127.0.0.1",
            **identity,
        )

    def install_definitions(self, documents: list[JsonObject], webhook_port: int) -> None:
        """Create the CRDs among `documents` and wait until they are served."""
        found = manifests.definitions(documents, webhook_port, self.authority.bundle)
        self._create_all(found)
        wait_until(lambda: self._unserved(found), 60, "custom resources served")

    def install_webhooks(self, documents: list[JsonObject], webhook_port: int) -> None:
        """Create the admission webhooks among `documents`; their server should be up."""
        for item in manifests.webhooks(documents, webhook_port, self.authority.bundle):
            path = f"/apis/admissionregistration.k8s.io/v1/{item['kind'].lower()}s"
            self.kube.request("POST", path, item)

    def wait_ready(self, manager: Manager, process: Process) -> None:
        """Wait until a manager says it is ready; its log is in the error when it does not."""

        def missing() -> list[str]:
            process.check_alive()
            return manager.unready()

        wait_until(missing, _START_TIMEOUT_S, f"{manager.name} ready, see {process.log}")

    def _start(self) -> None:
        self._write_files()
        managers = self._managers()
        with ThreadPoolExecutor() as pool:
            rendering = [pool.submit(manifests.kustomize, manager.config) for manager in managers]
            self._start_api_server()
            rendered = [render.result() for render in rendering]
            self.kube = Kube(self._admin_kubeconfig(), contract=self.contract)
            wait_until(self._api_unready, _START_TIMEOUT_S, "kube-apiserver ready")
            for name in _NAMESPACES:
                self.kube.create(
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                )
            installing = [
                pool.submit(self.install_definitions, documents, manager.webhook_port)
                for manager, documents in zip(managers, rendered, strict=True)
            ]
            for install in installing:
                install.result()
        # only now: the garbage collector looks for new kinds every 30 s
        self._start_controller_manager()
        running = [self.run_manager(manager) for manager in managers]
        for manager, process in zip(managers, running, strict=True):
            self.wait_ready(manager, process)
        for manager, documents in zip(managers, rendered, strict=True):
            self.install_webhooks(documents, manager.webhook_port)

    def _managers(self) -> list[Manager]:
        source = self.source()
        core = source / ("config" if self.line == "1.7" else "core/config") / "default"
        configs = {
            "core": core,
            "cabpk": source / "bootstrap/kubeadm/config/default",
            "kcp": source / "controlplane/kubeadm/config/default",
        }
        return [Manager.on_free_ports(name, config) for name, config in configs.items()]

    def _write_files(self) -> None:
        certs = self.folder / "certs"
        certs.mkdir()
        self.webhook_certs.mkdir()
        certificate, key = self.authority.server("127.0.0.1", "localhost")
        for target in (certs, self.webhook_certs):
            (target / "tls.crt").write_bytes(certificate)
            (target / "tls.key").write_bytes(key)
        (certs / "ca.crt").write_bytes(self.authority.certificate_pem)
        authority.write_service_account_key(certs)
        self.kubeconfig.write_text(yaml.safe_dump(self._admin_kubeconfig()))

    def _admin_kubeconfig(self) -> dict[str, Any]:
        certificate, key = self.authority.client("admin", "system:masters")
        user = {
            "client-certificate-data": base64.b64encode(certificate).decode(),
            "client-key-data": base64.b64encode(key).decode(),
        }
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority-data": self.authority.bundle,
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "admin"}}],
            "current-context": "e2e",
        }

    def _start_api_server(self) -> None:
        client, peer = (f"http://127.0.0.1:{port}" for port in ports.free_ports(2))
        etcd = [
            str(self.bin / "etcd"),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # nothing here outlives the run
            "--log-level=warn",
        ]
        self.run("etcd", etcd)
        certs = self.folder / "certs"
        api_server = [
            str(self.bin / "kube-apiserver"),
            f"--etcd-servers={client}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--tls-cert-file={certs / 'tls.crt'}",
            f"--tls-private-key-file={certs / 'tls.key'}",
            f"--client-ca-file={certs / 'ca.crt'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={certs / 'sa.pub'}",
            f"--service-account-signing-key-file={certs / 'sa.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            *self.flags,
            "--enable-priority-and-fairness=false",
            f"--cert-dir={self.folder / 'apiserver'}",
        ]
        self.run("kube-apiserver", api_server)

    def _start_controller_manager(self) -> None:
        command = [
            str(self.bin / "kube-controller-manager"),
            f"--kubeconfig={self.kubeconfig}",
            "--controllers=garbage-collector-controller,namespace-controller",
            "--leader-elect=false",
            f"--secure-port={ports.free_ports(1)[0]}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'controller-manager'}",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]
        self.run("kube-controller-manager", command)

    def _api_unready(self) -> list[str]:
        for process in self.processes:
            process.check_alive()
        self.kube.list("CustomResourceDefinition")
        return []

    def _create_all(self, documents: list[JsonObject]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.kube.create, documents))

    def _unserved(self, found: list[JsonObject]) -> list[str]:
        """Name the definitions whose objects cannot be listed yet; established is not served."""
        left = []
        for spec in (item["spec"] for item in found):
            for version in (item["name"] for item in spec["versions"] if item["served"]):
                try:
                    path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
                    self.kube.request("GET", path + "?limit=1")
                except KubeError as error:
                    left.append(f"{path}: {error}")
        return left
