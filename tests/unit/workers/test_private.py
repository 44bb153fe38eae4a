"""In scope: what a coordinator and its workers leave on disk and in logs, and a worker that hangs."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import stat
from pathlib import Path

import aiohttp
import pytest

from coordinator.kube import config
from tests.support.fleetoptions import Options
from tests.unit.workers.test_processes import CA, ETCD_CA, client_context, running

pytestmark = pytest.mark.slow

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_to_others(folder: Path) -> list[str]:
    """Return what of a folder others could read or write; sockets are safe in a folder that is not."""
    return [
        f"{path.relative_to(folder)} {stat.filemode(path.stat().st_mode)}"
        for path in [folder, *folder.rglob("*")]
        if path.stat().st_mode & OTHERS and not path.is_socket()
    ]


def key_lines() -> list[str]:
    """Return the lines of the authorities' keys that say something."""
    return [line for pair in (CA, ETCD_CA) for line in pair.key.decode().splitlines()[1:-1]]


async def ask_for_token(port: int) -> str:
    """Have a token made, and show it once."""
    account = f"https://127.0.0.1:{port}/api/v1/namespaces/default/serviceaccounts/default/token"
    async with aiohttp.ClientSession() as session:
        async with session.post(account, json={}, ssl=client_context()) as answer:
            assert answer.status == 201
            token = str((await answer.json())["status"]["token"])
        bearer = {"Authorization": f"Bearer {token}"}
        url = f"https://127.0.0.1:{port}/api"
        async with session.get(url, headers=bearer, ssl=client_context()) as answer:
            assert answer.status == 200
    return token


def test_files_are_private_and_logs_and_journals_have_no_keys(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("run", "state", "temp")]
    folders[2].mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(folders[2]))
    run, state, _ = map(str, folders)

    async def scenario() -> str:
        options = Options(run, state_dir=state, verbosity=9)
        async with running(folders[0], options) as one:
            await one.node_uids()
            token = await ask_for_token(one.spec.port)
            assert [found for it in folders for found in open_to_others(it)] == []
            assert list(folders[2].iterdir()) == []
        return token

    before = os.umask(0)
    try:
        token = asyncio.run(scenario())
    finally:
        os.umask(before)
    logged = capfd.readouterr().err
    assert "listener opened" in logged
    kept = b"".join(path.read_bytes() for path in folders[1].rglob("*") if path.is_file())
    assert b"kubeadm-config" in kept
    for secret in (*key_lines(), token.split(".")[2]):
        assert secret not in logged
        assert secret.encode() not in kept


def test_a_worker_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.fleetstate.HUNG_AFTER_S", 3.0)

    async def scenario() -> None:
        async with running(tmp_path) as one:
            pid = one.worker_pid()
            os.kill(pid, signal.SIGSTOP)
            await one.until(lambda: one.worker_pid() != pid and one.up())
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)  # it was reaped before the other one started

    asyncio.run(scenario())


def test_no_key_of_a_kubeconfig_stays_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = base64.b64encode(CA.certificate).decode(), base64.b64encode(CA.key).decode()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        f"users: [{{name: u, user: {{client-certificate-data: {data[0]},"
        f" client-key-data: {data[1]}}}}}]\n"
    )

    for _ in range(2):  # the library remembers the files it has written
        access = asyncio.run(config.load(str(kubeconfig)))
        assert Path(str(access.configuration.key_file)).read_bytes() == CA.key
        config.remove_key_files()
        assert list(tmp_path.iterdir()) == [kubeconfig]
