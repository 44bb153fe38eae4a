"""A real control plane alone: `python -m tests.conformance.real FOLDER`.

etcd, kube-apiserver and kube-controller-manager with all its controllers but the one that judges nodes,
and one hand-made Ready node: what a fake cluster is compared with. Writes `FOLDER/kubeconfig` once it
is ready, and runs until it is interrupted.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.e2e import authority, build, ports
from tests.e2e.kube import Kube, wait_until
from tests.e2e.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE: Final = "real-node-0"
_PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
_TIMEOUT_S: Final = 120


class ControlPlane(Testbed):
    """A testbed without Cluster API, with every controller of Kubernetes."""

    @classmethod
    def begin(cls, folder: Path) -> ControlPlane:
        """Start it, and wait until it is ready."""
        folder.mkdir(parents=True, exist_ok=True)
        programs = build.ensure(_PROGRAMS)
        port = ports.free_ports(1)[0]
        real = cls("1.14", folder, programs, authority.Authority("real"), port, flags=())
        try:
            real._write_files()
            real._start_api_server()
            real.kube = Kube(real._admin_kubeconfig(), contract="v1beta2")
            wait_until(real._api_unready, _TIMEOUT_S, "kube-apiserver ready")
            real._start_controllers()
            real._create_node()
            wait_until(real._no_account, _TIMEOUT_S, "default service account")
        except BaseException:
            real.stop()
            raise
        return real

    def _start_controllers(self) -> None:
        certs = self.folder / "certs"
        command = [
            str(self.bin / "kube-controller-manager"),
            f"--kubeconfig={self.kubeconfig}",
            "--controllers=*,-node-lifecycle-controller",
            "--leader-elect=false",
            f"--secure-port={ports.free_ports(1)[0]}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'controller-manager'}",
            f"--service-account-private-key-file={certs / 'sa.key'}",
            f"--root-ca-file={certs / 'ca.crt'}",
            f"--cluster-signing-cert-file={certs / 'ca.crt'}",
            f"--cluster-signing-key-file={certs / 'ca.key'}",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]
        (certs / "ca.key").write_bytes(self.authority.key_pem)
        self.run("kube-controller-manager", command)

    def _create_node(self) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "",
            **times,
        }
        room: dict[str, str] = {"cpu": "16", "memory": "64Gi", "pods": "110"}
        node: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}},
            "status": {
                "capacity": room,
                "allocatable": room,
                "conditions": [ready],
                "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
            },
        }
        self.kube.create(node)
        # admission taints a new node as not ready; the controller that would untaint it does not run
        path, merge = f"/api/v1/nodes/{NODE}", "application/merge-patch+json"
        self.kube.request("PATCH", path, {"spec": {"taints": None}}, content_type=merge)
        status = {"status": node["status"]}
        self.kube.request("PATCH", f"{path}/status", status, content_type=merge)

    def _no_account(self) -> list[str]:
        self.kube.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
        return []


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ControlPlane]:
    """Run a control plane for the time of a `with` block."""
    real = ControlPlane.begin(folder)
    try:
        yield real
    finally:
        real.stop()


if __name__ == "__main__":
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    with running(Path(sys.argv[1])):
        asked.wait()
