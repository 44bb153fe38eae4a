"""THE table of Kubernetes lines: what kubeadm of each line installs. One row makes a line known.

Source: `cmd/kubeadm/app/constants` of each line. KubeadmControlPlane migrates Corefiles between the
CoreDNS versions listed here, so a row must name one that its migration library knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)([-+][0-9A-Za-z.+-]+)?")
_FIRST_V1BETA4: Final = 31  # kubeadm writes v1beta4 from 1.31 on


@dataclass(frozen=True, slots=True)
class KubernetesLine:
    """What belongs to one minor version of Kubernetes."""

    minor: int  #: of 1.x
    patch: int  #: a release of this line; the default where only the line is given
    coredns: str  #: image tag, with its `v`
    etcd: str  #: image tag
    pause: str  #: image tag

    @property
    def version(self) -> str:
        """The line's default release, `v1.35.4`."""
        return f"v1.{self.minor}.{self.patch}"

    @property
    def etcd_version(self) -> str:
        """What etcd itself says it is, `3.6.6`."""
        return self.etcd.partition("-")[0]

    @property
    def kubeadm_api_version(self) -> str:
        """The version of kubeadm's configuration files in this line."""
        return f"kubeadm.k8s.io/v1beta{4 if self.minor >= _FIRST_V1BETA4 else 3}"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The answer for one version: its line, or the nearest one and a warning for a person."""

    version: str  #: normalised, with a leading `v`
    line: KubernetesLine
    known: bool = True
    warning: str = ""


LINES: Final = tuple(
    KubernetesLine(*row)
    for row in (
        (24, 17, "v1.8.6", "3.5.6-0", "3.7"),
        (25, 16, "v1.9.3", "3.5.9-0", "3.8"),
        (26, 15, "v1.9.3", "3.5.10-0", "3.9"),
        (27, 16, "v1.10.1", "3.5.12-0", "3.9"),
        (28, 15, "v1.10.1", "3.5.15-0", "3.9"),
        (29, 14, "v1.11.1", "3.5.16-0", "3.9"),
        (30, 14, "v1.11.1", "3.5.15-0", "3.9"),
        (31, 14, "v1.11.1", "3.5.15-0", "3.10"),
        (32, 10, "v1.11.3", "3.5.16-0", "3.10"),
        (33, 12, "v1.12.0", "3.5.21-0", "3.10"),
        (34, 3, "v1.12.1", "3.6.5-0", "3.10.1"),
        (35, 4, "v1.13.1", "3.6.6-0", "3.10.1"),
        (36, 4, "v1.14.2", "3.6.8-0", "3.10.1"),
        (37, 0, "v1.14.6", "3.7.0-0", "3.10.1"),
    )
)

#: what to suggest where nobody chose a version
DEFAULT_LINE: Final = LINES[-3]


def lookup(version: str) -> Lookup:
    """Return what belongs to a Kubernetes version; an unknown line gets the nearest one's and a warning.

    Raises:
        ValueError: not a version; the message quotes the text and shows what one looks like.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"{version!r} is not a Kubernetes version: write for example v1.35.4")
    major, minor = int(match[1]), int(match[2])
    normalised = f"v{version.removeprefix('v')}"
    line = min(LINES, key=lambda row: abs(row.minor - minor))
    if major == 1 and line.minor == minor:
        return Lookup(normalised, line)
    warning = (
        f"Kubernetes {normalised} is not known (known are v1.{LINES[0].minor} to v1.{LINES[-1].minor}): "
        f"its CoreDNS and etcd versions are those of v1.{line.minor}"
    )
    return Lookup(normalised, line, known=False, warning=warning)
