"""TLS inside a tunnel's stream, server side: ciphertext from one transport, an inner protocol above.

asyncio's and uvloop's own TLS wraps sockets; a port-forward's stream is none, so this drives
`ssl.MemoryBIO`. Invariants: nothing waits for anything here, bytes in make bytes out; what one piece of
input brings about is written at once; the inner protocol exists only after a good handshake; any error
of TLS closes the outer transport, after the alert that says why. One loop, no lock.
Departure from asyncio's TLS: close_notify is sent and not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_log = structlog.get_logger(__name__)

#: Seconds for a handshake, as asyncio's own TLS allows.
HANDSHAKE_TIMEOUT_S: Final = 60.0

_READ_BYTES: Final = 64 * 1024


class TlsOverProtocol(asyncio.Protocol):
    """The protocol of the outer transport; the inner one sees plain bytes.

    Args:
        ssl_context: server side; may choose another context by name with its `sni_callback`.
        inner_factory: called once, after the handshake, with what tells who the client is.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext,
        inner_factory: Callable[[ssl.SSLObject], asyncio.Protocol],
        *,
        handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        self._inner_factory = inner_factory
        self._handshake_timeout_s = handshake_timeout_s
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = ssl_context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._outer: asyncio.Transport | None = None  # None before it is made and after it is lost
        self._inner: asyncio.Protocol | None = None  # None until the handshake is done
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: list[bytes] = []  # plain bytes OpenSSL could not take in mid-handshake
        self._reading = True
        self._writing_paused = False
        self._receiving = False
        self._ended = False  # the client sent close_notify, or the stream ended
        self.closing = False

    # --- from the outer transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client's hello."""
        self._outer = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._handshake_timeout_s, self.abort)

    def data_received(self, data: bytes) -> None:
        """Take ciphertext; answer the handshake, or hand plain bytes to the inner protocol."""
        if self.closing:
            return
        self._incoming.write(data)
        self._advance()

    def eof_received(self) -> bool:
        """End the inner protocol's input; TLS has no half-open connections, so all is closed."""
        self._end_input()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the inner protocol, where there is one."""
        self.closing = True
        self._outer = None
        if self._timer is not None:
            self._timer.cancel()
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass back-pressure on."""
        self._writing_paused = True
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass the end of back-pressure on."""
        self._writing_paused = False
        if self._inner is not None:
            self._inner.resume_writing()

    # --- from the inner protocol's transport ---

    def write(self, data: bytes) -> None:
        """Encrypt and send; after close it goes nowhere."""
        if data and not self.closing:
            self._unsent.append(data)
            self._guarded(self._encrypt)
            self._flush()

    def close(self) -> None:
        """Say goodbye in TLS and close the outer transport."""
        if self.closing:
            return
        self.closing = True
        # An error: the client's close_notify is not here, or the handshake was not done.
        with contextlib.suppress(ssl.SSLError):
            self._ssl.unwrap()
        self._receiving = False
        self._flush()
        if self._outer is not None:
            self._outer.close()

    def abort(self) -> None:
        """Cut the outer transport off."""
        self.closing = True
        if self._outer is not None:
            self._outer.abort()

    def set_reading(self, *, reading: bool) -> None:
        """Stop or start handing plain bytes on, and the outer transport's reading with it."""
        if self._reading == reading or self._outer is None:
            return
        self._reading = reading
        if reading:
            self._outer.resume_reading()
            asyncio.get_running_loop().call_soon(self._advance)
        else:
            self._outer.pause_reading()

    def extra_info(self, name: str, default: Any) -> Any:
        """Answer for TLS here, for the rest as the outer transport does."""
        if name == "ssl_object":
            return self._ssl
        if name == "sslcontext":
            return self._ssl.context
        if name == "peercert":
            return self._ssl.getpeercert()
        if name == "cipher":
            return self._ssl.cipher()
        return default if self._outer is None else self._outer.get_extra_info(name, default)

    # --- TLS ---

    def _advance(self) -> None:
        if self._outer is None:
            return
        self._receiving = True
        self._guarded(self._step)
        self._receiving = False
        self._flush()

    def _step(self) -> None:
        if self._inner is None:
            self._ssl.do_handshake()
            self._start()
        self._encrypt()
        while self._reading and not self.closing:
            data = self._ssl.read(_READ_BYTES)
            if not data:
                self._end_input()
                return
            self._to_inner(data)

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step of TLS as far as the bytes reach; an error of TLS closes everything."""
        try:
            step()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._end_input()
        except ssl.SSLError as error:
            _log.info("TLS in a tunnel failed", reason=error.reason or str(error))
            self._fail()

    def _fail(self) -> None:
        self.closing = True
        self._receiving = False
        self._flush()  # the alert
        if self._outer is not None:
            self._outer.close()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._inner = self._inner_factory(self._ssl)
        self._inner.connection_made(TlsTransport(self))
        if self._writing_paused:
            self._inner.pause_writing()

    def _to_inner(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)

    def _end_input(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._inner is not None and not self.closing:
            self._inner.eof_received()
        self.close()

    def _encrypt(self) -> None:
        while self._unsent:
            self._ssl.write(self._unsent[0])
            self._unsent.pop(0)

    def _flush(self) -> None:
        if self._outgoing.pending and not self._receiving and self._outer is not None:
            self._outer.write(self._outgoing.read())


class TlsTransport(asyncio.Transport):
    """The inner protocol's side of a `TlsOverProtocol`."""

    def __init__(self, tls: TlsOverProtocol) -> None:
        super().__init__()
        self._tls = tls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        self._tls.write(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt and send pieces as one."""
        self._tls.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return False: TLS is closed in both directions or in none."""
        return False

    def close(self) -> None:
        """Send close_notify and close."""
        self._tls.close()

    def abort(self) -> None:
        """Cut off without goodbye."""
        self._tls.abort()

    def is_closing(self) -> bool:
        """Return whether the end has begun."""
        return self._tls.closing

    def pause_reading(self) -> None:
        """Hand on nothing more for now."""
        self._tls.set_reading(reading=False)

    def resume_reading(self) -> None:
        """Hand on what waits, soon, and what follows."""
        self._tls.set_reading(reading=True)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Answer `ssl_object`, `sslcontext`, `peercert`, `cipher`; else as the outer transport."""
        return self._tls.extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Change nothing: the buffer is the outer transport's, and so are its limits."""

    def get_write_buffer_size(self) -> int:
        """Return 0: nothing waits here."""
        return 0
