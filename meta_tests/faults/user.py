"""Faults of user networking: the resolver, ports, the ping gate, firewalls, and what QEMU is started with."""

import re
import socket

from meta_tests.faults.fault import BRIDGE_SENTINELS, USER_SENTINELS, fault
from meta_tests.faults.wrapper import alter_netdev, alter_qemu, as_bridged, is_literal, without_pair
from qemunet_tests.errors import HarnessError
from qemunet_tests.guest.bench import Bench
from qemunet_tests.guest.guest import Guest
from qemunet_tests.host.asking import Completed
from qemunet_tests.isolation.station import Station
from qemunet_tests.modes.user import UserNetdev
from qemunet_tests.network import Lab, private_etc

_held: list[socket.socket] = []


def filter_packets(station: Station, chains: str) -> None:
    """Give a station a firewall."""
    done = station.run(f"nft 'table inet fault {{ {chains} }}'")
    if not done.succeeded:
        raise HarnessError(f"the fault cannot be planted: {done.complaint}")


@fault(
    "user/dns-resolves",
    cause=r"the resolver 192\.168\.1\.254, .* does not answer",
    sentinels=BRIDGE_SENTINELS,
    core=True,
)
def resolver_dead(lab: Lab) -> None:
    """The first resolver of the host's resolv.conf is dead."""
    lab.resolvers[lab.router].stop()


@fault("user/hostfwd-ssh-2222", cause="port 2222 is taken by", sentinels=BRIDGE_SENTINELS, core=True)
def port_taken(lab: Lab) -> None:
    """Something listens on port 2222 of the host."""
    listener = lab.host.open_socket()
    listener.bind(("", 2222))
    listener.listen()
    _held.append(listener)


@fault("user/address", "user/lease-time", "user/e1000", cause="the cable of the guest's NIC is unplugged",
       sentinels=BRIDGE_SENTINELS)  # fmt: skip
def nic_unplugged(guest: Guest, bench: Bench) -> None:
    """The cable was out when the guest configured its network."""
    if isinstance(guest.nics[0].netdev, UserNetdev):
        guest.check("qemunet-network down; rm -f /run/qemunet/lease.*")
        guest.unplug()
        guest.check("qemunet-network up")


@fault("user/icmp-outside-closed", cause="ping_group_range", sentinels=BRIDGE_SENTINELS, core=True)
def ping_gate_open(lab: Lab) -> None:
    """The host lets every group that exists here open ping sockets, where the claim is about a closed gate."""
    from qemunet_tests.isolation.identity import unprivileged

    gid = unprivileged().gid
    lab.host.set_sysctl("net.ipv4.ping_group_range", f"{gid} {gid}")


@fault("user/not-reachable-unforwarded", cause="QEMU forwards a port", sentinels=BRIDGE_SENTINELS)
def forward_added(guest: Guest, bench: Bench) -> None:
    """A guest that should have no forwards has one."""
    if isinstance(guest.nics[0].netdev, UserNetdev):
        guest.monitor.ask("hostfwd_add tcp::2223-:22")


@fault("user/reach-outside-tcp", "user/reach-outside-udp", cause="the host itself does not reach 203.0.113.10",
       sentinels=BRIDGE_SENTINELS)  # fmt: skip
def outside_cut_off(lab: Lab) -> None:
    """The router has lost its line to the outside."""
    lab.router.bring_down("wan0")


@fault("user/default-network", cause="gave the guest no NIC", sentinels=USER_SENTINELS)
def default_network_off(lab: Lab) -> None:
    """A wrapper starts QEMU with `-nic none`, so that it makes no network of its own accord."""
    alter_qemu(lab, lambda words: [*words, "-nic", "none"] if is_literal(words) and "-netdev" not in words else words)


@fault("user/netdev-without-device", cause="gave the guest a NIC", sentinels=USER_SENTINELS)
def device_added(lab: Lab) -> None:
    """A wrapper adds the device that was left out."""
    device = ["-device", "e1000,netdev=net0"]
    alter_qemu(lab, lambda words: [*words, *device] if is_literal(words) and "-netdev" in words else words)


@fault("user/device-without-netdev", cause="neither one NIC without network, nor one more with",
       sentinels=USER_SENTINELS)  # fmt: skip
def device_left_out(lab: Lab) -> None:
    """A wrapper leaves out the device that was asked for."""
    alter_qemu(lab, lambda words: without_pair(words, "-device") if is_literal(words) and "-device" in words else words)


