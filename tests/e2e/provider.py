"""The infrastructure provider under test: CAPIM, or the Go provider it is measured against."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import urllib3

from tests.e2e import build, manifests, ports, processes
from tests.e2e.processes import Process
from tests.e2e.testbed import Manager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.kube import JsonObject
    from tests.e2e.testbed import Testbed

_DEPLOY: Final = build.CHECKOUT / "deploy"
#: little more than the largest flow needs, so that ports must be used again
PORT_COUNT: Final = 12
CLASS: Final = "in-memory-quick-start"


class Provider(Protocol):
    """What the flows need to know of a provider."""

    name: str

    def check_alive(self) -> None:
        """Raise RuntimeError, with the end of its log, if it has ended by itself."""

    def pids(self) -> list[int]:
        """Return the ids of all its processes."""

    def class_documents(self) -> list[JsonObject]:
        """Return its quick-start ClusterClass and the templates that it names."""

    def holds(self, namespace: str, name: str) -> bool:
        """Say whether it still has a workload cluster's contents, as far as it can be asked."""

    def stop(self) -> None:
        """Stop all its processes."""


class GoProvider:
    """The Go provider in memory. It listens on fixed ports: one at a time on a machine."""

    name = "go"

    def __init__(self, testbed: Testbed) -> None:
        inside = "inmemory" if testbed.line == "1.7" else "docker"
        self._folder = testbed.source(test=True) / "infrastructure" / inside
        manager = Manager.on_free_ports("infra", self._folder / "config" / "default")
        documents = manifests.kustomize(manager.config)
        testbed.install_definitions(documents, manager.webhook_port)
        self._process = testbed.run_manager(manager)
        testbed.wait_ready(manager, self._process)
        testbed.install_webhooks(documents, manager.webhook_port)

    def check_alive(self) -> None:
        """Raise RuntimeError, with the end of its log, if it has ended by itself."""
        self._process.check_alive()

    def pids(self) -> list[int]:
        """Return the ids of all its processes."""
        return self._process.family()

    def class_documents(self) -> list[JsonObject]:
        """Return its quick-start ClusterClass and the templates that it names."""
        [template] = (self._folder / "templates").glob("clusterclass-in-memory*.yaml")
        return manifests.load(manifests.substitute(template.read_text()))

    def holds(self, namespace: str, name: str) -> bool:
        """Say no: it tells of listeners alone, and keeps those."""
        del namespace, name
        return False

    def stop(self) -> None:
        """Stop all its processes."""
        self._process.stop()


def capim_command() -> list[str]:
    """Return how CAPIM's command line is called in the running environment."""
    script = Path(sys.executable).with_name("capim")
    return [str(script)] if script.exists() else [sys.executable, "-m", "capim.cli.main"]


class CapimProvider:
    """CAPIM as it runs in one pod: a manager with two workers, everything on loopback."""

    name = "capim"

    def __init__(
        self,
        testbed: Testbed,
        *,
        port_count: int,
        journal: bool = False,
        kubeconfig: Path | None = None,
        port_range: range | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        self._testbed = testbed
        self._former: list[Process] = []  # killed coordinators, whose workers live on
        self.manager = Manager.on_free_ports("capim", _DEPLOY / "default")
        self.ports = port_range or ports.free_range(port_count)
        # not in the testbed's folder: a Unix socket's path has room for a hundred characters
        self.runtime = tempfile.mkdtemp(prefix="capim-e2e-")
        [self.debug_port] = ports.free_ports(1)
        self.journal_flag = f"--state-dir={self.runtime}/state"
        self._flags = [*flags, *([self.journal_flag] if journal else [])]
        self.kubeconfig = kubeconfig or testbed.kubeconfig
        documents = manifests.kustomize(self.manager.config)
        testbed.install_definitions(documents, self.manager.webhook_port)
        self._process = self.start()
        testbed.install_webhooks(documents, self.manager.webhook_port)

    def restart(self, ports: range | None = None, flags: Sequence[str] = ()) -> None:
        """Stop in order and start again, with other ports to give out or more flags."""
        self._process.stop()
        self.start(ports=ports, flags=flags)

    def arguments(self, *, ports: range | None = None) -> list[str]:
        """Return the manager's flags."""
        given = ports or self.ports
        return [
            f"--kubeconfig={self.kubeconfig}",
            *self.manager.arguments(self._testbed.webhook_certs),
            "--advertise-host=127.0.0.1",
            f"--port-range={given[0]}-{given[-1]}",
            "--workers=2",
            f"--runtime-dir={self.runtime}",
            f"--debug-address=127.0.0.1:{self.debug_port}",
            "--kube-api-qps=100",
            "--kube-api-burst=200",
        ]

    def start(self, *, ports: range | None = None, flags: Sequence[str] = ()) -> Process:
        """Start the manager, again after it was killed, and wait until it is ready."""
        command = [*capim_command(), "manager", *self.arguments(ports=ports), *self._flags, *flags]
        self._process = Process.start(
            "capim",
            command,
            folder=self._testbed.folder,
            environment={"POD_IP": "127.0.0.1", "POD_NAMESPACE": "capim-system"},
            # asked to end, it takes its workers along
            death_signal=signal.SIGTERM,
        )
        self._testbed.processes.append(self._process)
        self._testbed.wait_ready(self.manager, self._process)
        return self._process

    @property
    def log(self) -> Path:
        """What it writes to standard error."""
        return self._process.log

    def kill_coordinator(self) -> None:
        """Kill the coordinator as a crash would; its workers live on."""
        self._process.kill()
        self._former.append(self._process)

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        return [pid for pid in self.pids() if "workers" in processes.command_line(pid)]

    def check_alive(self) -> None:
        """Raise RuntimeError, with the end of its log, if it has ended by itself."""
        self._process.check_alive()

    def pids(self) -> list[int]:
        """Return the ids of all its processes."""
        running = (self._process, *self._former)
        return sorted({pid for process in running for pid in process.family()})

    def class_documents(self) -> list[JsonObject]:
        """Return its quick-start ClusterClass and the templates that it names."""
        template = _DEPLOY / "templates" / f"clusterclass-{CLASS}.yaml"
        return manifests.load(manifests.substitute(template.read_text()))

    def holds(self, namespace: str, name: str) -> bool:
        """Say whether a worker still has a workload cluster's resource group or listener."""
        page = f"http://127.0.0.1:{self.debug_port}/clusters/{namespace}/{name}"
        return urllib3.request("GET", page, timeout=10).status != 404

    def stop(self) -> None:
        """Stop all its processes."""
        for process in (self._process, *self._former):
            process.stop()
        shutil.rmtree(self.runtime, ignore_errors=True)


def start(name: str, testbed: Testbed, *, port_count: int = PORT_COUNT) -> Provider:
    """Start the provider of that name on `testbed`; the Go provider's port range is its own."""
    if name == "go":
        return GoProvider(testbed)
    return CapimProvider(testbed, port_count=port_count, journal=name == "journal")
