"""Keys that a configuration applied on the server's side gives twice."""

from __future__ import annotations

from typing import Final

from tests.conformance.case import APPLY, Case, patch

_PATH: Final = "/api/v1/namespaces/{ns}/configmaps/a"
_TEXT: Final = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data:
  a: first
  a: second
  b: first
  b: second
"""

CASES: Final = [
    Case(
        f"apply: a key given twice, with field validation {asked or 'as it is by default'}",
        [patch(f"{_PATH}?fieldManager=m&fieldValidation={asked}", _TEXT, content_type=APPLY)],
    )
    for asked in ("Strict", "Warn", "Ignore", "")
]
