"""The infrastructure provider under test: CAPIM, or the Go provider it is measured against."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tests.e2e import build, manifests, ports, processes
from tests.e2e.processes import Process
from tests.e2e.testbed import Manager

if TYPE_CHECKING:
    from tests.e2e.kube import JsonObject
    from tests.e2e.testbed import Testbed

_DEPLOY: Final = build.CHECKOUT / "deploy"
#: little more than the largest flow needs, so that ports must be used again
PORT_COUNT: Final = 12
CLASS: Final = "in-memory-quick-start"


class Provider(Protocol):
    """What the flows need to know of a provider."""

    name: str

    def pids(self) -> list[int]:
        """Return the ids of all its processes."""

    def class_documents(self) -> list[JsonObject]:
        """Return its quick-start ClusterClass and the templates that it names."""

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

    def pids(self) -> list[int]:
        """Return the ids of all its processes."""
        return self._process.family()

    def class_documents(self) -> list[JsonObject]:
        """Return its quick-start ClusterClass and the templates that it names."""
        [template] = (self._folder / "templates").glob("clusterclass-in-memory*.yaml")
        return manifests.load(manifests.substitute(template.read_text()))

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

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self.manager = Manager.on_free_ports("capim", _DEPLOY / "default")
        self.ports = ports.free_range(PORT_COUNT)
        self.runtime = testbed.folder / "capim"
        documents = manifests.kustomize(self.manager.config)
        testbed.install_definitions(documents, self.manager.webhook_port)
        self._process = self.start()
        testbed.install_webhooks(documents, self.manager.webhook_port)

    def arguments(self) -> list[str]:
        """Return the manager's flags."""
        return [
            f"--kubeconfig={self._testbed.kubeconfig}",
            *self.manager.arguments(self._testbed.webhook_certs),
            "--advertise-host=127.0.0.1",
            f"--port-range={self.ports[0]}-{self.ports[-1]}",
            "--workers=2",
            f"--runtime-dir={self.runtime}",
        ]

    def start(self) -> Process:
        """Start the manager, again after it was killed, and wait until it is ready."""
        command = [*capim_command(), "manager", *self.arguments()]
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

    def kill_coordinator(self) -> None:
        """Kill the coordinator as a crash would; its workers live on."""
        self._process.kill()

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        family = (pid for pid in self._process.family() if pid != self._process.pid)
        return [pid for pid in family if "worker" in " ".join(processes.command_line(pid))]

    def pids(self) -> list[int]:
        """Return the ids of all its processes."""
        return self._process.family()

    def class_documents(self) -> list[JsonObject]:
        """Return its quick-start ClusterClass and the templates that it names."""
        template = _DEPLOY / "templates" / f"clusterclass-{CLASS}.yaml"
        return manifests.load(manifests.substitute(template.read_text()))

    def stop(self) -> None:
        """Stop all its processes."""
        self._process.stop()


def start(name: str, testbed: Testbed) -> Provider:
    """Start the provider of that name on `testbed`."""
    return CapimProvider(testbed) if name == "capim" else GoProvider(testbed)
