"""One health check of an etcd member as a control plane provider makes it: port-forward, TLS, gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from capim.aio.clock import wall_clock
from capim.certs.issue import client_certificate, new_key
from capim.certs.pem import dump_private_key
from capim.dialer import Dialer, forwarded_port
from capim.wire import etcdrpc

if TYPE_CHECKING:
    from capim.api.workload import KeyPair
    from capim.dialer import ApiServer

_PORT: Final = 2379
_CALL_TIMEOUT_S: Final = 15.0


class MemberUnwellError(ConnectionError):
    """The member answered, but not as a well one does."""


async def check_member(server: ApiServer, etcd_ca: KeyPair, node: str) -> None:
    """Ask the member on a node for its status and the member list.

    Raises:
        OSError: it cannot be reached; `MemberUnwellError` when it has no leader or is not a member.
        APIError: the API server refused the tunnel.
    """
    pod = f"etcd-{node}"
    async with forwarded_port(Dialer(server, "kube-system", pod, _PORT)) as port:
        try:
            await _ask(port, pod, node, _credentials(etcd_ca))
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(f"{pod}: {error.code()}: {error.details()}") from error


def _credentials(etcd_ca: KeyPair) -> Any:
    key = new_key()
    certificate = client_certificate(etcd_ca, key, common_name="capim-stand-in", now=wall_clock())
    return grpc.ssl_channel_credentials(etcd_ca.certificate, dump_private_key(key), certificate)


async def _ask(port: int, pod: str, node: str, credentials: Any) -> None:
    options = [("grpc.ssl_target_name_override", pod), ("grpc.default_authority", pod)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        status = await _call(channel, "Maintenance", "Status", "StatusRequest", "StatusResponse")
        members = await _call(
            channel, "Cluster", "MemberList", "MemberListRequest", "MemberListResponse"
        )
    if not status.leader or node not in {member.name for member in members.members}:
        raise MemberUnwellError(f"{pod} has no leader or is not among the members")


async def _call(channel: Any, service: str, name: str, request: str, response: str) -> Any:
    method = channel.unary_unary(
        etcdrpc.method(service, name),
        response_deserializer=lambda data: etcdrpc.decode(response, data),
    )
    return await method(etcdrpc.new(request).SerializeToString(), timeout=_CALL_TIMEOUT_S)
