"""What a client will read: media type, and the object itself or what is made of it. Pure.

Two parts of a real API server look at an Accept header, and so does this: routes of built-in kinds take
no media type that they do not name (go-restful: no ranges but `*/*`), then handlers choose by quality
and by what they can make of the object. Departure: a client that reads protobuf and JSON gets JSON,
whatever it likes better, for JSON is what objects are stored as; client-go reads both.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRANSFORMS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
_VERSIONS: Final = frozenset({"v1", "v1beta1"})


class Media(enum.Enum):
    """How bytes are written."""

    JSON = "application/json"
    YAML = "application/yaml"
    PROTOBUF = "application/vnd.kubernetes.protobuf"


_STREAMED: Final = (Media.JSON, Media.PROTOBUF)
_NAMES: Final = tuple(media.value for media in Media)
_STREAM_NAMES: Final = tuple(f"{media.value};stream=watch" for media in _STREAMED)


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is written."""

    media: Media = Media.JSON
    kind: str = ""  #: what is made of the object: empty or one of meta.k8s.io's
    version: str = ""  #: of meta.k8s.io


#: what is stored is what is sent
PLAIN: Final = Form()


@dataclass(frozen=True, slots=True)
class _Clause:
    """One media range of an Accept header."""

    range: str
    parameters: dict[str, str]
    quality: float


@lru_cache(maxsize=256)
def form_of(
    accept: str,
    *,
    watch: bool = False,
    collection: bool = False,
    custom: bool,
    tables: bool = True,
) -> Form:
    """Choose the form of an answer.

    The form that objects are stored in is `PLAIN` itself, which is sent as it is.

    Args:
        accept: the header; empty where there is none.
        watch: a stream of events is asked for.
        collection: the path is of a list.
        custom: the kind is a custom resource, which has no protobuf.
        tables: the kind can be shown as one.

    Raises:
        APIError: 406, with what there is.
    """
    if not accept:
        return PLAIN
    named = _NAMES + _STREAM_NAMES if collection else _NAMES
    if not custom and not _routed(accept):
        raise not_routed(named)
    media = _STREAMED if watch else tuple(Media)
    found = [
        form
        for clause in _clauses(accept)
        for form in _forms(clause, media, custom=custom)
        if tables or form.kind != "Table"
    ]
    if not found:
        listed = _NAMES if not watch or (custom and "protobuf" in accept) else _STREAM_NAMES
        raise _not_acceptable(listed)
    in_json = (form for form in found if form.media is not Media.PROTOBUF)
    best = found[0] if found[0].media is not Media.PROTOBUF else next(in_json, found[0])
    return PLAIN if best == PLAIN else best


@lru_cache(maxsize=64)
def error_media_of(accept: str) -> Media:
    """Choose how a refusal is written: a Status is never made into anything else."""
    forms = (form for clause in _clauses(accept) for form in _forms(clause, tuple(Media)))
    plain = [form.media for form in forms if not form.kind]
    return Media.JSON if Media.JSON in plain or not plain else plain[0]


def not_routed(names: tuple[str, ...] = (Media.JSON.value,)) -> APIError:
    """406: the client names nothing that this path writes."""
    message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(names)}"
    return APIError("NotAcceptable", 406, message, details={})


def _not_acceptable(names: tuple[str, ...]) -> APIError:
    listed = ", ".join(names)
    message = f"only the following media types are accepted: {listed}"
    return APIError("NotAcceptable", 406, message)


def _routed(accept: str) -> bool:
    return any(
        part.partition(";")[0].strip() in {"*/*", *_NAMES, *_STREAM_NAMES}
        for part in accept.split(",")
    )


def _clauses(accept: str) -> list[_Clause]:
    """Return the ranges, the best first; of equals the one named first."""
    clauses = [_clause(part) for part in accept.split(",")]
    return sorted(clauses, key=lambda clause: (-clause.quality, clause.range.count("*")))


def _clause(part: str) -> _Clause:
    name, *pieces = (piece.strip() for piece in part.split(";"))
    parameters = {}
    for piece in pieces:
        key, _, value = piece.partition("=")
        parameters[key.strip()] = value.strip()
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 1.0
    return _Clause(name, parameters, quality)


def _forms(clause: _Clause, media: tuple[Media, ...], *, custom: bool = False) -> Iterator[Form]:
    parameters = clause.parameters
    if parameters.get("stream", "watch") != "watch":
        return
    kind, version = parameters.get("as", ""), parameters.get("v", "")
    transforms = "as" in parameters or "g" in parameters or "v" in parameters
    known = kind in _TRANSFORMS and parameters.get("g") == "meta.k8s.io" and version in _VERSIONS
    if transforms and not known:
        return
    for each in media:
        if clause.range not in {"*/*", "application/*", each.value}:
            continue
        if each is Media.PROTOBUF and (kind == "Table" or (custom and not kind)):
            continue
        yield Form(each, kind, version)
