"""Our own kinds, v1alpha1: InMemoryCluster, InMemoryMachine, InMemoryMachinePool, templates, InMemoryFault.

`names` has the constants, `kinds` (with `faultkind` and `poolkinds`) the one description of fields and
rules, `crds` the CustomResourceDefinitions made from it, `admission` defaulting and validation, `startup`
the delays of a machine, `faultparsing` what a fault asks for. To add a field: describe it in `kinds`, run
`tools/generate_crds.py`, and if a schema cannot say its rule, add that to `admission`.
"""

from __future__ import annotations

from capim.api.infrastructure.admission import default, validate_create, validate_update
from capim.api.infrastructure.crds import crds
from capim.api.infrastructure.faultparsing import fault_of
from capim.api.infrastructure.kinds import KINDS, Kind
from capim.api.infrastructure.names import *  # noqa: F403  the constants are this package's face
from capim.api.infrastructure.startup import (
    deletion_s,
    failures_of,
    node_form_of,
    parse_jitter,
    startup_of,
    time_scale_of,
)

__all__ = [
    "KINDS",
    "Kind",
    "crds",
    "default",
    "deletion_s",
    "failures_of",
    "fault_of",
    "node_form_of",
    "parse_jitter",
    "startup_of",
    "time_scale_of",
    "validate_create",
    "validate_update",
]
