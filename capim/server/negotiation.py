"""What a client will read. We answer in JSON; protobuf and CBOR are offered by nobody here. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from capim.api.errors import APIError

_JSON_RANGES: Final = frozenset({"", "*/*", "application/*", "application/json"})


@lru_cache(maxsize=256)
def accepts_json(accept: bytes) -> bool:
    """Tell whether an Accept header takes JSON, in any form that falls back to the plain object."""
    ranges = accept.decode("latin-1").split(",")
    return any(part.partition(";")[0].strip().lower() in _JSON_RANGES for part in ranges)


@lru_cache(maxsize=256)
def wants_table(accept: bytes) -> bool:
    """Tell whether the first JSON form a client names is a meta.k8s.io/v1 Table, as kubectl does."""
    for part in accept.decode("latin-1").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in _JSON_RANGES:
            return {"as=table", "g=meta.k8s.io", "v=v1"} <= set(parameters)
    return False


def not_acceptable() -> APIError:
    """406: the client reads nothing that we write."""
    return APIError(
        "NotAcceptable",
        406,
        "only the following media types are accepted: application/json",
    )