@fault("user/no-privilege", "user/icmp-outside-closed", cause="with net_raw",
       sentinels=(*BRIDGE_SENTINELS, "user/address"))  # fmt: skip
def qemu_with_capability(lab: Lab) -> None:
    """Somebody gave QEMU the capability to open raw sockets."""
    keep = {"--inh-caps=-all": "--inh-caps=-all,+net_raw", "--ambient-caps=-all": "--ambient-caps=-all,+net_raw"}
    alter_qemu(lab, lambda words: [keep.get(word, word) for word in words])


@fault("user/address", "user/gateway", "user/dns-offered", "user/icmp-gateway", "user/icmp-predicted",
       "user/other-protocols-dropped", "user/gateway-is-host-loopback", cause="-netdev bridge,",
       sentinels=(*BRIDGE_SENTINELS, "user/hostfwd-ssh-2222"))  # fmt: skip
def bridged_instead(lab: Lab) -> None:
    """A management tool plugs guests into the host's bridge that were to have user networking."""
    as_bridged(lab)


@fault("user/gateway", "user/dns-offered", "user/dns-resolves", "user/reach-lan-tcp", "user/reach-outside-udp",
       cause="restrict=on", kind="the guest is restricted",
       sentinels=("user/address", "user/icmp-gateway", "user/smb-absent", "user/hostfwd-loopback-only"))  # fmt: skip
def restricted(lab: Lab) -> None:
    """A management tool isolates its guests with `restrict=on`."""
    alter_netdev(lab, lambda word: f"{word},restrict=on")


@fault("user/reach-lan-tcp", "user/reach-lan-udp", "user/bulk-both-ways",
       cause=r"the host itself does not reach 192\.168\.1\.10",
       sentinels=(*BRIDGE_SENTINELS, "user/reach-outside-tcp"))  # fmt: skip
def neighbour_off(lab: Lab) -> None:
    """The machine on the LAN is switched off."""
    lab.neighbour.bring_down("eth0")


@fault("user/gateway-is-host-loopback", cause="the loopback interface of the host, .* is down",
       sentinels=(*USER_SENTINELS, "user/reach-lan-tcp"))  # fmt: skip
def loopback_down(lab: Lab) -> None:
    """Nobody brought up `lo`, as happens in containers and namespaces made by hand."""
    lab.host.bring_down("lo")


@fault("user/smb-server", cause="does not know its own name", sentinels=(*USER_SENTINELS, "user/smb-absent"))
def own_name_unknown(lab: Lab) -> None:
    """The host's own name is in no file, and no resolver answers: smbd waits longer than the guest."""
    private_etc.replace("hosts", "127.0.0.1 localhost\n")
    filter_packets(lab.router, "chain input { type filter hook input priority 0; udp dport 53 drop; };")


@fault("user/smb-absent", cause="smb=", sentinels=(*BRIDGE_SENTINELS, "user/address", "user/gateway"))
def share_added(lab: Lab) -> None:
    """A management tool shares a folder of the host with every guest."""
    alter_netdev(lab, lambda word: f"{word},smb=/usr/share")


@fault("user/host-firewall-applies", cause="something on the host has taken the firewall's rules away",
       sentinels=USER_SENTINELS)  # fmt: skip
def firewall_flushed(lab: Lab) -> None:
    """Something on the host, a container engine for instance, throws away rules that it did not make."""
    run = lab.host.run

    def flushing(command: str, within_seconds: float = 10.0) -> Completed:
        done = run(command, within_seconds)
        if command.startswith("nft 'table"):
            run("nft flush ruleset")
        return done

    lab.host.run = flushing


@fault("user/icmp-outside-open", "user/icmp-outside-raw", "user/icmp-outside-closed", "user/icmp-predicted",
       cause="answers nobody's ping", sentinels=(*USER_SENTINELS, "user/reach-outside-tcp"))  # fmt: skip
def outside_ignores_ping(lab: Lab) -> None:
    """The machine outside answers no echo requests, as many do."""
    lab.outside.set_sysctl("net.ipv4.icmp_echo_ignore_all", "1")


@fault("user/icmp-outside-open", "user/icmp-outside-raw",
       cause="echo request to .* where this stands: .*chain out: icmp type echo-request drop",
       sentinels=(*USER_SENTINELS, "user/reach-outside-tcp"))  # fmt: skip
def pings_kept_in(lab: Lab) -> None:
    """The firewall that further hosts of the LAN come with lets no ping out, neither their own nor QEMU's."""
    add_host = lab.add_host

    def firewalled(*words: str) -> Station:
        station = add_host(*words)
        filter_packets(station, "chain out { type filter hook output priority 0; icmp type echo-request drop; };")
        return station

    lab.add_host = firewalled


