"""Hosts on which something that user mode or the lab needs is at fault."""

import errno
from dataclasses import replace

from meta_tests.faults.in_files import of_files
from meta_tests.samples.healthy_host import both, machine, qemu
from qemunet_tests.host import ports
from qemunet_tests.host.icmp import PingGate
from qemunet_tests.host.resources import Disk
from qemunet_tests.isolation.user_namespaces import NamespaceAttempt

FAULTS = (
    of_files("no libslirp", "slirp", "not", "built without libslirp", "--enable-slirp", ("user",),
             change=qemu(netdevs=frozenset({"tap", "bridge"}))),
    of_files("bad libslirp", "slirp", "caution", "libslirp 4.9.2 is a bad release", "upgrade",
             change=qemu(slirp="4.9.2")),
    of_files("no resolver", "dns", "caution", "cannot be read", "nameserver", files={"/etc/resolv.conf": None}),
    of_files("IPv6 resolvers only", "dns", "caution", "names IPv6 servers only: guests cannot resolve", "IPv4",
             files={"/etc/resolv.conf": "nameserver 2001:db8::1\n"}),
    of_files("empty resolver, new libslirp", "dns", "caution", "names no server: libslirp asks 127.0.0.1",
             "nameserver", files={"/etc/resolv.conf": "search lan\n"}),
    of_files("empty resolver, old libslirp", "dns", "caution", "guests cannot resolve names by 10.0.2.3",
             "nameserver", files={"/etc/resolv.conf": "search lan\n"}, change=qemu(slirp="4.7.0")),
    of_files("resolver behind a blank", "dns", "caution", "does not understand ' nameserver 192.168.1.254'", "blank",
             files={"/etc/resolv.conf": " nameserver 192.168.1.254\n"}),
    of_files("ping closed", "ping", "caution", "ping_group_range is 1 0: guests cannot ping outside", "0 2147483647",
             files={"/proc/sys/net/ipv4/ping_group_range": "1\t0\n"}, change=lambda facts: replace(facts,
             ping=PingGate((1, 0), "none"))),
    of_files("ping raw", "ping", "caution", "a dead host can look alive", "0 2147483647",
             change=lambda facts: replace(facts, ping=PingGate((1, 0), "raw socket"))),
    of_files("port taken", "ssh-port", "caution", "port 2222 is taken by qemu-system-x86 (pid 4711)", "kill 4711",
             change=lambda facts: replace(facts, ssh_port=ports.LocalPort(2222, errno.EADDRINUSE, ports.PortOwner(4711,
             "qemu-system-x86")))),
    of_files("port taken by another user", "ssh-port", "caution", "taken by a process of another user", "ss -ltnp",
             change=lambda facts: replace(facts, ssh_port=ports.LocalPort(2222, errno.EADDRINUSE, ports.PortOwner(None,
             None)))),
    of_files("port forbidden", "ssh-port", "caution", "port 22 is below 1024", "from 1024",
             change=lambda facts: replace(facts, ssh_port=ports.LocalPort(22, errno.EACCES))),
    of_files("AppArmor", "namespaces", "not", "kernel.apparmor_restrict_unprivileged_userns=1",
             "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0", ("lab",),
             files={"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"},
             change=lambda facts: replace(facts, namespaces=NamespaceAttempt("id map", errno.EPERM)),
             kind="user namespaces are restricted"),
    of_files("user namespaces off", "namespaces", "not", "kernel.unprivileged_userns_clone=0", "userns_clone=1",
             ("lab",), files={"/proc/sys/kernel/unprivileged_userns_clone": "0\n"},
             change=lambda facts: replace(facts, namespaces=NamespaceAttempt("user namespace", errno.EPERM)),
             kind="user namespaces are restricted"),
    of_files("no user namespaces left", "namespaces", "not", "user.max_user_namespaces=0", "=10000", ("lab",),
             files={"/proc/sys/user/max_user_namespaces": "0\n"}, change=lambda facts: replace(facts,
             namespaces=NamespaceAttempt("user namespace", errno.ENOSPC))),
    of_files("too many namespaces", "namespaces", "not", "a limit on the number of namespaces is reached", "lsns",
             ("lab",), change=lambda facts: replace(facts, namespaces=NamespaceAttempt("user namespace",
             errno.ENOSPC))),
    of_files("container forbids namespaces", "namespaces", "not", "the container (docker) forbids new namespaces",
             "seccomp=unconfined", ("lab",), change=both(machine(container="docker"), lambda facts: replace(facts,
             namespaces=NamespaceAttempt("user namespace", errno.EPERM)))),
    of_files("namespaces refused", "namespaces", "not", "the kernel refuses new namespaces (user namespace failed",
             "root", ("lab",), change=lambda facts: replace(facts, namespaces=NamespaceAttempt("user namespace",
             errno.EPERM))),
    of_files("no dnsmasq", "dnsmasq", "not", "there is no dnsmasq", "sudo apt-get install -y dnsmasq-base", ("lab",),
             change=lambda facts: replace(facts, programs={**facts.programs, "dnsmasq": None})),
    of_files("no setpriv", "setpriv", "not", "there is no setpriv", "util-linux", ("lab",),
             change=lambda facts: replace(facts, programs={**facts.programs, "setpriv": None})),
    of_files("cache closed", "disk", "caution", "cannot be written", "QEMUNET_CACHE",
             change=lambda facts: replace(facts, disk=Disk("/var/cache/qemunet", 9000, writable=False))),
    of_files("disk full", "disk", "caution", "12 MB are free", "make room", change=lambda facts: replace(facts,
             disk=Disk("/var/cache/qemunet", 12, writable=True))),
)  # fmt: skip
