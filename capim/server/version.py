"""/version: which Kubernetes a fake cluster says it is. Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

import orjson

#: since this minor version a server tells which version it emulates
_EMULATION_SINCE: Final = 33
#: minor versions of Kubernetes -> of the Go they were first built with; older ones keep the first
_GO: Final = ((35, "1.25.3"), (34, "1.24.6"), (33, "1.24.0"), (32, "1.23.3"), (31, "1.22.5"))
_OLDEST_GO: Final = "1.21.7"


@lru_cache(maxsize=32)
def document(git_version: str) -> bytes:
    """Make the body of /version for a Kubernetes version such as `v1.29.0`."""
    major, _, rest = git_version.removeprefix("v").partition(".")
    minor = rest.partition(".")[0]
    version = {"major": major, "minor": minor}
    number = int(minor) if minor.isdecimal() else 0
    if number >= _EMULATION_SINCE:
        version |= {
            "emulationMajor": major,
            "emulationMinor": minor,
            "minCompatibilityMajor": major,
            "minCompatibilityMinor": str(number - 1),
        }
    go = next((version for since, version in _GO if number >= since), _OLDEST_GO)
    version |= {
        "gitVersion": git_version,
        "gitCommit": hashlib.sha256(git_version.encode()).hexdigest()[:40],
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"go{go}",
        "compiler": "gc",
        "platform": "linux/amd64",
    }
    return orjson.dumps(version, option=orjson.OPT_INDENT_2)
