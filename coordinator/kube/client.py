"""A thin client to the management API: raw JSON over the `kubernetes.aio` package's connections.

The package brings configuration, credentials and their refresh, and the connection pool; its typed models
are left out, because a patch through them costs more and the objects here are plain JSON anyway.
Everything foreign stops here: callers see `APIError` and nothing else.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient

from capim.api.errors import APIError
from capim.api.meta import JsonObject
from coordinator.kube.limiter import TokenBucket

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from kubernetes.aio.client import Configuration

    from capim.aio.clock import Clock
    from capim.api.gvk import GVR

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

_REQUEST_TIMEOUT_S: Final = 30.0
_CONNECT_TIMEOUT_S: Final = 10.0
_READ_ATTEMPTS: Final = 5
_FIRST_RETRY_S: Final = 0.25

#: A watch that the server does not end in its time has lost its connection.
_WATCH_GRACE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class ListResult:
    """Objects and the version of the whole list, which a watch starts from."""

    items: list[JsonObject]
    resource_version: str


class KubeClient:
    """Requests to one API server. One loop, no lock."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        user_agent: str,
        qps: float,
        burst: int,
        clock: Clock,
        rng: random.Random,
        read_attempts: int = _READ_ATTEMPTS,
    ) -> None:
        """Make a client; reads that fail for want of a server are tried `read_attempts` times."""
        self._api: Any = ApiClient(configuration)  # the package is only partly annotated
        self._watching: set[aiohttp.ClientResponse] = set()
        self._host = configuration.host.rstrip("/")
        self._user_agent = user_agent
        self._bucket = TokenBucket(qps, burst)
        self._clock = clock
        self._rng = rng
        self._read_attempts = read_attempts

    def use(self, configuration: Configuration) -> Callable[[], Awaitable[None]]:
        """Send what comes from here on with other credentials.

        Returns what closes the connections that were made with those before: what is under way there,
        watches above all, goes on until then.

        Raises:
            ValueError: they are for another server, whose objects are not those known from this one.
            OSError: a certificate or key cannot be loaded.
        """
        host = configuration.host.rstrip("/")
        if host != self._host:
            raise ValueError(f"the server is {host} now, not {self._host}: restart to follow it")
        before, self._api = self._api, ApiClient(configuration)
        watching, self._watching = self._watching, set()

        async def close() -> None:
            for response in watching:
                response.close()  # closing the connections alone would let their readers wait
            await before.close()

        return close

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    # --- reads: retried, because they change nothing ---

    async def get(self, gvr: GVR, namespace: str, name: str) -> JsonObject:
        """Read one object.

        Raises:
            APIError: what the server refused, or ServiceUnavailable when it cannot be reached.
        """
        return await self._read(object_path(gvr, namespace, name))

    async def get_path(self, path: str) -> JsonObject:
        """Read a path that is no object, as discovery needs it."""
        return await self._read(path)

    async def get_dated(self, path: str) -> tuple[JsonObject, float | None]:
        """Read a path once, and the server's time: seconds since the epoch, None if it says none."""
        timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S, sock_connect=_CONNECT_TIMEOUT_S)
        try:
            response = await self._send("GET", path, None, None, "application/json", timeout)
            async with response:
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error
        if response.status >= 400:
            raise _refusal(response.status, data, response.headers)
        said = response.headers.get("Date")
        return _decode(data), parsedate_to_datetime(said).timestamp() if said else None

    async def list(self, gvr: GVR, namespace: str = "", *, labels: str = "") -> ListResult:
        """Read all objects of a namespace, or of all namespaces."""
        query = {"labelSelector": labels} if labels else {}
        body = await self._read(object_path(gvr, namespace), query)
        kind, api_version = body.get("kind", "").removesuffix("List"), body.get("apiVersion", "")
        items: list[JsonObject] = body.get("items") or []
        for (
            item
        ) in items:  # a list names its items' kind once; everything else here wants it in each
            item.setdefault("kind", kind)
            item.setdefault("apiVersion", api_version)
        return ListResult(items, (body.get("metadata") or {}).get("resourceVersion", ""))

    async def watch(
        self, gvr: GVR, namespace: str, *, labels: str, since: str, timeout_s: int
    ) -> AsyncIterator[JsonObject]:
        """Yield watch events with bookmarks until the server ends the watch, after `timeout_s` at most.

        Raises:
            APIError: the server refused; Expired (410) when `since` is too old.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(timeout_s),
        }
        if labels:
            query["labelSelector"] = labels
        timeout = aiohttp.ClientTimeout(
            total=timeout_s + _WATCH_GRACE_S, sock_connect=_CONNECT_TIMEOUT_S
        )
        path, watching = object_path(gvr, namespace), self._watching
        try:
            response = await self._send("GET", path, query, None, "application/json", timeout)
            watching.add(response)
            try:
                async with response:
                    if response.status >= 400:
                        raise _refusal(response.status, await response.read(), response.headers)
                    async for line in _lines(response):
                        yield _event(line)
            finally:
                watching.discard(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error

    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Yield the lines of a text, such as a pod's log, until the server ends it.

        Raises:
            APIError: the server refused, or the connection was lost.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S)
        try:
            response = await self._send("GET", path, query, None, "application/json", timeout)
            async with response:
                if response.status >= 400:
                    raise _refusal(response.status, await response.read(), response.headers)
                async for line in _lines(response, rest=True):
                    yield line
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error

    async def _read(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        for attempt in range(1, self._read_attempts):
            try:
                return await self._request("GET", path, query)
            except APIError as error:
                if error.code != 429 and error.code < 500:
                    raise
                delay_s = error.retry_after_s or _FIRST_RETRY_S * 2**attempt * self._rng.random()
                await asyncio.sleep(delay_s)
        return await self._request("GET", path, query)

    # --- writes: never retried here, the queues do that with a fresh plan ---

    async def create(
        self, gvr: GVR, namespace: str, body: JsonObject, *, paced: bool = True
    ) -> JsonObject:
        """Create an object and return it as stored; `paced=False`: the caller keeps to a rate of its own."""
        return await self._request("POST", object_path(gvr, namespace), body=body, paced=paced)

    async def update(self, gvr: GVR, namespace: str, name: str, body: JsonObject) -> JsonObject:
        """Replace an object and return it as stored."""
        return await self._request("PUT", object_path(gvr, namespace, name), body=body)

    async def patch(
        self,
        gvr: GVR,
        namespace: str,
        name: str,
        patch: Any,
        *,
        subresource: str = "",
        patch_type: str = MERGE_PATCH,
        paced: bool = True,
    ) -> JsonObject:
        """Patch an object or its subresource and return it as stored; `paced` as for `create`."""
        path = object_path(gvr, namespace, name, subresource)
        return await self._request("PATCH", path, body=patch, content_type=patch_type, paced=paced)

    async def patch_status(
        self, gvr: GVR, namespace: str, name: str, patch: JsonObject
    ) -> JsonObject:
        """Merge a patch into an object's status subresource."""
        return await self.patch(gvr, namespace, name, patch, subresource="status")

    async def delete(self, gvr: GVR, namespace: str, name: str) -> JsonObject:
        """Delete an object; its dependents go in the background."""
        return await self._request("DELETE", object_path(gvr, namespace, name))

    # --- the wire ---

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        *,
        paced: bool = True,
    ) -> JsonObject:
        delay_s = self._bucket.reserve(self._clock()) if paced else 0.0
        if delay_s > 0:
            await asyncio.sleep(delay_s)
        timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S, sock_connect=_CONNECT_TIMEOUT_S)
        try:
            response = await self._send(method, path, query, body, content_type, timeout)
            async with response:
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error
        if response.status >= 400:
            raise _refusal(response.status, data, response.headers)
        return _decode(data)

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        content_type: str,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own limits, not a cancel scope
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": "application/json",
            "Content-Type": content_type,
            "User-Agent": self._user_agent,
        }
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._host}{path}" + (f"?{urlencode(query)}" if query else "")
        reply = await self._api.rest_client.request(
            method, url, headers=headers, body=body, _request_timeout=timeout
        )
        response: aiohttp.ClientResponse = reply.response
        return response


