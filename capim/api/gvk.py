"""Names of kinds, resources and objects, as the Kubernetes API writes them."""

from __future__ import annotations

from typing import NamedTuple


class GVK(NamedTuple):
    """Group, version, kind. The core group is the empty string."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """`v1` for the core group, `group/version` for the others."""
        return f"{self.group}/{self.version}" if self.group else self.version


class GVR(NamedTuple):
    """Group, version, resource (the lower-case plural)."""

    group: str
    version: str
    resource: str


class NamespacedName(NamedTuple):
    """An object's namespace (empty for cluster scope) and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def parse(cls, text: str) -> NamespacedName:
        """Read `namespace/name`, or a bare name of cluster scope."""
        namespace, _, name = text.rpartition("/")
        return cls(namespace, name)


def split_api_version(api_version: str) -> tuple[str, str]:
    """Split `apps/v1` into group and version; `v1` belongs to the core group, the empty string."""
    group, _, version = api_version.rpartition("/")
    return group, version
