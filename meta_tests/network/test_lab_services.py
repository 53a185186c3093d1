"""What the lab serves: where a server of ours died or hangs, nothing is called broken."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meta_tests.planted.lab_failing import FAILS
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.deadline import Deadline
from qemunet_tests.network import Lab
from qemunet_tests.network.dnsmasq import Dnsmasq, DnsServer
from qemunet_tests.network.services import Services


def send(server: Dnsmasq, number: int) -> None:
    process = server._process
    assert process
    os.kill(process.pid, number)
    if number == signal.SIGKILL:
        process.wait()


def test_all_of_a_lab_serves(lab: Lab) -> None:
    assert lab.services.failing() is None


def test_a_server_that_hangs_or_dies(lab: Lab, tmp_path: Path) -> None:
    """One of its own: what a test starts is ended with it."""
    server = DnsServer(lab._station("spare"), tmp_path)
    services = Services({"the DNS server": server.failing})
    assert services.failing() is None
    send(server, signal.SIGSTOP)
    # Asked before it has stopped, it is waited for as one that answers nothing.
    stopped = Deadline(30, "the server to be stopped")
    assert stopped.sees(lambda: services.failing() == "the DNS server is stopped"), services.failing()
    send(server, signal.SIGCONT)
    assert Deadline(30, "the server to go on").sees(lambda: services.failing() is None)
    send(server, signal.SIGKILL)
    assert services.failing() == "the DNS server has ended (status -9)"
    server.start()
    assert services.failing() is None
    server.stop()
    assert services.failing() is None, "it was ended on purpose"


def test_a_server_that_runs_and_answers_nothing(lab: Lab) -> None:
    station = lab.neighbour
    deaf = "nft 'table ip deaf { chain input { type filter hook input priority 0; udp dport 53 drop; }; }'"
    assert station.run(deaf).succeeded
    try:
        assert lab.services.failing() == "the DNS server at neighbour answers nothing"
        before = set(lab.services._on_purpose)
        lab.services.excuse()
        assert lab.services.failing() is None
        lab.services._on_purpose = before
    finally:
        assert station.run("nft delete table ip deaf").succeeded
    assert lab.services.failing() is None


def test_a_router_that_forwards_nothing(lab: Lab) -> None:
    lab.router.set_sysctl("net.ipv4.ip_forward", "0")
    try:
        assert lab.services.failing() == "the router forwards nothing"
    finally:
        lab.router.set_sysctl("net.ipv4.ip_forward", "1")


def test_an_echo_service_that_is_closed(lab: Lab) -> None:
    places = lab.echo.places
    lab.echo.places = []
    try:
        lab.echo.open_at(lab.outside, "203.0.113.10", 7009)
        assert not lab._echo_failing(lab.outside, "203.0.113.10", 7009)
        assert lab._echo_failing(lab.outside, "203.0.113.10", 7010) == "answers nothing"
    finally:
        lab.echo.places = places


#: Fails as a claim does whose guest gets no lease, without a guest.
NO_LEASE = """
import pytest
@pytest.mark.claim("bridge/lease-address")
def test_lease(target, claim):
    claim.sees("no lease")
    assert False, "the guest has no lease"
"""
KILLED = (signal.SIGKILL, "the LAN's DHCP server has ended (status -9)")
HANGS = (signal.SIGSTOP, "the LAN's DHCP server is stopped")


def verdict_with(number: int, report: Path, *words: str) -> dict[str, Any]:
    """What becomes of bridge/lease-address where the DHCP server gets a signal when the lab stands."""
    command = [
        sys.executable, "-m", "pytest", *words, "-p", "meta_tests.planted.lab_failing", "-p", "no:cacheprovider",
        f"--qemunet-report={report}", "--qemunet-claims=bridge/lease-address",
    ]  # fmt: skip
    environment = {**os.environ, FAILS: str(int(number))}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert (report / "results.json").is_file(), done.stdout + done.stderr
    (verdict,) = json.loads((report / "results.json").read_text())["verdicts"]
    return dict(verdict)


@pytest.mark.parametrize(("number", "why"), [KILLED, HANGS], ids=["killed", "hangs"])
def test_nothing_is_broken_by_a_server_of_ours(tmp_path: Path, number: int, why: str) -> None:
    (tmp_path / "test_it.py").write_text(NO_LEASE)
    verdict = verdict_with(number, tmp_path / "report", str(tmp_path / "test_it.py"))
    assert (verdict["verdict"], verdict["remedy"]) == ("inconclusive", None)
    assert verdict["reason"] == f"in the lab, {why}; without it the test saw: the guest has no lease"


def test_where_all_serves_it_is_broken(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(NO_LEASE)
    verdict = verdict_with(0, tmp_path / "report", str(tmp_path / "test_it.py"))
    assert verdict["verdict"] == "broken", verdict


@pytest.mark.slow
@pytest.mark.parametrize(("number", "why"), [KILLED, HANGS], ids=["killed", "hangs"])
def test_a_guest_without_a_lease_breaks_nothing_then(tmp_path: Path, number: int, why: str) -> None:
    verdict = verdict_with(number, tmp_path, "--pyargs", "qemunet_tests.conformance")
    assert verdict["verdict"] == "inconclusive", verdict
    assert verdict["reason"].startswith(f"in the lab, {why}; without it the test saw: ")
