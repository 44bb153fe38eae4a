"""What is served under a resource's path and is no stored object: found here, answered elsewhere. No I/O.

`endpoint_of` costs a read of a stored kind one attribute and one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from capim.api.identity import User
from capim.runtime.authorization import Authorizer
from capim.server import accounts, components, pods, reviews, signing, tokensecrets, usage
from capim.server.auth import Authenticator
from capim.server.http import Exchange
from capim.server.routes import RequestInfo
from capim.server.served import Served
from capim.server.tally import Tally

if TYPE_CHECKING:
    from capim.server.http import Response


@dataclass(frozen=True, slots=True)
class Control:
    """What the endpoints of one cluster share."""

    served: Served
    authenticator: Authenticator
    authorizer: Authorizer
    clock: Callable[[], float]
    tally: Tally


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, who asks, and of which cluster."""

    control: Control
    exchange: Exchange
    info: RequestInfo
    user: User


#: None: the exchange is answered already, or will be
Endpoint: TypeAlias = Callable[[Asked], "Response | None"]

_CERTIFICATES: Final = "certificates.k8s.io"
_AUTHENTICATION: Final = "authentication.k8s.io"
_AUTHORIZATION: Final = "authorization.k8s.io"
#: group, plural, subresource
_ENDPOINTS: Final[dict[tuple[str, str, str], Endpoint]] = {
    ("", "bindings", ""): pods.bind,
    ("", "componentstatuses", ""): components.component_statuses,
    ("", "nodes", "proxy"): pods.refuse_proxy,
    ("", "pods", "attach"): pods.refuse_to_run,
    ("", "pods", "binding"): pods.bind,
    ("", "pods", "exec"): pods.refuse_to_run,
    ("", "pods", "log"): pods.show_log,
    ("", "pods", "proxy"): pods.refuse_proxy,
    ("", "secrets", ""): tokensecrets.create_secret,
    ("", "serviceaccounts", "token"): accounts.request_token,
    ("", "services", "proxy"): pods.refuse_proxy,
    ("metrics.k8s.io", "nodes", ""): usage.show_nodes,
    ("metrics.k8s.io", "pods", ""): usage.show_pods,
    (_CERTIFICATES, "certificatesigningrequests", ""): signing.create_request,
    (_CERTIFICATES, "certificatesigningrequests", "approval"): signing.approve,
    (_AUTHENTICATION, "selfsubjectreviews", ""): reviews.review_self,
    (_AUTHENTICATION, "tokenreviews", ""): reviews.review_token,
    (_AUTHORIZATION, "localsubjectaccessreviews", ""): reviews.review_access,
    (_AUTHORIZATION, "selfsubjectaccessreviews", ""): reviews.review_access,
    (_AUTHORIZATION, "selfsubjectrulesreviews", ""): reviews.review_rules,
    (_AUTHORIZATION, "subjectaccessreviews", ""): reviews.review_access,
}


def endpoint_of(info: RequestInfo) -> Endpoint | None:
    """Return what answers instead of the store; None: the store does."""
    resource = info.resource
    if not info.subresource and resource.stored and info.verb != "create":
        return None
    return _ENDPOINTS.get((resource.group, resource.plural, info.subresource))
