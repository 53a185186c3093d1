"""`qemunet run --target host` on hosts made of namespaces: healthy, without a DHCP server, behind a firewall."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meta_tests.samples.host_machine import HOST, LAN, PEER, HostMachine
from meta_tests.user_accounts import CHECKOUT
from qemunet_tests.network.fixed_mac import fixed_mac

#: Holds whatever is wrong with a bridge, a route or a resolver.
SENTINEL = "user/address"
#: Everything of a machine that a run could leave changed.
STATE = """
ip -o link | sed 's/state.*//'; ip -o -4 addr; ip route; nft list ruleset; bridge link | sed 's/state.*//'
sysctl -a 2>/dev/null | grep -E 'net.ipv4.(ip_forward|ping_group|ip_unpriv)|bridge'; ls -lR /etc/qemu; ls /dev/shm
cat /etc/resolv.conf /etc/hosts; ss -lntu 2>/dev/null; mount | sort
"""


def test_a_healthy_host_holds_what_is_asked_of_it(machine: HostMachine) -> None:
    before = machine.type(STATE)
    verdicts = machine.run("--bridge", "br0", "bridge/lease-address", "user/dns-resolves", "user/address")
    assert {each["verdict"] for each in verdicts.values()} == {"holds"}, machine.said
    assert machine.status == 0
    told = machine.results["network"]
    assert {told[name] for name in ("bridge", "link")} == {"br0"}
    assert (told["address"], told["router"], told["neighbour"]) == (HOST, LAN, None)
    assert told["uplink"] == "up0"
    assert machine.type(STATE) == before
    assert not machine.leftovers()


def test_a_broken_host_is_told_its_causes(machine: HostMachine) -> None:
    # Root on a host of his own reads whatever he likes: what is wrong has to be in the file.
    machine.type("echo allow virbr0 > /etc/qemu/bridge.conf; ip route add blackhole 192.168.77.1/32")
    verdicts = machine.run("--bridge", "br0", "--peer", PEER, "bridge/lease-address", "user/reach-lan-tcp", SENTINEL)
    assert machine.status == 1
    assert {claim: each["verdict"] for claim, each in verdicts.items()} == {
        "bridge/lease-address": "broken",
        "user/reach-lan-tcp": "broken",
        SENTINEL: "holds",
    }, machine.said
    lease, reach = verdicts["bridge/lease-address"], verdicts["user/reach-lan-tcp"]
    assert "allows no bridge called br0" in lease["reason"]
    assert lease["remedy"] == "echo 'allow br0' | sudo tee -a /etc/qemu/bridge.conf"
    assert "the route blackhole 192.168.77.1 says so" in reach["reason"]
    assert reach["remedy"] == "sudo ip route del blackhole 192.168.77.1"


@pytest.mark.slow  # minutes: each of its tests asks again and again
def test_a_peer_at_which_nobody_listens_was_reached(machine: HostMachine) -> None:
    # As Debian 13 has it: a copy without the capability that makes it everybody's.
    machine.type("cp $(command -v ping) /mnt/ping; mount --bind /mnt/ping $(command -v ping)")
    asked = ("bridge/reach-lan", "user/reach-lan-tcp", SENTINEL, "bridge/reachable-ping")
    verdicts = machine.run("--bridge", "br0", "--peer", f"{LAN}:7008", *asked)
    for claim in asked[:2]:
        nobody = f"{LAN} was reached and refuses: nobody listens at its port 7008, or a firewall, there or on the way, "
        assert verdicts[claim]["reason"] == f"{nobody}resets the connection", machine.said
        start = "start the echo service there: socat TCP-LISTEN:7008,fork,reuseaddr EXEC:cat; "
        assert verdicts[claim]["remedy"].startswith(start)
    assert verdicts[SENTINEL]["verdict"] == "holds"
    if machine.made_by_root:
        unable = verdicts["bridge/reachable-ping"]
        assert (unable["verdict"], "may not ping" in str(unable["reason"])) == ("unavailable", True), machine.said
        assert unable["remedy"] == 'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"'


def test_a_peer_that_is_the_host_itself_is_refused(machine: HostMachine) -> None:
    done = machine.qemunet("run", "--target", "host", "--peer", f"{HOST}:7007", SENTINEL)
    assert done.returncode == 2
    assert f"--peer: {HOST} is this host itself" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_healthy_host(machine: HostMachine) -> None:
    before = machine.type(STATE)
    verdicts = machine.run("--bridge", "br0", "--peer", PEER)
    worse = {id_: each for id_, each in verdicts.items() if each["verdict"] in ("broken", "inconclusive")}
    assert not worse, machine.said
    assert machine.status == 0
    for claim in ("lease-address", "lease-gateway", "lease-dns", "reachable-ssh", "bulk-both-ways", "full-size-packets",
                  "address-unique", "mac-unique"):  # fmt: skip
        assert verdicts[f"bridge/{claim}"]["verdict"] == "holds", verdicts[f"bridge/{claim}"]
    assert machine.type(STATE) == before
    assert not machine.leftovers()
    leased = machine.server_log()
    assert set(re.findall(r"DHCPDISCOVER\(lan0\) (?:\S+ )?(\S+)", leased)) == {fixed_mac("bridge")}
    assert leased.count("DHCPRELEASE") > 0
    notes = " ".join(machine.results["notes"])
    assert "the gateway 192.168.77.1 (this host's default route over br0)" in notes


@pytest.mark.slow
def test_without_a_dhcp_server(machine: HostMachine) -> None:
    machine.stop(machine.dhcp)
    verdicts = machine.run("--bridge", "br0", "bridge/lease-address", "bridge/reachable-ping", "user/address")
    assert machine.status == 1
    for claim in ("bridge/lease-address", "bridge/reachable-ping"):
        assert verdicts[claim]["verdict"] == "broken"
        assert re.search("no DHCP server answers on the LAN behind br0", verdicts[claim]["reason"]), verdicts[claim]
        assert verdicts[claim]["remedy"].startswith("start the LAN's DHCP server")
    assert verdicts["user/address"]["verdict"] == "holds"


@pytest.mark.slow
def test_behind_a_firewall_that_drops_bridged_frames(machine: HostMachine) -> None:
    machine.type("nft 'table bridge wall { chain guard { type filter hook forward priority 0; policy drop; }; }'")
    asked = ("--bridge", "br0", "bridge/lease-address", "bridge/backend-is-tap-in-bridge", "user/address")
    by_user, by_root = machine.run(*asked), machine.run(*asked, uid=0 if machine.made_by_root else None)
    assert "seen at tap0 and not at up0" in by_user["bridge/lease-address"]["reason"]
    found = by_root["bridge/lease-address"]
    assert "table bridge wall, chain guard: type filter hook forward" in found["reason"], found
    machine.type(found["remedy"].replace("sudo ", ""))
    assert {each["verdict"] for each in machine.run(*asked).values()} == {"holds"}


@pytest.mark.slow
def test_nothing_is_left_of_a_run_that_was_killed(machine: HostMachine) -> None:
    process = machine.begin("--bridge", "br0", "bridge/*")
    machine.wait_for("a guest on the bridge", "ls /sys/class/net/br0/brif/ | grep tap")
    machine.stop(process)
    machine.wait_for("nothing to be left", "! pgrep qemu-system && ! ls /dev/shm/qemunet-* 2>/dev/null")
    assert not machine.leftovers()


@pytest.mark.slow
def test_what_is_expected_is_compared(machine: HostMachine) -> None:
    expected = machine.folder / "lan.toml"
    wrong = 'range = "192.168.77.50-192.168.77.60"\ngateway = "192.168.77.254"\nserver = "192.168.77.254"\n'
    expected.write_text(f'{wrong}names = ["printer.lan"]\n')
    expected.chmod(0o644)
    verdicts = machine.run(
        "--bridge", "br0", "--expect", str(expected), "bridge/lease-gateway", "bridge/lease-server", "user/dns-resolves"
    )
    assert (verdicts["bridge/lease-gateway"]["expected"], verdicts["bridge/lease-gateway"]["verdict"]) == (
        "192.168.77.254",
        "broken",
    )
    assert "the lease comes from 192.168.77.1, not from" in verdicts["bridge/lease-server"]["reason"]
    assert "printer.lan is 192.168.77.9" in verdicts["user/dns-resolves"]["observed"]
    assert "the gateway 192.168.77.254 (--expect lan.toml)" in " ".join(machine.results["notes"])


def test_no_frame_goes_onto_a_bridge_that_was_not_named(machine: HostMachine) -> None:
    verdicts = machine.run("bridge/lease-address", "bridge/reach-lan", "user/reach-lan-tcp", "user/icmp-outside-raw")
    assert {each["verdict"] for each in verdicts.values()} == {"unavailable"}
    assert verdicts["bridge/lease-address"]["remedy"] == "--bridge NAME"
    assert "DHCPDISCOVER" not in machine.server_log()


#: Were it tried after all, nothing would be sent.
HARMLESS = "user/netdev-without-device"


def qemunet(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command on the machine that these tests run on: only what does nothing."""
    return subprocess.run(
        [sys.executable, "-m", "qemunet_tests", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )


def test_a_dry_run_says_what_would_appear() -> None:
    said = qemunet("run", "--target", "host", "--dry-run", "--peer", "192.0.2.7:7007")
    assert said.returncode == 0, said.stderr
    assert "no bridge was named" in said.stdout
    assert "echo requests to 192.0.2.7:7007" in said.stdout
    said = qemunet("run", "--target", "host", "--dry-run", "--peer", "[2001:DB8:0::7]:7007")
    assert "echo requests to [2001:db8::7]:7007" in said.stdout, said.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--as", "nobody-at-all"], "--as: there is no user 'nobody-at-all'"),
        (["-n", "2"], "-n 2: guests of one host share its ports and one MAC address"),
        (["--peer", "printer:7"], "--peer: 'printer' is not an IPv4 address"),
        (["--peer", "224.0.0.1:7"], "--peer: '224.0.0.1' is not an IPv4 address of one machine"),
        (["--peer", "127.0.0.1:7"], "--peer: 127.0.0.1 is this host itself"),
        (["--peer", "0.0.0.0:7"], "--peer: 0.0.0.0 is this host itself"),
        (["--peer", "2001:db8::7:7"], "--peer: '2001:db8::7:7' is not ADDR:PORT, for instance 192.168.1.7:7777 or ["),
        (["--peer", "[2001:db8::7]"], "is not ADDR:PORT"),
        (["--peer", "[2001:db8::7]:0"], "is not ADDR:PORT"),
        (["--peer", "[2001:db8::7:7"], "is not ADDR:PORT"),
        (["--peer", "[2001:db8:::7]:7"], "--peer: '2001:db8:::7' is not an IPv4 address of one machine, nor an IPv6"),
        (["--peer", "[ff02::1]:7"], "--peer: 'ff02::1' is not an IPv4 address of one machine, nor an IPv6 address"),
        (["--peer", "[fe80::1]:7"], "--peer: fe80::1 is another machine on every link"),
        (["--peer", "[fe80::1%br0]:7"], "is not ADDR:PORT"),
        (["--peer", "[::1]:7"], "--peer: ::1 is this host itself"),
        (["--peer", "[::]:7"], "--peer: :: is this host itself"),
        (["--peer", "[::ffff:192.0.2.7]:7"], "is an IPv4 address: write 192.0.2.7"),
    ],
)
def test_errors_of_use(words: list[str], complaint: str) -> None:
    said = qemunet("run", "--target", "host", *words, HARMLESS)
    assert (said.returncode, said.stdout) == (2, "")
    assert complaint in said.stderr
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("range = '192.168.1.9'", "range: '192.168.1.9' is not FIRST-LAST"),
        ("gateway = 'router'", "router"),
        ("colour = 'blue'", "'colour' is none of range, server, gateway, dns, names"),
        ("range = ", "Invalid value"),
    ],
)
def test_an_expectation_that_is_wrong(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "lan.toml").write_text(text)
    said = qemunet("run", "--target", "host", "--expect", str(tmp_path / "lan.toml"), HARMLESS)
    assert said.returncode == 2
    assert complaint in said.stderr
    assert said.stderr.count("\n") == 1


