"""Sends steps to one API server named by a kubeconfig, and decodes what it answers."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import yaml

from capim.wire import kubeproto
from tests.conformance.case import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SAFE: Final = "/?&=%,:+~!*'();@$[]-._"
_REQUEST_TIMEOUT_S: Final = 30
_POLL_S: Final = 0.1
#: what a real server says of a kind whose definition has just changed
_NOT_READY: Final = frozenset({"storage is (re)initializing", "apiserver is shutting down"})


@dataclass(frozen=True, slots=True)
class Request:
    """A step with its references replaced."""

    method: str
    path: str
    headers: Mapping[str, str]
    data: bytes | None
    credentials: bool = True


class Server:
    """An API server and its administrator's credentials."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.kubeconfig = kubeconfig
        self.address = urlsplit(cluster["server"]).netloc
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._anonymous = ssl.create_default_context(cadata=authority)
        self._administrator = ssl.create_default_context(cadata=authority)
        pem = base64.b64decode(user["client-certificate-data"])
        pem += base64.b64decode(user["client-key-data"])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "client.pem")
            path.write_bytes(pem)
            self._administrator.load_cert_chain(path)

    @contextlib.contextmanager
    def _connection(self, request: Request) -> Iterator[http.client.HTTPResponse]:
        context = self._administrator if request.credentials else self._anonymous
        connection = http.client.HTTPSConnection(
            self.address, context=context, timeout=_REQUEST_TIMEOUT_S
        )
        with contextlib.closing(connection):
            path = quote(request.path, safe=_SAFE)
            connection.request(request.method, path, request.data, dict(request.headers))
            response = connection.getresponse()
            with contextlib.closing(response):
                yield response

    def send(self, request: Request) -> Answer:
        """Send a request and return its decoded answer; a server that makes itself ready is asked again.

        Raises:
            OSError, http.client.HTTPException: no answer.
        """
        deadline = time.monotonic() + _REQUEST_TIMEOUT_S
        while True:
            answer = self._ask(request)
            is_ready = answer.at("message") not in _NOT_READY
            if is_ready or time.monotonic() > deadline:
                return answer
            time.sleep(_POLL_S)

    def _ask(self, request: Request) -> Answer:
        with self._connection(request) as response:
            kind, data = response.getheader("Content-Type") or "", response.read()
            if encoding := response.getheader("Content-Encoding"):
                data = gzip.decompress(data)
            shown = f"{kind} in {encoding}" if encoding else kind
            return Answer(response.status, shown, _decode(kind, data), _warnings(response))

    def send_until(
        self, request: Request, wanted: Callable[[Answer], Any], timeout_s: float
    ) -> tuple[Answer, bool]:
        """Send a request until its answer is as wanted; the bool tells whether it became so."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self.send(request)
            if wanted(answer):
                return answer, True
            if time.monotonic() > deadline:
                return answer, False
            time.sleep(_POLL_S)

    def watch(
        self, request: Request, events: int, timeout_s: float, opened: Callable[[], object]
    ) -> Answer:
        """Return the first events of a stream as a list; fewer where it ends or stays silent."""
        with self._connection(request) as response:
            kind = response.getheader("Content-Type") or ""
            if response.status != 200:
                return Answer(response.status, kind, _decode(kind, response.read()))
            opened()
            found = _events(response, events, timeout_s)
            return Answer(response.status, kind, found, _warnings(response))


def _warnings(response: http.client.HTTPResponse) -> tuple[str, ...]:
    return tuple(response.headers.get_all("Warning", ()))


def _events(response: http.client.HTTPResponse, wanted: int, timeout_s: float) -> list[Any]:
    read: list[Any] = []
    deadline = time.monotonic() + timeout_s
    raw = response.fp.raw._sock  # type: ignore[attr-defined]  # the only way to limit one read
    while len(read) < wanted and (left_s := deadline - time.monotonic()) > 0:
        raw.settimeout(left_s)
        try:
            line = response.readline()
        except TimeoutError:
            break
        if not line:
            break
        read.append(json.loads(line))
    return read


def _decode(content_type: str, data: bytes) -> Any:
    kind = content_type.partition(";")[0].strip()
    try:
        if kind == "application/json":
            return json.loads(data)
        if kind == "application/yaml":
            return yaml.safe_load(data)
        if kind == kubeproto.MEDIA_TYPE:
            return kubeproto.decode(data)
    except ValueError as error:
        return f"cannot be decoded ({error}): {data!r}"
    return data.decode(errors="backslashreplace")
