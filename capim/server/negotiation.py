"""What a client will read. We answer in JSON; protobuf and CBOR are offered by nobody here. Pure."""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import Final

from capim.api.errors import APIError

_JSON_RANGES: Final = frozenset({"", "*/*", "application/*", "application/json"})


#: how kubectl asks for rows and columns; older clients name v1beta1 as well, after v1
_TABLE: Final = frozenset({"as=table", "g=meta.k8s.io", "v=v1"})


class Form(enum.Enum):
    """How an answer is written."""

    NOTHING = "nothing that the client reads"
    OBJECT = "the plain object"
    TABLE = "a meta.k8s.io/v1 Table"


@lru_cache(maxsize=256)
def form_of(accept: bytes) -> Form:
    """Choose the form of an answer by its Accept header: a Table where JSON is first asked for as one.

    Other forms of JSON fall back to the plain object, which every client that names them can read.
    """
    for part in accept.decode("latin-1").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in _JSON_RANGES:
            return Form.TABLE if set(parameters) >= _TABLE else Form.OBJECT
    return Form.NOTHING


def not_acceptable() -> APIError:
    """406: the client reads nothing that we write."""
    return APIError(
        "NotAcceptable",
        406,
        "only the following media types are accepted: application/json",
    )
