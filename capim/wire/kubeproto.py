"""Decode `application/vnd.kubernetes.protobuf`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


class KubeProtoError(ValueError):
    """Bytes that are not a Kubernetes protobuf message of a built-in kind."""


def decode(data: bytes) -> JsonObject:
    """Return the object as JSON."""
    raise KubeProtoError(f"not decoded: {len(data)} bytes")
