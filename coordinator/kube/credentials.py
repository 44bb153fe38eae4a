"""Credentials that are rotated: a kubeconfig and the files it names are taken up as they change.

What cannot be loaded, such as a certificate whose key is still the former, leaves the credentials before in
use until something changes again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from capim.aio.tasks import TaskScope
from coordinator.kube import config

if TYPE_CHECKING:
    from coordinator.kube.client import KubeClient
    from coordinator.kube.config import Access
    from coordinator.kube.kubeconfigfiles import KubeconfigFiles

_log = structlog.get_logger(__name__)

_LOOK_S: Final = 10.0
#: requests that went out with the former credentials have so long; then watches begin anew
_GRACE_S: Final = 30.0


class Credentials:
    """Keeps a client's credentials what the files say. One loop, no lock."""

    def __init__(
        self,
        client: KubeClient,
        access: Access,
        *,
        look_s: float = _LOOK_S,
        grace_s: float = _GRACE_S,
    ) -> None:
        self._client = client
        self._access = access
        self._look_s = look_s
        self._grace_s = grace_s

    async def follow(self) -> None:
        """Look for ever; in a pod there is nothing to look at, and it ends at once."""
        files = self._access.files
        while files is not None:
            await self._until_changed(files)
            if await self._take_up(files.path):
                files = self._access.files

    async def _until_changed(self, files: KubeconfigFiles) -> None:
        """Wait; meanwhile what a login command issued is renewed, and its failure is ours."""
        async with TaskScope() as scope:
            scope.spawn(self._access.keep_fresh(), name="credentials of a login command")
            while not files.changed():
                await asyncio.sleep(self._look_s)
                if scope.failed.is_set():
                    await scope.wait_failed()

    async def _take_up(self, path: str) -> bool:
        try:
            access = await config.load(path)
            close_former = self._client.use(access.configuration)
        except (ValueError, OSError) as error:
            _log.warning("credentials not taken up", file=path, error=str(error))
            return False
        finally:
            config.remove_key_files()
        self._access = access
        _log.info("credentials taken up", file=path)
        try:
            await asyncio.sleep(self._grace_s)
        finally:
            await close_former()
        return True
