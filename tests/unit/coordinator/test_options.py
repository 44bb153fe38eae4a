"""The manager's flags: Go's syntax, the original's defaults, one line for what will not do."""

from __future__ import annotations

from typing import Any

import pytest

from capim.cli import main as cli
from coordinator.options import FLAGS, HelpRequested, OptionError, Options, help_text, parse
from coordinator.ports import PortRange

POD = {"POD_IP": "10.0.0.1", "TMPDIR": "/run/capim"}
REMOTE = [
    "--remote-workers=a=10.0.0.2,b=10.0.0.2,c=10.0.0.1",
    "--advertise-host=10.0.0.1",
    "--worker-listen=tcp://*:9445",
    "--worker-keys=/keys",
]


def test_the_defaults_are_the_originals() -> None:
    options = parse([], POD)
    assert (options.leader_elect, options.leader_elect_lease_duration) == (False, 15.0)
    assert (options.leader_elect_renew_deadline, options.leader_elect_retry_period) == (10.0, 2.0)
    assert (options.cluster_concurrency, options.machine_concurrency) == (10, 10)
    assert (options.sync_period, options.kube_api_qps, options.kube_api_burst) == (600.0, 20.0, 30)
    assert options.webhook_port == 9443
    assert options.webhook_cert_dir == "/tmp/k8s-webhook-server/serving-certs/"  # noqa: S108
    assert (options.health_addr, options.diagnostics_address) == (":9440", ":8443")
    assert (options.verbosity, options.tls_min_version) == (2, "VersionTLS12")
    assert options.port_range == PortRange(20000, 24000)
    assert options.advertise_host == "10.0.0.1"
    assert options.runtime_dir.startswith("/run/capim/capim-")
    assert 1 <= options.workers <= 4


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        pytest.param(["--leader-elect"], "leader_elect", True, id="boolean-alone"),
        pytest.param(["--leader-elect=false"], "leader_elect", False, id="boolean-false"),
        pytest.param(["--leader-elect=T"], "leader_elect", True, id="boolean-letter"),
        pytest.param(["--sync-period", "1m30s"], "sync_period", 90.0, id="next-word"),
        pytest.param(["--sync-period=500ms"], "sync_period", 0.5, id="equals"),
        pytest.param(["--watch_filter=a=b"], "watch_filter", "a=b", id="underscore-and-equals"),
        pytest.param(["--v=4"], "verbosity", 4, id="v"),
        pytest.param(["-v", "4"], "verbosity", 4, id="shorthand"),
        pytest.param(["-v=4"], "verbosity", 4, id="shorthand-equals"),
        pytest.param(["--port-range", "1-2"], "port_range", PortRange(1, 2), id="range"),
        pytest.param(["--health-addr="], "health_addr", "", id="empty-address"),
        pytest.param(["--debug-address", "[::1]:1"], "debug_address", "[::1]:1", id="ipv6"),
        pytest.param(["--namespace", "a", "--namespace", "b"], "namespace", "b", id="last-wins"),
        pytest.param(["--advertise-host=h"], "advertise_host", "h", id="flag-before-pod-ip"),
        pytest.param(
            ["--workload-authorization=RBAC"], "workload_authorization", "RBAC", id="authorization"
        ),
        pytest.param(["--kube-api-qps=0.5"], "kube_api_qps", 0.5, id="fraction"),
    ],
)
def test_go_syntax(arguments: list[str], field: str, value: Any) -> None:
    assert getattr(parse(arguments, POD), field) == value