def object_path(gvr: GVR, namespace: str, name: str = "", subresource: str = "") -> str:
    """Return the URL path of a collection, an object or its subresource."""
    parts = ["apis", gvr.group, gvr.version] if gvr.group else ["api", gvr.version]
    if namespace:
        parts += ["namespaces", namespace]
    parts.append(gvr.resource)
    parts += [part for part in (name, subresource) if part]
    return "/" + "/".join(quote(part, safe="") for part in parts)


async def _lines(response: aiohttp.ClientResponse, *, rest: bool = False) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length; aiohttp's own reader bounds them.

    `rest`: what comes after the last line's end is a line as well, and not half of one that was cut off.
    """
    begun = bytearray()
    async for chunk in response.content.iter_any():
        begun += chunk
        *lines, begun = begun.split(b"\n")
        for line in lines:
            if line:
                yield bytes(line)
    if rest and begun:
        yield bytes(begun)


def _event(line: bytes) -> JsonObject:
    event = _decode(line)
    if event.get("type") == "ERROR":
        status = event.get("object") or {}
        raise APIError.from_status(status, status.get("code") or 500)
    return event


def _decode(data: bytes) -> JsonObject:
    try:
        body = orjson.loads(data)
    except ValueError as error:
        raise APIError(
            "InternalError", 500, "the server answered something else than JSON"
        ) from error
    if not isinstance(body, dict):
        raise APIError("InternalError", 500, "the server answered JSON that is no object")
    return body


def _refusal(code: int, data: bytes, headers: Mapping[str, str]) -> APIError:
    try:
        status = orjson.loads(data)
    except ValueError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = data[:200].decode(errors="replace").strip()
        status = {"message": text or f"the server answered {code}"}
    error = APIError.from_status(status, code)
    after = headers.get("Retry-After", "")
    if after.isdigit():
        error.retry_after_s = int(after)
    return error


def _unreachable(error: Exception) -> APIError:
    text = str(error) or type(error).__name__
    message = (
        f"the management API cannot be reached: {text}: check the server and the certificates that"
        " --kubeconfig names"
    )
    return APIError("ServiceUnavailable", 503, message)
