"""Which certificate a client gets: chosen by server name, issued when first needed, kept.

A name `etcd-<node>` of a present member gets that member's certificate of the etcd authority and `h2`;
everything else the API server's of the cluster's authority and `http/1.1`. Client certificates are
asked for optionally, because OpenSSL keeps the verify mode of the first context when SNI swaps it;
what to do without one is decided after the handshake. The swapped context does bring its own
authorities, so an etcd client is verified against the etcd authority.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from capim.certs.contexts import server_context
from capim.certs.issue import LIFETIME_S, api_server_hosts, new_key, serving_certificate
from capim.certs.pem import dump_private_key
from capim.server.served import Authorities

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.certs.pem import PrivateKey
    from capim.server.served import Served

_ETCD_PREFIX: Final = "etcd-"
#: kubeadm's members are called so as well, on their own machine and through a forwarded port
_ETCD_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
#: certificates are issued anew in the last half of their life
_RENEW_AFTER_S: Final = LIFETIME_S / 2


class ServingKey:
    """The key of a process: one for all its certificates."""

    def __init__(self, key: PrivateKey | None = None) -> None:
        self.key = key or new_key()
        self.pem = dump_private_key(self.key)


@dataclass(frozen=True, slots=True)
class _Issued:
    """A context, and what its certificate was made of."""

    context: ssl.SSLContext
    authorities: Authorities
    host: str
    at: float
    expired: bool


class Contexts:
    """The SSL contexts of one cluster. One loop, no lock."""

    def __init__(self, served: Served, key: ServingKey, clock: Callable[[], float]) -> None:
        self._served = served
        self._key = key
        self._clock = clock
        #: faults: certificates are issued that have expired; no handshake succeeds
        self.expired = self.broken = False
        self._issued: dict[str, _Issued] = {}  #: by member name; the empty name is the API server
        #: of each etcd context while a connection has it, though its member left or it was issued
        #: anew since: what was verified against the etcd authority must never pass for the cluster's
        self._members: WeakKeyDictionary[ssl.SSLContext, str] = WeakKeyDictionary()

    def close(self) -> None:
        """Let go of the contexts: each has 45 KiB, and would refer to itself by way of this."""
        for issued in self._issued.values():
            issued.context.sni_callback = None
        self._issued.clear()

    def api(self) -> ssl.SSLContext:
        """Return the API server's context, which also chooses by server name.

        Raises:
            CertificateError: the cluster's authority cannot sign.
        """
        return self._context("")

    def etcd(self, member: str) -> ssl.SSLContext | None:
        """Return the context of a present etcd member, by its Node's name; None: no such member."""
        names = {it.name for it in self._served.etcd.members()}
        for gone in self._issued.keys() - names - {""}:
            del self._issued[gone]
        return self._context(member) if member in names else None

    def member_of(self, context: ssl.SSLContext) -> str | None:
        """Tell whose context this is: a member's name, or None for the API server."""
        return self._members.get(context)

    def _context(self, member: str) -> ssl.SSLContext:
        served = self._served
        known = self._issued.get(member)
        if known is not None and self._is_fresh(known):
            return known.context
        if served.authorities is None:
            raise RuntimeError("the cluster has no authorities yet")  # a listener does not open so
        make = self._make_etcd if member else self._make_api
        context = make(member, served.authorities)
        now = self._clock()
        self._issued[member] = _Issued(
            context, served.authorities, served.advertised_host, now, self.expired
        )
        return context

    def _is_fresh(self, issued: _Issued) -> bool:
        served = self._served
        same = issued.authorities == served.authorities and issued.host == served.advertised_host
        same = same and issued.expired == self.expired
        return same and self._clock() - issued.at < _RENEW_AFTER_S

    def _born(self) -> float:
        """Return when a certificate is to have been issued: so long ago that it is over, by a fault."""
        return self._clock() - (2 * LIFETIME_S if self.expired else 0.0)

    def _make_api(self, _: str, authorities: Authorities) -> ssl.SSLContext:
        served = self._served
        hosts = api_server_hosts(served.advertised_host, served.service_ip, served.service_domain)
        pem = serving_certificate(
            authorities.ca,
            self._key.key,
            common_name="kube-apiserver",
            hosts=[*hosts, *served.extra_hosts],
            now=self._born(),
        )
        context = server_context(pem, self._key.pem, authorities.ca.certificate, ["http/1.1"])
        context.sni_callback = self._choose
        return context

    def _make_etcd(self, member: str, authorities: Authorities) -> ssl.SSLContext:
        name = _ETCD_PREFIX + member
        pem = serving_certificate(
            authorities.etcd_ca,
            self._key.key,
            common_name=name,
            hosts=[name, member, *_ETCD_HOSTS],
            now=self._born(),
            client_auth=True,
        )
        context = server_context(pem, self._key.pem, authorities.etcd_ca.certificate, ["h2"])
        self._members[context] = member
        return context

    def _choose(
        self, connection: ssl.SSLObject, server_name: str | None, _: ssl.SSLContext
    ) -> int | None:
        if self.broken:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        context = self._named(server_name or "")
        if connection.context is not context:
            connection.context = context
        return None

    def _named(self, server_name: str) -> ssl.SSLContext:
        if server_name.startswith(_ETCD_PREFIX):
            context = self.etcd(server_name.removeprefix(_ETCD_PREFIX))
            if context is not None:
                return context
        return self._context("")
