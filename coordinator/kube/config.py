"""Where the management API is and who we are there: flag, environment, pod, home folder, in this order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import kubernetes.aio.config
from kubernetes.aio.client import Configuration

from coordinator.kube.kubeconfigfiles import KubeconfigFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

_kube: Final[Any] = kubernetes.aio.config  # its loaders are not annotated

_POD_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

#: How often credentials of a login command are renewed.
_REFRESH_INTERVAL_S: Final = 60

#: Under this name a kubeconfig's context has what a manager beside it left there for its own commands.
EXTENSION: Final = "capim"


class ConfigError(ValueError):
    """No usable way to the management API; the message names the flag and the fix."""


@dataclass(frozen=True, slots=True)
class Access:
    """A loaded configuration; no `loader` and `files` in a pod, whose token is read again by itself."""

    configuration: Configuration
    loader: Any = None
    files: KubeconfigFiles | None = None

    async def keep_fresh(self) -> None:
        """Renew what a login command issued, for as long as it runs; ends at once when there is none."""
        if self.loader is not None:
            await _kube.refresh_token(self.loader, self.configuration, _REFRESH_INTERVAL_S)


async def load(
    kubeconfig: str, environ: Mapping[str, str] = os.environ, *, context: str = ""
) -> Access:
    """Find the configuration as other Kubernetes programs do; no `context`: the current one.

    Raises:
        ConfigError: the file is missing or broken, or there is none at all.
    """
    path = kubeconfig or environ.get("KUBECONFIG", "")
    configuration = Configuration()
    if not path and not context and _POD_TOKEN.exists():
        _load_pod(configuration)
        return Access(configuration)
    path = path or str(default_path())
    # KUBECONFIG may name several files, of which some need not exist
    if not any(map(os.path.exists, path.split(os.pathsep))):
        raise ConfigError(f"--kubeconfig: no file {path}: name one, or run in a pod")
    files = KubeconfigFiles(path)  # first: a change while they are read is one
    try:
        loader = await _kube.load_kube_config(
            config_file=path,
            context=context or None,
            client_configuration=configuration,
            persist_config=False,
        )
    except Exception as error:  # the library lets yaml, OS and lookup errors through as they are
        raise ConfigError(f"--kubeconfig: {path} is not a usable kubeconfig: {error}") from error
    return Access(configuration, loader, files)


def default_path() -> Path:
    """Return the kubeconfig of a home folder."""
    return Path.home() / ".kube" / "config"


def remove_key_files() -> None:
    """Remove the files by which the library hands keys to OpenSSL: a client that is made has read them.

    The library does so when the process ends in order; one that is killed would leave them behind.
    """
    _kube.kube_config._cleanup_temp_files()  # noqa: SLF001 - it has no public name


def _load_pod(configuration: Configuration) -> None:
    try:
        _kube.load_incluster_config(client_configuration=configuration)
    except kubernetes.aio.config.ConfigException as error:
        raise ConfigError(
            f"--kubeconfig: the pod's service account is not usable: {error}"
        ) from error


def own_namespace(environ: Mapping[str, str] = os.environ) -> str:
    """Return the namespace the manager runs in; leases live there. Outside of a pod: `default`."""
    if namespace := environ.get("POD_NAMESPACE"):
        return namespace
    return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.exists() else "default"
