"""The manager's flags: the original's names and defaults, Go's syntax, and errors that name the fix.

Go's syntax (pflag): `--flag value` or `--flag=value`; a boolean stands alone or takes `=true|false`, never
the next word; `_` in a name counts as `-`; `-v 4` is `--v=4`. Durations are written as `1m30s`.
"""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from capim.api.meta import parse_duration
from capim.api.workload import Authorization, Simulation
from coordinator.ports import PortRange
from coordinator.tlsoptions import TLSOptions

DEFAULT_PORTS: Final = PortRange(20000, 24000)


class OptionError(ValueError):
    """A flag that cannot be used; the message is one line with the flag and the fix."""


class HelpRequested(Exception):
    """`--help` was given."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the manager was told. Durations in seconds; addresses as `host:port`, host may be empty."""

    leader_elect: bool = False
    leader_elect_lease_duration: float = 15.0
    leader_elect_renew_deadline: float = 10.0
    leader_elect_retry_period: float = 2.0
    namespace: str = ""
    watch_filter: str = ""
    profiler_address: str = ""
    contention_profiling: bool = False
    cluster_concurrency: int = 10
    machine_concurrency: int = 10
    sync_period: float = 600.0
    kube_api_qps: float = 20.0
    kube_api_burst: int = 30
    webhook_port: int = 9443
    webhook_cert_dir: str = "/tmp/k8s-webhook-server/serving-certs/"  # noqa: S108 - the original's
    webhook_cert_name: str = "tls.crt"
    webhook_key_name: str = "tls.key"
    health_addr: str = ":9440"
    diagnostics_address: str = ":8443"
    insecure_diagnostics: bool = False
    metrics_bind_addr: str = ""
    tls_min_version: str = "VersionTLS12"
    tls_cipher_suites: str = ""
    feature_gates: str = ""
    verbosity: int = 2
    logging_format: str = "text"
    kubeconfig: str = ""
    advertise_host: str = ""
    workers: int = 0  #: 0: as many as there are processors, four at most
    port_range: PortRange = DEFAULT_PORTS
    bind_host: str = ""
    runtime_dir: str = ""
    debug_address: str = "127.0.0.1:19000"
    workload_simulation: Simulation = Simulation.STATUS
    workload_authorization: Authorization = Authorization.ALWAYS_ALLOW
    remote_workers: tuple[tuple[str, str], ...] = ()  #: name and advertised host of each
    worker_ports: tuple[tuple[str, PortRange], ...] = ()  #: of remote workers that have their own
    worker_listen: str = ""
    worker_keys: str = ""
    state_dir: str = ""
    journal_sync: str = "normal"

    @property
    def ports_by_host(self) -> dict[str, PortRange]:
        """The range of each host that has its own."""
        hosts = dict(self.remote_workers)
        return {hosts[name]: ports for name, ports in self.worker_ports}


@dataclass(frozen=True, slots=True)
class _Flag:
    field: str  #: of Options; empty: taken and ignored
    parse: Callable[[str], Any]
    fix: str  #: how to write it, for errors and help
    help: str
    name: str = ""

    @property
    def flag(self) -> str:
        return self.name or self.field.replace("_", "-")


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    return known[text.lower()]


