"""/healthz and /readyz, in the form controller-runtime gives them: one `ok`, or which check failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]
    #: returns whether all is well
    Check: TypeAlias = Callable[[], bool]


def report(checks: Mapping[str, Check], *, verbose: bool) -> tuple[int, str]:
    """Return the status code and text: every check when asked for, or when one of them fails."""
    results = {name: check() for name, check in checks.items()}
    healthy = all(results.values())
    if healthy and not verbose:
        return 200, "ok"
    lines = [f"[{'+' if good else '-'}]{name} {_word(good)}" for name, good in results.items()]
    lines.append(f"check {'passed' if healthy else 'failed'}")
    return (200 if healthy else 500), "\n".join(lines) + "\n"


def _word(good: bool) -> str:
    return "ok" if good else "failed: not ready"


def application(health: Mapping[str, Check], readiness: Mapping[str, Check]) -> web.Application:
    """Serve `/healthz` and `/readyz`, and each check by its name below them."""
    app = web.Application()
    for path, checks in (("/healthz", health), ("/readyz", readiness)):
        app.router.add_get(path, _handler(checks))
        app.router.add_get(f"{path}/", _handler(checks))
        for name, check in checks.items():
            app.router.add_get(f"{path}/{name}", _handler({name: check}))
    return app


def _handler(checks: Mapping[str, Check]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        code, text = report(checks, verbose="verbose" in request.query)
        return web.Response(status=code, text=text)

    return answer
