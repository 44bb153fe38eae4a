"""A port is held from bind on, refuses until it listens, and comes back after a close."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from capim.server.ports import PortOccupied, allow_listen, bind_port


def test_bound_port_refuses_connections_and_keeps_others_away() -> None:
    with closing(bind_port("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0
        with pytest.raises(PortOccupied, match=rf"127.0.0.1 port {port} is taken .* port range"):
            bind_port("127.0.0.1", port)


def test_listening_port_keeps_others_away() -> None:
    with closing(bind_port("127.0.0.1", 0)) as held:
        allow_listen(held)
        held.listen()
        with pytest.raises(PortOccupied):
            bind_port("127.0.0.1", held.getsockname()[1])


def test_port_with_connections_that_linger_can_be_bound_again() -> None:
    held = bind_port("127.0.0.1", 0)
    address = held.getsockname()
    allow_listen(held)
    held.setblocking(True)
    held.listen()
    with socket.create_connection(address) as client:
        server, _ = held.accept()
        server.close()  # the side that closes first lingers in TIME_WAIT
        assert client.recv(1) == b""
    held.close()
    with closing(bind_port(*address)) as again, closing(bind_port("127.0.0.1", 0)):
        assert again.getsockname() == address
        with pytest.raises(PortOccupied):
            bind_port(*address)


def test_empty_host_is_every_interface() -> None:
    with closing(bind_port("", 0)) as held:
        allow_listen(held)
        held.listen()
        with socket.create_connection(("127.0.0.1", held.getsockname()[1]), timeout=5):
            held.setblocking(True)
            held.accept()[0].close()


def test_address_of_another_machine_is_not_called_occupied() -> None:
    with pytest.raises(OSError, match="assign") as caught:
        bind_port("203.0.113.1", 0)
    assert not isinstance(caught.value, PortOccupied)
