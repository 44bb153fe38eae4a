"""Our own kinds, InMemoryCluster and InMemoryMachine and their templates, v1alpha1.

`names` has the constants, `kinds` the one description of fields and rules, `crds` the
CustomResourceDefinitions made from it, `admission` defaulting and validation, `startup` the delays of
a machine. To add a field: describe it in `kinds`, run `tools/generate_crds.py`, and if a schema cannot
say its rule, add that to `admission`.
"""

from __future__ import annotations

from capim.api.infrastructure.admission import default, validate_create, validate_update
from capim.api.infrastructure.crds import crds
from capim.api.infrastructure.kinds import KINDS, Kind
from capim.api.infrastructure.names import *  # noqa: F403  the constants are this package's face
from capim.api.infrastructure.startup import parse_jitter, startup_of

__all__ = [
    "KINDS",
    "Kind",
    "crds",
    "default",
    "parse_jitter",
    "startup_of",
    "validate_create",
    "validate_update",
]