@fault("user/traceroute", "user/icmp-as-the-post-says", cause="the host is not told by ICMP",
       sentinels=(*USER_SENTINELS, "user/reach-outside-udp", "user/icmp-outside-open"))  # fmt: skip
def icmp_errors_dropped(lab: Lab) -> None:
    """The router lets no ICMP errors pass, and sends none, as overcautious firewalls do."""
    rule = "icmp type { time-exceeded, destination-unreachable } drop"
    hooks = ("forward", "output")
    chains = " ".join(f"chain {hook} {{ type filter hook {hook} priority 0; {rule}; }};" for hook in hooks)
    filter_packets(lab.router, chains)


@fault("user/traceroute", "user/icmp-as-the-post-says", cause="the host is not told by ICMP that nobody listens",
       sentinels=(*USER_SENTINELS, "user/reach-outside-udp", "user/icmp-outside-open"))  # fmt: skip
def closed_ports_untold(lab: Lab) -> None:
    """The host's own firewall lets in no ICMP that says that a port is closed: QEMU is not told either."""
    rule = "icmp type destination-unreachable drop"
    filter_packets(lab.host, f"chain input {{ type filter hook input priority 0; {rule}; }};")


@fault("user/hostfwd-any-address", cause="the host's firewall drops what comes from there",
       sentinels=(*USER_SENTINELS, "user/hostfwd-ssh-2222"))  # fmt: skip
def firewall_against_the_lan(lab: Lab) -> None:
    """The host's firewall lets nobody on the LAN open connections to it."""
    rule = 'iifname "br0" tcp flags syn / syn,ack drop'
    filter_packets(lab.host, f"chain input {{ type filter hook input priority 0; {rule}; }};")


@fault("user/hostfwd-loopback-only", "user/hostfwd-one-address", cause="hostfwd=tcp::2222-:7007",
       sentinels=(*USER_SENTINELS, "user/hostfwd-any-address"), kind="a forward is open to everybody")  # fmt: skip
def forwards_for_everybody(lab: Lab) -> None:
    """A management tool forgets the host address of forwards."""
    alter_netdev(lab, lambda word: re.sub(r"hostfwd=tcp:[\d.]+:", "hostfwd=tcp::", word))


@fault("user/hostfwd-udp", "user/hostfwd-several", cause="where -netdev .*hostfwd=udp",
       sentinels=(*USER_SENTINELS, "user/hostfwd-any-address"))  # fmt: skip
def udp_forwards_lost(lab: Lab) -> None:
    """A management tool knows forwards of TCP only."""
    alter_netdev(lab, lambda word: re.sub(r",hostfwd=udp:[^,]*", "", word))


@fault("user/hostfwd-ssh-2222", "user/hostfwd-guest-default", "user/hostfwd-udp",
       cause=r"a forward leads to 10\.0\.2\.\d+, and the guest has", kind="a forward to another address",
       sentinels=("user/address", "user/not-reachable-unforwarded", "bridge/lease-address"))  # fmt: skip
def guest_with_static_address(guest: Guest, bench: Bench) -> None:
    """The guest has an address of its own choice, and the forward leads to another."""
    if not isinstance(guest.nics[0].netdev, UserNetdev) or not guest.nics[0].netdev.hostfwd:
        return
    guest.await_lease(0, 10)
    guest.check("ip addr flush dev eth0; ip addr add 10.0.2.99/24 dev eth0; ip route add default via 10.0.2.2")


@fault("user/hostfwd-guest-given", cause=r"hostfwd=tcp::2222-10\.0\.2\.78:7007",
       sentinels=(*USER_SENTINELS, "user/hostfwd-any-address"), kind="a forward to another address")  # fmt: skip
def forward_misdirected(lab: Lab) -> None:
    """Somebody mistook the guest's address in the rule for the forward."""
    alter_netdev(lab, lambda word: word.replace("-10.0.2.77:", "-10.0.2.78:"))


@fault("user/hostfwd-bad-syntax", "user/hostfwd-port-taken", cause="QEMU starts",
       sentinels=(*USER_SENTINELS, "user/hostfwd-any-address"))  # fmt: skip
def rules_swallowed(lab: Lab) -> None:
    """A wrapper swallows rules that it does not understand or cannot fulfil."""
    drop = re.compile(r",hostfwd=[^,]*")
    alter_qemu(lab, lambda words: words if "-device" in words else [drop.sub("", word) for word in words])
