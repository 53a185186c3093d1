"""Everything that is known about this host without booting anything, gathered once."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.cache import cache_root
from qemunet_tests.doctor import packet_facts
from qemunet_tests.doctor.packet_facts import PacketFacts
from qemunet_tests.errors import Unavailable, UsageError
from qemunet_tests.host import (
    acl,
    bridges,
    credentials,
    devices,
    firewall,
    guest_macs,
    helper_program,
    icmp,
    kvm,
    network_managers,
    nft_listing,
    paths_in_binary,
    ports,
    resolver,
    resolver_query,
    resources,
    routes,
    security_modules,
    system,
    uplink,
)
from qemunet_tests.host.asking import ask_here
from qemunet_tests.host.bridges import BridgePort
from qemunet_tests.host.files import MACHINE, read_int, under
from qemunet_tests.host.guest_macs import DEFAULT_MAC
from qemunet_tests.host.nft_listing import NftListing
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.search_path import search_path
from qemunet_tests.host.socket_table import Protocol
from qemunet_tests.isolation import user_namespaces
from qemunet_tests.isolation.identity import unprivileged
from qemunet_tests.qemu import kvm_probe_cache, passt, qemu_binaries, qemu_facts
from qemunet_tests.qemu.kvm_probe import Trial
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.user_names import user_name

#: The port that the documentation forwards to a guest's SSH server.
SSH_FORWARD_PORT = 2222
#: Others that the tests of the real host forward.
OTHER_FORWARD_PORTS: tuple[tuple[int, Protocol], ...] = ((2222, "udp"), (2223, "tcp"))
#: Programs the lab runs, looked for where administrators' programs are as well.
LAB_PROGRAMS = ("dnsmasq", "setpriv")
_PROGRAM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class HostFacts:
    """What the checks judge. `root` is where settings are read that only an explanation needs.

    `trial` is what booting under KVM showed in this boot of the machine, None where nobody tried. `smb_server` is the
    program that QEMU starts for smb= and whether it is there. `tracked` is how many connections the kernel tracks and
    how many it can, None where it tracks none. `way_out` is the card of the default route, `uplink` what it has.
    """

    root: Path
    user: str
    machine: system.HostSystem
    credentials: credentials.Credentials
    qemu: Qemu | None
    qemu_obstacle: Obstacle | None
    kvm: kvm.Kvm
    trial: Trial | None
    tun: devices.Device
    vhost_net: devices.Device
    helper: helper_program.Helper
    acl: acl.Acl
    bridges: tuple[bridges.HostBridge, ...]
    resolver: resolver.ResolverSettings
    ping: icmp.PingGate
    namespaces: user_namespaces.NamespaceAttempt
    ssh_port: ports.LocalPort
    memory: resources.Memory
    disk: resources.Disk
    programs: Mapping[str, str | None]
    emulators: tuple[qemu_binaries.Emulator, ...]
    smb_server: tuple[str, bool] | None
    passt: passt.Passt | None
    routes: routes.Routes
    way_out: BridgePort | None
    uplink: uplink.Uplink | None
    liveliness: resolver_query.ResolverState
    other_ports: tuple[ports.LocalPort, ...]
    firewall: firewall.Firewall
    managers: network_managers.Managers
    confinement: security_modules.Confinement
    default_mac_pids: tuple[int, ...]
    tracked: tuple[int, int] | None
    packets: PacketFacts | None = None

    @property
    def sudo(self) -> str:
        return self.credentials.sudo


def gather(root: Path = MACHINE, environment: Mapping[str, str] = os.environ) -> HostFacts:
    """Read it all, in well under a second. With another `root` nothing is tried on this machine."""
    here = root == MACHINE
    # They answer while everything else is looked at.
    answered = qemu_binaries.begin(environment) if here else lambda: ()
    ourselves = credentials.read(root)
    found, missing = _qemu(root)
    where = helper_program.read(found.helper_path if found else None, root)
    plugged, asked, ways = bridges.read(root), resolver.read(root), routes.read(root)
    services, card = network_managers.read(root), _card(ways, here)
    filters = nft_listing.read(ask_here) if here and ourselves.may(credentials.CAP_NET_ADMIN) else None
    return HostFacts(
        root=root,
        user=user_name(ourselves.uid),
        machine=system.read(root, environment),
        credentials=ourselves,
        qemu=found,
        qemu_obstacle=missing,
        kvm=kvm.read(root),
        trial=_trial(found) if here else None,
        tun=devices.read(devices.TUN, root),
        vhost_net=devices.read(devices.VHOST_NET, root),
        helper=where,
        acl=acl.read(acl.path_read_by(where.path, root), root),
        bridges=plugged,
        resolver=asked,
        ping=icmp.read(ourselves, root),
        namespaces=user_namespaces.attempt() if here else user_namespaces.NamespaceAttempt(None),
        ssh_port=ports.read(SSH_FORWARD_PORT) if here else ports.LocalPort(SSH_FORWARD_PORT, None),
        memory=resources.memory(root),
        disk=resources.disk(cache_root(), root),
        programs={name: _program(name, environment, here) for name in LAB_PROGRAMS},
        emulators=answered(),
        smb_server=_smb_server(found, root),
        passt=passt.find(environment) if here else None,
        routes=ways,
        way_out=bridges.card(card, root) if card else None,
        uplink=uplink.read(card, services, root) if card else None,
        liveliness=resolver_query.ask(asked.used) if here else resolver_query.NOT_ASKED,
        other_ports=tuple(ports.read(number, root, protocol) for number, protocol in OTHER_FORWARD_PORTS if here),
        # Without a bridge it concerns no guest, and looking may load a module of the kernel.
        firewall=firewall.read(ourselves, filters) if here and plugged else firewall.NOT_ASKED,
        managers=services,
        confinement=security_modules.read(root),
        default_mac_pids=guest_macs.guests_with(DEFAULT_MAC, root=root),
        tracked=_tracked(root),
        packets=_packets(ourselves, asked, ways, plugged, filters) if here else None,
    )


def _card(ways: routes.Routes, here: bool) -> str | None:
    """The interface of the default route, by IPv6 where there is none by IPv4."""
    if ways.defaults or not here:
        return next((way.interface for way in ways.defaults), None)
    return next((way.get("dev") for way in packet_facts.default_routes_by_ipv6()), None)


def _packets(
    ourselves: credentials.Credentials,
    asked: resolver.ResolverSettings,
    ways: routes.Routes,
    plugged: tuple[bridges.HostBridge, ...],
    filters: NftListing | None,
) -> PacketFacts:
    gateways = tuple(str(way.gateway) for way in ways.defaults if way.gateway)
    return packet_facts.gather(ourselves, unprivileged().uid, asked.used, gateways, plugged, filters)


def describe(root: Path = MACHINE) -> dict[str, str | int | None]:
    """The part of results.json that tells the reader which host this was."""
    found = system.read(root)
    return {
        "kernel": found.kernel,
        "distribution": found.distribution,
        "architecture": found.architecture,
        "cpus": found.cpus,
        "memory_mb": resources.memory(root).total_mb,
        "virtualisation": found.virtualisation,
        "container": found.container,
        "ci": found.ci,
    }


def _qemu(root: Path) -> tuple[Qemu | None, Obstacle | None]:
    if root != MACHINE:
        return None, Obstacle("QEMU is not installed", "install it")
    try:
        return qemu_facts.find(), None
    except Unavailable as lacking:
        return None, Obstacle(lacking.reason, lacking.remedy)
    except UsageError as wrong:
        return None, Obstacle(str(wrong), "name another with --qemu")


def _smb_server(found: Qemu | None, root: Path) -> tuple[str, bool] | None:
    if found is None:
        return None
    server = paths_in_binary.path_ending(str(found.path), "/smbd", root)
    return (server, under(root, server).is_file()) if server else None


def _tracked(root: Path) -> tuple[int, int] | None:
    folder = "/proc/sys/net/netfilter"
    count, most = (read_int(root, f"{folder}/nf_conntrack_{name}") for name in ("count", "max"))
    return None if count is None or not most else (count, most)


def _trial(found: Qemu | None) -> Trial | None:
    if found is None:
        return None
    # A run that root starts has its guests belong to another user.
    answers = (kvm_probe_cache.recall(found, uid) for uid in (os.geteuid(), unprivileged().uid))
    return next((answer for answer in answers if answer is not None), None)


def _program(name: str, environment: Mapping[str, str], here: bool) -> str | None:
    return shutil.which(name, path=search_path(_PROGRAM_FOLDERS, environment=environment)) if here else None
