"""What is found out once of a request that comes again and again, as those of informers and controllers do.

To parse the path, to choose the form of the answer and to look its counters up would be a third of the
price of a GET. One loop, no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.server.endpoints import endpoint_of
from capim.server.metrics import RequestLabels
from capim.server.negotiation import PLAIN, form_of
from capim.server.routes import PathInfo, RequestInfo, parse_request
from capim.server.warnings import deprecation
from capim.server.writers import writer_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from capim.api.resources import ResourceTable
    from capim.server.exchange import Exchange
    from capim.server.metrics import Durations
    from capim.server.routes import Query
    from capim.server.writers import Writer

#: a cluster is asked for some tens of paths
_REQUESTS_LIMIT: Final = 64
#: clients that ask for one path, told apart by what they accept and by their name
_CLIENTS_LIMIT: Final = 16
#: programs behind which a person sits, as a real server tells them
_PEOPLE: Final = (b"curl", b"Wget", b"Mozilla/5.0")
_READS: Final = frozenset({"get", "list", "watch"})
#: of kinds that are questions: there are none to be shown in a table
_ASKED: Final = ("create",)
_TRUE: Final = frozenset({"1", "true", "True", "TRUE", "t", "T"})


class Recurring:
    """A method and a target, and what they come to."""

    __slots__ = ("_as_stored", "counted", "endpoint", "info", "reads", "warning")

    def __init__(self, info: RequestInfo | PathInfo) -> None:
        resource = info if isinstance(info, RequestInfo) else None
        self.info = info
        self.endpoint = endpoint_of(resource) if resource else None  #: what answers for the store
        self.warning = deprecation(resource.resource) if resource else ""
        self.reads = resource is not None and resource.verb in _READS
        self.counted: dict[int, Durations] = {}  #: where it is counted, by status code
        #: Accept and User-Agent of clients that are sent what is stored
        self._as_stored: set[tuple[bytes | None, bytes | None]] = set()

    def writer(self, headers: Mapping[bytes, bytes], clock: Callable[[], float]) -> Writer | None:
        """Return what makes another form of the answer; None where what is stored is what is sent.

        Raises:
            APIError: 406, the client takes no form that there is.
        """
        client = (headers.get(b"accept"), headers.get(b"user-agent"))
        if client in self._as_stored:
            return None
        info = self.info
        if isinstance(info, PathInfo):
            return None
        form = form_of(
            (client[0] or b"").decode("latin-1"),
            watch=info.verb == "watch",
            collection=not info.name,
            custom=info.resource.custom,
            tables=info.resource.verbs != _ASKED,
        )
        pretty = info.verb != "watch" and is_pretty(headers, info.query)
        if form is not PLAIN or pretty:
            return writer_for(form, info, clock, pretty=pretty)
        if len(self._as_stored) < _CLIENTS_LIMIT:
            self._as_stored.add(client)
        return None


class RecurringRequests:
    """What the clients of one cluster ask for, as long as it serves the same kinds."""

    def __init__(self, table: ResourceTable) -> None:
        self._table = table
        self._requests: dict[tuple[str, bytes], Recurring] = {}

    def find(self, table: ResourceTable, exchange: Exchange) -> Recurring:
        """Tell what is asked for; `table`: of what is served now.

        Raises:
            APIError: 404 for what is not served, 405 for a method that the resource does not take.
        """
        if table is not self._table:
            self._table = table
            self._requests.clear()
        key = (exchange.method, exchange.target)
        found = self._requests.get(key)
        if found is None:
            found = Recurring(parse_request(table, key[0], key[1].decode("latin-1")))
            if len(self._requests) >= _REQUESTS_LIMIT:
                self._requests.clear()
            self._requests[key] = found
        return found


def counted_as(info: RequestInfo | PathInfo | None, code: int, cluster: str) -> RequestLabels:
    """Return the labels under which an answer is counted; None: it could not be told what was asked."""
    if not isinstance(info, RequestInfo):
        return RequestLabels("", "", "", "", "", "", "", str(code), cluster)
    resource = info.resource
    scope = "cluster" if info.namespace is None else "namespace"
    return RequestLabels(
        info.verb,
        resource.group,
        resource.version,
        resource.plural,
        info.subresource,
        "resource" if info.name else scope,
        info.query.get("dryRun", "") and "All",
        str(code),
        cluster,
    )


def is_pretty(headers: Mapping[bytes, bytes], query: Query) -> bool:
    """Tell whether JSON is for the eyes of a person."""
    if asked := query.get("pretty"):
        return asked in _TRUE
    return headers.get(b"user-agent", b"").startswith(_PEOPLE)
