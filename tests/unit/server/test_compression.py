"""Large answers are sent in gzip to who takes it."""

from __future__ import annotations

import gzip

import pytest

from capim.server.compression import THRESHOLD_BYTES, compressed
from capim.server.http import Response
from tests.support.memory import MemoryClient, make_api

MAPS = "/api/v1/namespaces/default/configmaps"
LARGE = b"x" * (THRESHOLD_BYTES + 1)


@pytest.mark.parametrize("accepted", [b"gzip", b"deflate, gzip"])
def test_a_large_answer(accepted: bytes) -> None:
    answer = compressed(Response(200, LARGE), {b"accept-encoding": accepted})
    assert gzip.decompress(answer.body) == LARGE
    assert dict(answer.headers) == {b"Content-Encoding": b"gzip", b"Vary": b"Accept-Encoding"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (LARGE, {}),
        (LARGE, {b"accept-encoding": b"gzip;q=0"}),
        (LARGE, {b"accept-encoding": b"*"}),
        (LARGE[1:], {b"accept-encoding": b"gzip"}),
    ],
)
def test_others_stay_as_they_are(body: bytes, headers: dict[bytes, bytes]) -> None:
    answer = Response(200, body)
    assert compressed(answer, headers) is answer


def test_a_list_is_what_it_is_without() -> None:
    client = MemoryClient(make_api())
    for name in ("a", "b"):
        data = {"k": "x" * (THRESHOLD_BYTES // 2)}
        client.ask("POST", MAPS, {"metadata": {"name": name}, "data": data})
    packed = client.ask("GET", MAPS, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == client.ask("GET", MAPS).body
