"""The WebSocket tunnel, sans-IO: SPDY's bytes in binary messages (KEP-4006, `SPDY/3.1+<protocol>`).

Message borders mean nothing: SPDY frames itself. client-go tries this first since 1.31 and falls back
to SPDY when the upgrade is refused. The older channel protocols (`v4.channel.k8s.io`) are not spoken:
no port-forward client prefers them, and refusing the upgrade makes clients fall back.
Source: RFC 6455; k8s.io/client-go tools/portforward/tunneling_connection.go.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from wsproto.connection import CLIENT, SERVER, ConnectionState
from wsproto.connection import Connection as _Connection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

if TYPE_CHECKING:
    from wsproto.events import Event

#: Stands before the stream protocol's name in Sec-WebSocket-Protocol.
TUNNEL_PREFIX: Final = "SPDY/3.1+"

_ACCEPT_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_KEY_BYTES: Final = 16


def accept_key(key: str) -> str | None:
    """Return the Sec-WebSocket-Accept for a client's key; None where the key is not one."""
    try:
        if len(base64.b64decode(key, validate=True)) != _KEY_BYTES:
            return None
    except ValueError:
        return None
    digest = hashlib.sha1(key.encode("ascii") + _ACCEPT_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


class Tunnel:
    """One end of an upgraded connection: tunnelled bytes in and out, control frames handled inside."""

    def __init__(self, *, client: bool) -> None:
        self._websocket = _Connection(CLIENT if client else SERVER)
        self._out: list[bytes] = []
        self.closed = False  #: nothing more comes in or goes out

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes from the transport and return the tunnelled ones among them.

        A close, a text message or a broken frame ends the tunnel: `closed` is set, and the close
        frame that answers is in `data_to_send`.
        """
        if self.closed:
            return b""
        self._websocket.receive_data(data)
        payload = []
        for event in self._websocket.events():
            if isinstance(event, BytesMessage):
                payload.append(bytes(event.data))
            elif self._control(event):
                break
        return b"".join(payload)

    def _control(self, event: Event) -> bool:
        """Handle what is not tunnelled data; True: that was the end."""
        if isinstance(event, Ping):
            self._out.append(bytes(self._websocket.send(Pong(bytes(event.payload)))))
        elif isinstance(event, CloseConnection):
            self.close(event.code)
        elif isinstance(event, TextMessage):
            self.close(CloseReason.UNSUPPORTED_DATA)
        return self.closed

    def send_data(self, data: bytes) -> None:
        """Put bytes into the tunnel as one message; after the close they go nowhere."""
        if data and not self.closed:
            self._out.append(bytes(self._websocket.send(BytesMessage(data=data))))

    def close(self, code: int = CloseReason.NORMAL_CLOSURE) -> None:
        """Say goodbye, once."""
        if self.closed:
            return
        self.closed = True
        if self._websocket.state is not ConnectionState.CLOSED:
            self._out.append(bytes(self._websocket.send(CloseConnection(code=code))))

    def data_to_send(self) -> bytes:
        """Return the bytes for the transport, each once."""
        out = b"".join(self._out)
        self._out.clear()
        return out