def test_one_mac_per_host_and_mode(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    found = set()
    for machine_id in ("1" * 32, "2" * 32):
        (tmp_path / "etc/machine-id").write_text(machine_id + "\n")
        found |= {fixed_mac(mode, tmp_path) for mode in ("bridge", "user", "bridge")}
    assert len(found) == 4
    assert all(int(mac[:2], 16) & 3 == 2 for mac in found), json.dumps(sorted(found))


def test_a_host_as_installed_has_no_bridged_mode_until_a_bridge_is_named(machine: HostMachine) -> None:
    machine.type("rm -r /etc/qemu; ip link del br0; ip addr add 192.168.77.2/24 dev up0")
    verdicts = machine.run("bridge/acl-*", "bridge/helper-found", "bridge/setuid-missing", SENTINEL)
    assert verdicts.pop(SENTINEL)["verdict"] == "holds"
    assert {each["verdict"] for each in verdicts.values()} == {"unavailable"}, machine.said
    assert len(verdicts) > 6
    unnamed = verdicts["bridge/acl-not-listed"]
    assert (unnamed["reason"], unnamed["remedy"]) == (
        "no bridge of this host was named, and frames go onto none that was not",
        "--bridge NAME",
    )
    assert machine.status == 0


def test_a_refusal_by_a_missing_list_is_told_its_remedy(machine: HostMachine) -> None:
    machine.type("rm -r /etc/qemu")
    asked = ("--bridge", "br0", "bridge/acl-not-listed", "bridge/acl-allow", SENTINEL)
    verdicts = machine.run(*asked)
    assert verdicts.pop(SENTINEL)["verdict"] == "holds"
    for each in verdicts.values():
        assert each["verdict"] == "broken", machine.said
        assert each["reason"] == "/etc/qemu/bridge.conf cannot be read: No such file or directory"
    (remedy,) = {each["remedy"] for each in verdicts.values()}
    machine.type(remedy.replace("sudo ", ""))
    assert {each["verdict"] for each in machine.run(*asked).values()} == {"holds"}, machine.said
