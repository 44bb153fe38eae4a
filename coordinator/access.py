"""Who may read diagnostics: bearers of a token that the management API knows and allows the path.

The same two questions controller-runtime asks: TokenReview (who is it) and SubjectAccessReview (may he).
Answers are remembered for a minute, because a scraper asks with the same token all the time.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from aiohttp import web

from capim.api.gvk import GVR

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from capim.aio.clock import Clock
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

_TOKEN_REVIEWS: Final = GVR("authentication.k8s.io", "v1", "tokenreviews")
_ACCESS_REVIEWS: Final = GVR("authorization.k8s.io", "v1", "subjectaccessreviews")
_REMEMBERED_S: Final = 60.0
_REMEMBERED_AT_MOST: Final = 1000


class Gatekeeper:
    """Decides about requests. One loop, no lock."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._verdicts: dict[tuple[bytes, str], tuple[float, int]] = {}

    async def status(self, authorization: str, path: str) -> int:
        """Return 200, 401 for nobody we know, or 403 for somebody who may not.

        Raises:
            APIError: the management API does not answer.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return 401
        key = (hashlib.sha256(token.encode()).digest(), path)
        until, code = self._verdicts.get(key, (0.0, 0))
        if until <= self._clock():
            code = await self._ask(token, path)
            if len(self._verdicts) >= _REMEMBERED_AT_MOST:
                self._verdicts.clear()
            self._verdicts[key] = (self._clock() + _REMEMBERED_S, code)
        return code

    async def _ask(self, token: str, path: str) -> int:
        status = await self._review(_TOKEN_REVIEWS, "TokenReview", {"token": token})
        if not status.get("authenticated"):
            return 401
        user = status.get("user") or {}
        spec = {
            "user": user.get("username"),
            "uid": user.get("uid"),
            "groups": user.get("groups"),
            "extra": user.get("extra"),
            "nonResourceAttributes": {"path": path, "verb": "get"},
        }
        spec = {name: value for name, value in spec.items() if value}
        status = await self._review(_ACCESS_REVIEWS, "SubjectAccessReview", spec)
        return 200 if status.get("allowed") else 403

    async def _review(self, gvr: GVR, kind: str, spec: JsonObject) -> JsonObject:
        body = {"apiVersion": f"{gvr.group}/{gvr.version}", "kind": kind, "spec": spec}
        answer = await self._client.create(gvr, "", body)
        return answer.get("status") or {}


def guard(gatekeeper: Gatekeeper) -> Middleware:
    """Return the middleware that lets nobody else in."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        code = await gatekeeper.status(request.headers.get("Authorization", ""), request.path)
        if code != 200:
            return web.Response(status=code, text="Unauthorized" if code == 401 else "Forbidden")
        return await handler(request)

    return check