@pytest.mark.parametrize(
    ("arguments", "environ", "parts"),
    [
        pytest.param(["--nope"], POD, ["--nope", "unknown flag", "--help"], id="unknown"),
        pytest.param(["nope"], POD, ["nope", "unknown flag"], id="no-flag"),
        pytest.param(["--leader-elect", "false"], POD, ["false", "unknown flag"], id="as-in-go"),
        pytest.param(["--namespace"], POD, ["--namespace", "needs a value"], id="no-value"),
        pytest.param([], {}, ["--advertise-host", "POD_IP"], id="no-host"),
        pytest.param(["--port-range=5"], POD, ["--port-range", "20000-24000"], id="one-port"),
        pytest.param(
            ["--worker-ports=a=1-2"], POD, ["--worker-ports", "--remote-workers"], id="no-worker"
        ),
        pytest.param([*REMOTE, "--worker-ports=a=1"], POD, ["name=first-last"], id="no-range"),
        pytest.param(
            [*REMOTE, "--worker-ports=a=1-2,b=1-3"], POD, ["share its ports"], id="two-ranges"
        ),
        pytest.param(
            [*REMOTE, "--worker-ports=c=1-2"], POD, ["set --port-range instead"], id="own-host"
        ),
        pytest.param(["--port-range=2-1"], POD, ["--port-range", "20000-24000"], id="backwards"),
        pytest.param(["--port-range=1-70000"], POD, ["--port-range"], id="beyond"),
        pytest.param(["--sync-period=10"], POD, ["--sync-period", "10s"], id="no-unit"),
        pytest.param(["--sync-period=-1s"], POD, ["--sync-period"], id="negative"),
        pytest.param(["--leader-elect=maybe"], POD, ["--leader-elect", "=true"], id="boolean"),
        pytest.param(["--workers=0"], POD, ["--workers", "write 1 or more"], id="no-workers"),
        pytest.param(["--workers=-1"], POD, ["--workers", "0 or more"], id="fewer-than-none"),
        pytest.param(
            ["--remote-workers=far=10.0.0.2"], POD, ["--worker-listen", "together"], id="unheard"
        ),
        pytest.param(
            ["--worker-keys=/k"], POD, ["--worker-keys", "--remote-workers"], id="keys-alone"
        ),
        pytest.param(
            ["--remote-workers=far"], POD, ["--remote-workers", "name=host"], id="hostless"
        ),
        pytest.param(
            ["--remote-workers=worker-0=h"], POD, ["--remote-workers", "name=host"], id="local-name"
        ),
        pytest.param(["--worker-listen=:1"], POD, ["--worker-listen", "tcp://"], id="no-scheme"),
        pytest.param(["--health-addr=9440"], POD, ["--health-addr", ":9440"], id="no-colon"),
        pytest.param(["--webhook-port=x"], POD, ["--webhook-port"], id="port"),
        pytest.param(["--tls-min-version=1"], POD, ["--tls-min-version"], id="tls"),
        pytest.param(["--kube-api-qps=nan"], POD, ["--kube-api-qps", "a number"], id="no-number"),
        pytest.param(["--logging-format=xml"], POD, ["--logging-format", "json"], id="format"),
        pytest.param(
            ["--leader-elect-renew-deadline=20s"],
            POD,
            ["--leader-elect-lease-duration", "longer than"],
            id="lease-too-short",
        ),
    ],
)
def test_what_will_not_do_is_one_line_with_the_flag_and_the_fix(
    arguments: list[str], environ: dict[str, str], parts: list[str]
) -> None:
    with pytest.raises(OptionError) as refused:
        parse(arguments, environ)
    message = str(refused.value)
    assert all(part in message for part in parts)
    assert "\n" not in message


def test_hosts_may_have_ports_of_their_own() -> None:
    options = parse([*REMOTE, "--worker-ports=a=30000-39999"], {})
    assert options.ports_by_host == {"10.0.0.2": PortRange(30000, 39999)}


def test_help_is_asked_for_and_lists_every_flag() -> None:
    with pytest.raises(HelpRequested):
        parse(["--help"], {})
    text = help_text()
    assert all(f"--{flag.flag}\n" in text for flag in FLAGS)
    assert "(default 15s)" in text


def test_every_option_has_a_flag() -> None:
    assert {flag.field for flag in FLAGS if flag.field} == set(Options.__dataclass_fields__)


def test_flags_that_mean_nothing_here_are_taken_as_the_original_takes_them() -> None:
    ignored = ["--log-flush-frequency=5s", "--log-json-split-stream", "--vmodule", "a=1"]
    assert parse(ignored, POD) == parse([], POD)
    with pytest.raises(OptionError, match="--log-flush-frequency"):
        parse(["--log-flush-frequency=often"], POD)


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        pytest.param([], 0, "Commands:", "", id="nothing"),
        pytest.param(["--version"], 0, "capim ", "", id="version"),
        pytest.param(["nope"], 2, "", "capim: nope: unknown command", id="unknown"),
        pytest.param(["manager", "--help"], 0, "--leader-elect", "", id="manager-help"),
        pytest.param(["manager", "--nope"], 2, "", "capim manager: --nope", id="manager-bad"),
    ],
)
def test_the_command_line(
    arguments: list[str], code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == code
    printed = capsys.readouterr()
    assert printed.out.startswith(out) or out in printed.out
    assert printed.err.startswith(err)
    assert bool(printed.err) == (code != 0)