def _duration(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 0:
        raise ValueError("negative")
    return seconds


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("not positive")
    return number


def _rate(text: str) -> float:
    number = float(text)
    if math.isnan(number):
        raise ValueError("no number")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError("no port")
    return number


def parse_port_range(text: str) -> PortRange:
    """Read `first-last`. Raises ValueError for anything that is no range of ports."""
    first, _, last = text.partition("-")
    ports = PortRange(int(first), int(last))
    if not 1 <= ports.first <= ports.last <= 65535:
        raise ValueError("no range")
    return ports


def _address(text: str) -> str:
    if text and text != "0":
        host, colon, port = text.rpartition(":")
        if not colon or (":" in host and not host.startswith("[")):
            raise ValueError("no address")
        _port(port)
    return text


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("negative")
    return number


def _journal_sync(text: str) -> str:
    if text not in {"normal", "full"}:
        raise ValueError(text)
    return text


def _remote_workers(text: str) -> tuple[tuple[str, str], ...]:
    found = [entry.partition("=")[::2] for entry in text.split(",") if entry]
    names = [name for name, _ in found]
    if not all(_WORKER_NAME.fullmatch(name) and host for name, host in found):
        raise ValueError("no name or no host")
    if len(set(names)) != len(names) or any(_LOCAL_NAME.fullmatch(name) for name in names):
        raise ValueError("a name twice, or one of a local worker")
    return tuple(found)


def _worker_ports(text: str) -> tuple[tuple[str, PortRange], ...]:
    found = [entry.partition("=")[::2] for entry in text.split(",") if entry]
    if len({name for name, _ in found}) != len(found):
        raise ValueError("a name twice")
    return tuple((name, parse_port_range(ports)) for name, ports in found)


def _tcp_address(text: str) -> str:
    if text:
        scheme, _, rest = text.partition("://")
        if scheme != "tcp" or not rest.rpartition(":")[0]:
            raise ValueError("no address")
        _address(rest)
    return text


def _log_format(text: str) -> str:
    if text not in {"text", "json"}:
        raise ValueError("unknown")
    return text


_A_BOOLEAN: Final = "alone, or =true or =false"
_A_DURATION: Final = "a duration such as 10s or 1m30s"
_A_COUNT: Final = "a whole number, at least 1"
_A_NUMBER: Final = "a number"
_A_WHOLE: Final = "a whole number, 0 or more"
_A_PORT: Final = "a port from 0 to 65535"
A_PORT_RANGE: Final = "two ports from 1 to 65535, such as 20000-24000"
_AN_ADDRESS: Final = "an address such as :9440 or 127.0.0.1:9440; 0 or empty: off"
_A_TEXT: Final = "a text"
_REMOTE_WORKERS: Final = "name=host,... with names such as capim-worker-0, but not worker-0"
_WORKER_PORTS: Final = "name=first-last,... such as capim-worker-0=20000-29999"
_A_TCP_ADDRESS: Final = "an address such as tcp://0.0.0.0:9445"
_WORKER_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LOCAL_NAME: Final = re.compile(r"worker-\d+")

FLAGS: Final = (
    _Flag(
        "leader_elect", _boolean, _A_BOOLEAN, "Let one manager of several be active, by a Lease."
    ),
    _Flag(
        "leader_elect_lease_duration",
        _duration,
        _A_DURATION,
        "How long a candidate waits before it takes a Lease that is not renewed.",
    ),
    _Flag(
        "leader_elect_renew_deadline",
        _duration,
        _A_DURATION,
        "How long a leader tries to renew its Lease before it gives up and ends.",
    ),
    _Flag("leader_elect_retry_period", _duration, _A_DURATION, "The time between tries."),
    _Flag("namespace", str, _A_TEXT, "The only namespace to watch; empty: all."),
    _Flag(
        "watch_filter",
        str,
        _A_TEXT,
        "Reconcile objects only whose label cluster.x-k8s.io/watch-filter has this value.",
    ),
    _Flag(
        "profiler_address",
        _address,
        _AN_ADDRESS,
        "Serves stacks of tasks and threads; guarded as --diagnostics-address is, but not on loopback.",
    ),
    _Flag(
        "contention_profiling", _boolean, _A_BOOLEAN, "Let the event loop report slow callbacks."
    ),
    _Flag("cluster_concurrency", _count, _A_COUNT, "Clusters reconciled at once."),
    _Flag("machine_concurrency", _count, _A_COUNT, "Machines reconciled at once."),
    _Flag("sync_period", _duration, _A_DURATION, "Reconcile everything at least this often."),
    _Flag("kube_api_qps", _rate, _A_NUMBER, "Requests a second to the API server; 0: no limit."),
    _Flag("kube_api_burst", _count, _A_COUNT, "Requests at once to the API server."),
    _Flag("webhook_port", _port, _A_PORT, "Port of the webhook server; 0: no webhooks."),
    _Flag("webhook_cert_dir", str, _A_TEXT, "Folder of the webhook server's certificate."),
    _Flag("webhook_cert_name", str, _A_TEXT, "The certificate's file in it."),
    _Flag("webhook_key_name", str, _A_TEXT, "The key's file in it."),
    _Flag("health_addr", _address, _AN_ADDRESS, "Serves /healthz and /readyz."),
    _Flag(
        "diagnostics_address",
        _address,
        _AN_ADDRESS,
        "Serves /metrics, by TLS and to authorized callers unless --insecure-diagnostics.",
    ),
    _Flag(
        "insecure_diagnostics", _boolean, _A_BOOLEAN, "Serve diagnostics by plain HTTP to anybody."
    ),
    _Flag(
        "metrics_bind_addr",
        _address,
        _AN_ADDRESS,
        "Deprecated: --diagnostics-address with --insecure-diagnostics.",
    ),
    _Flag("tls_min_version", str, "VersionTLS12 or VersionTLS13", "Of the webhook server."),
    _Flag("tls_cipher_suites", str, "names with commas", "For TLS 1.2 of the webhook server."),
    _Flag("feature_gates", str, "name=true|false,...", "Taken and ignored: nothing is gated."),
    _Flag(
        "verbosity",
        int,
        _A_NUMBER,
        "Log verbosity: 0 problems, 2 events, 4 details, 6 requests.",
        name="v",
    ),
    _Flag("logging_format", _log_format, "text or json", "How log lines are written."),
    *(
        _Flag("", parse, fix, "Taken and ignored: how the original buffers its log.", name=name)
        for name, parse, fix in (
            ("log-flush-frequency", _duration, _A_DURATION),
            ("log-json-info-buffer-size", str, _A_TEXT),
            ("log-json-split-stream", _boolean, _A_BOOLEAN),
            ("log-text-info-buffer-size", str, _A_TEXT),
            ("log-text-split-stream", _boolean, _A_BOOLEAN),
        )
    ),
    _Flag(
        "", str, "pattern=number,...", "Taken and ignored: --v holds everywhere.", name="vmodule"
    ),
    _Flag(
        "kubeconfig",
        str,
        _A_TEXT,
        "The management cluster; default: KUBECONFIG, else the pod's. Followed when credentials change.",
    ),
    _Flag(
        "advertise_host",
        str,
        _A_TEXT,
        "Host of the workload clusters' endpoints; default: the environment's POD_IP.",
    ),
    _Flag(
        "workers",
        _whole,
        _A_WHOLE,
        "Local worker processes; default: processors, four at most, none beside --remote-workers.",
    ),
    _Flag(
        "port_range", parse_port_range, A_PORT_RANGE, "Ports of the workload clusters' listeners."
    ),
    _Flag("bind_host", str, _A_TEXT, "Address the listeners bind; empty: all."),
    _Flag("runtime_dir", str, _A_TEXT, "Private folder for sockets and locks."),
    _Flag(
        "remote_workers",
        _remote_workers,
        _REMOTE_WORKERS,
        "Workers that others start (`capim worker`), each with the host by which clients reach it.",
    ),
    _Flag(
        "worker_ports",
        _worker_ports,
        _WORKER_PORTS,
        "Ports of remote workers' listeners where --port-range will not do; those of two hosts may overlap.",
    ),
    _Flag(
        "worker_listen", _tcp_address, _A_TCP_ADDRESS, "Where the remote workers connect, by TCP."
    ),
    _Flag("worker_keys", str, _A_TEXT, "Folder of the keys for that connection: see `capim keys`."),
    _Flag(
        "state_dir",
        str,
        _A_TEXT,
        "Folder of the workers' journals: workload clusters outlive any process; empty: they do not.",
    ),
    _Flag(
        "journal_sync",
        _journal_sync,
        "normal or full",
        "What the journal survives: any process's death, or loss of power as well (slower).",
    ),
    _Flag(
        "debug_address",
        _address,
        _AN_ADDRESS,
        "Serves /shards, /listeners and /clusters; guarded as --diagnostics-address is, but not on loopback.",
    ),
    _Flag(
        "workload_simulation",
        Simulation,
        "off, status or pods",
        "What becomes of Deployments, Jobs and the like in workload clusters: nothing, statuses that say "
        "what specs ask for, or pods that are bound to nodes and run.",
    ),
    _Flag(
        "workload_authorization",
        Authorization,
        "AlwaysAllow or RBAC",
        "What decides who may do what in workload clusters: nothing, or their own roles.",
    ),
)

_BY_NAME: Final = {flag.flag: flag for flag in FLAGS}


def parse(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """Read the command line.

    Raises:
        OptionError: an unknown flag, a bad value, or a setting that is missing.
        HelpRequested: `--help` was among the arguments.
    """
    given: dict[str, Any] = {}
    words = list(arguments)
    while words:
        flag, text = _next_flag(words)
        try:
            value = flag.parse(text)
        except (ValueError, KeyError, OverflowError):
            raise OptionError(f"--{flag.flag}: {text!r} will not do: write {flag.fix}") from None
        if flag.field:
            given[flag.field] = value
    return _completed(given, environ)


def _next_flag(words: list[str]) -> tuple[_Flag, str]:
    word = words.pop(0)
    if word in {"--help", "-h"}:
        raise HelpRequested
    if word.startswith("-v") and not word.startswith("--"):  # -v4, -v=4 and -v 4
        word = f"--v={rest}" if (rest := word[2:].removeprefix("=")) else "--v"
    name, equals, text = word.removeprefix("--").partition("=")
    flag = _BY_NAME.get(name.replace("_", "-"))
    if not word.startswith("--") or flag is None:
        raise OptionError(f"{word}: unknown flag: `capim manager --help` lists them")
    if equals:
        return flag, text
    if flag.parse is _boolean:
        return flag, "true"
    if not words:
        raise OptionError(f"--{flag.flag}: needs a value: write {flag.fix}")
    return flag, words.pop(0)


def _completed(given: dict[str, Any], environ: Mapping[str, str]) -> Options:
    host = given.get("advertise_host") or environ.get("POD_IP", "")
    if not host:
        raise OptionError(
            "--advertise-host: not set, and the environment has no POD_IP:"
            " name the host by which clients reach the workload clusters"
        )
    given["advertise_host"] = host
    given.setdefault("workers", 0 if given.get("remote_workers") else min(os.cpu_count() or 1, 4))
    given["runtime_dir"] = given.get("runtime_dir") or _default_runtime_dir(environ)
    options = Options(**given)
    _check_durations(options)
    _check_workers(options)
    _check_worker_ports(options)
    try:
        TLSOptions.parse(options.tls_min_version, options.tls_cipher_suites)
    except ValueError as error:
        raise OptionError(str(error)) from error
    return options


def _check_workers(options: Options) -> None:
    """Let nobody run without workers, or hear remote ones without knowing who they are."""
    remote = bool(options.remote_workers)
    if not options.workers and not remote:
        raise OptionError("--workers: 0 will not do without --remote-workers: write 1 or more")
    for flag, value in (
        ("--worker-listen", options.worker_listen),
        ("--worker-keys", options.worker_keys),
    ):
        if remote is not bool(value):
            raise OptionError(
                f"{flag}: goes with --remote-workers: set --remote-workers, --worker-listen and"
                " --worker-keys together, or none of them"
            )


def _check_worker_ports(options: Options) -> None:
    """Let nobody give ports to a worker there is not, or two ranges to one address."""
    hosts = dict(options.remote_workers)
    ranges: dict[str, PortRange] = {}
    for name, ports in options.worker_ports:
        if name not in hosts:
            raise OptionError(f"--worker-ports: {name} is not in --remote-workers: name it there")
        if ranges.setdefault(hosts[name], ports) != ports:
            raise OptionError(
                f"--worker-ports: the workers of {hosts[name]} share its ports: give them one range"
            )
    if options.advertise_host in ranges:
        raise OptionError(
            f"--worker-ports: {options.advertise_host} is --advertise-host: set --port-range instead"
        )


def _check_durations(options: Options) -> None:
    """Keep client-go's rule: a lease outlives the tries to renew it, or two could lead."""
    lease, deadline = options.leader_elect_lease_duration, options.leader_elect_renew_deadline
    if not lease > deadline > options.leader_elect_retry_period > 0:
        raise OptionError(
            "--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline,"
            " and that longer than --leader-elect-retry-period"
        )


def _default_runtime_dir(environ: Mapping[str, str]) -> str:
    """Return a folder of this user's own; a Unix socket's path must be short."""
    base = environ.get("XDG_RUNTIME_DIR")
    if base:
        return os.path.join(base, "capim")
    return os.path.join(environ.get("TMPDIR") or "/tmp", f"capim-{os.geteuid()}")  # noqa: S108


def help_text() -> str:
    """Return what `capim manager --help` prints."""
    defaults = {field.name: field.default for field in fields(Options)}
    lines = ["Usage: capim manager [flags]", ""]
    for flag in FLAGS:
        default = defaults.get(flag.field)
        shown = f" (default {_shown(flag, default)})" if default else ""
        lines.append(f"  --{flag.flag}")
        lines += textwrap.wrap(
            flag.help + shown, width=96, initial_indent=" " * 8, subsequent_indent=" " * 8
        )
    return "\n".join(lines) + "\n"


def _shown(flag: _Flag, default: object) -> str:
    return f"{default:g}s" if flag.parse is _duration else str(default)
