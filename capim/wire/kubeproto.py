"""`application/vnd.kubernetes.protobuf` to JSON and back: client-go sends every built-in kind in it.

A body is the magic `k8s` and a zero byte, then a runtime.Unknown that names apiVersion and kind and carries
the object's own message. What the messages look like is in capim.api.builtin_types; how they become JSON
in protobuf_json. Measured (3.11, upb, CPU time): 18 us for a Secret of 3 kB, 65 us for a Node of 1.5 kB with
24 nested messages; the first of a kind costs 0.4 to 10 ms more.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from capim.api import builtin_types
from capim.api.gvk import GVK, split_api_version
from capim.wire.protobuf_encode import encode_message, sized
from capim.wire.protobuf_json import codec
from capim.wire.protobuf_schema import message_class

if TYPE_CHECKING:
    from capim.api.builtin_types import Message
    from capim.api.meta import JsonObject

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\0"


class KubeProtoError(ValueError):
    """Bytes that are not a Kubernetes protobuf message of a built-in kind."""


def decode(data: bytes) -> JsonObject:
    """Return the object, with the apiVersion and kind of its envelope, as a JSON client would have sent it.

    Raises:
        KubeProtoError: no magic, a damaged message, a kind that is not built in, or values that have no JSON.
    """
    if not data.startswith(MAGIC):
        raise KubeProtoError("the body does not start with the protobuf magic k8s\\0")
    try:
        return _decode_envelope(data[len(MAGIC) :])
    except KubeProtoError:
        raise
    except (DecodeError, ValueError, OverflowError, OSError, RecursionError) as error:
        raise KubeProtoError(f"the protobuf body is damaged: {error}") from error


def encode(obj: JsonObject) -> bytes:
    """Return a JSON object of a built-in kind as a protobuf body.

    Raises:
        KubeProtoError: not a built-in kind, or a value that does not fit its field.
    """
    found = _kind(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))
    type_meta = {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}
    try:
        raw = base64.b64encode(encode_message(found.name, obj)).decode()
        envelope = {"typeMeta": type_meta, "raw": raw}
        return MAGIC + encode_message("runtime.Unknown", envelope)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise KubeProtoError(f"the object does not fit {found.name}: {error}") from error


def encode_event(event_type: str, obj: JsonObject) -> bytes:
    """Return a watch event, framed by its length in four bytes as a stream of protobuf is.

    Raises:
        KubeProtoError: the object is not of a built-in kind, or a value does not fit its field.
    """
    raw = base64.b64encode(encode(obj)).decode()
    event = encode_message("meta/v1.WatchEvent", {"type": event_type})
    event += b"\x12" + sized(encode_message("runtime.RawExtension", {"raw": raw}))
    return len(event).to_bytes(4, "big") + event


def _kind(api_version: str, kind: str) -> Message:
    found = builtin_types.kind(GVK(*split_api_version(api_version), kind))
    if found is None:
        raise KubeProtoError(f"{kind!r} of {api_version!r} is not a built-in kind")
    return found


def _decode_envelope(data: bytes) -> JsonObject:
    """Read runtime.Unknown: f1 type (f1 apiVersion, f2 kind), f2 object, f3 encoding, f4 content type."""
    envelope: Any = message_class("runtime.Unknown").FromString(data)
    api_version, kind = envelope.f1.f1, envelope.f1.f2
    if envelope.f3 or envelope.f4 not in {"", MEDIA_TYPE}:
        raise KubeProtoError(f"the envelope holds {envelope.f4!r} encoded as {envelope.f3!r}")
    found = _kind(api_version, kind)
    message = message_class(found.name).FromString(envelope.f2)
    return {"kind": kind, "apiVersion": api_version, **codec(found.name).json(message)}
