"""Fields that a schema does not know, or that a body has twice, as a write's `fieldValidation` wants it.

Source: the Kubernetes API concepts page (field validation) and k8s.io/apiextensions-apiserver. Of a patch
a real server also shows the whole patched object, in Go's order of fields: here it is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capim.api.errors import APIError, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.resources import Resource


@dataclass(frozen=True, slots=True)
class Strictness:
    """How a write treats such fields: a client that does not ask for more is warned of them."""

    strict: bool  #: refuse the write, rather than warn of it
    patched: bool = False  #: what is checked is what a patch has made
    doubled: tuple[str, ...] = ()  #: paths of the fields that the body has twice

    def check(self, resource: Resource, unknown: Iterable[str]) -> list[str]:
        """Return what to warn of.

        Raises:
            APIError: BadRequest for a body, Invalid for what a patch has made.
        """
        texts = [f'duplicate field "{path}"' for path in self.doubled]
        texts += [f'unknown field "{path}"' for path in sorted(unknown)]
        if texts and self.strict:
            raise self._refusal(resource, f"strict decoding error: {', '.join(texts)}")
        return texts

    def _refusal(self, resource: Resource, told: str) -> APIError:
        kind, version = resource.kind, resource.version
        if not self.patched:
            handled = f'{kind} in version "{version}" cannot be handled as a {kind}'
            return bad_request(f"{handled}: {told}")
        text = f"Invalid value: {told}"
        details = {"causes": [{"reason": "FieldValueInvalid", "message": text, "field": "patch"}]}
        return APIError("Invalid", 422, f' "" is invalid: patch: {text}', details=details)
