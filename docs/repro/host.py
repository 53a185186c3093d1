"""A network of one's own in the place of the host's, for an ordinary user too. For the scripts beside this file."""

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from frames import QEMU, checksum

NEW_MOUNTS, NEW_USERS, NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
BIND = 4096
SET_ADDRESS, SET_MASK, GET_FLAGS, SET_FLAGS, GET_INDEX = 0x8916, 0x891C, 0x8913, 0x8914, 0x8933
SET_TUN, ADD_BRIDGE, ADD_PORT = 0x400454CA, 0x89A0, 0x89A2
LIBC = ctypes.CDLL(None, use_errno=True)


def own_network(*addresses, loopback=True):
    """Leave the host's network for one with a loopback interface alone, which has these addresses too."""
    user, group = os.getuid(), os.getgid()
    _done(LIBC.unshare(NEW_MOUNTS | NEW_USERS | NEW_NETWORK))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    if loopback:
        up("lo")
    for number, address in enumerate(addresses, 1):
        up(f"lo:{number}", address, "255.255.255.255")


def resolv_conf(*servers):
    """Have these resolvers in /etc/resolv.conf."""
    with tempfile.NamedTemporaryFile("w", suffix=".resolv.conf", delete=False) as file:
        file.write("".join(f"nameserver {server}\n" for server in servers))
    os.chmod(file.name, 0o644)  # noqa: PTH101
    _done(LIBC.mount(file.name.encode(), os.path.realpath("/etc/resolv.conf").encode(), None, BIND, None))
    os.unlink(file.name)  # noqa: PTH108


def hide_all_devices_but(*names):
    """There is nothing in /dev but these."""
    held = {name: os.open(f"/dev/{name}", os.O_PATH) for name in names}
    _done(LIBC.mount(b"none", b"/dev", b"tmpfs", 0, None))
    for name, device in held.items():
        place = Path("/dev", name)
        place.parent.mkdir(exist_ok=True)
        place.touch()
        _done(LIBC.mount(f"/proc/self/fd/{device}".encode(), os.fsencode(place), None, BIND, None))


@contextlib.contextmanager
def qemu_on_tap(options):
    """QEMU with a tap that it makes with these options and without scripts: whether it starts, and while it runs."""
    still = ["-M", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"]
    words = [QEMU, *still, "-netdev", f"tap,id=t,script=,downscript=,{options}"]
    silent = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, **silent) as qemu:
        # It greets once everything is made.
        yield bool(qemu.stdout.readline())
        qemu.kill()


def add_bridge(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, ADD_BRIDGE, name.encode().ljust(16, b"\0"))


def put_into_bridge(bridge, interface):
    """Whether that can be done."""
    place = struct.pack("=16si20x", bridge.encode(), socket.if_nametoindex(interface))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, contextlib.suppress(OSError):
        fcntl.ioctl(any_socket, ADD_PORT, place)
        return True
    return False


def up(interface, address=None, mask="255.255.255.0"):
    """Give an interface its address, if any, and switch it on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = interface.encode().ljust(16, b"\0")
        for request, value in ((SET_ADDRESS, address), (SET_MASK, mask)) if address else ():
            fcntl.ioctl(any_socket, request, name + struct.pack("=HH", 2, 0) + socket.inet_aton(value) + bytes(16))
        flags = struct.unpack("=16xh", fcntl.ioctl(any_socket, GET_FLAGS, name + bytes(24))[:18])[0]
        fcntl.ioctl(any_socket, SET_FLAGS, name + struct.pack("=h", flags | 1) + bytes(22))


class Lan:
    """192.0.2.0/24 and 2001:db8::/64: the host is .1 and ::1 there, the script is everybody else."""

    def __init__(self, address="192.0.2.1"):
        self.packets = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.packets, SET_TUN, b"lan".ljust(16, b"\0") + struct.pack("=H", 0x1001) + bytes(22))
        up("lan", address)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
            index = struct.unpack("=16xi", fcntl.ioctl(any_socket, GET_INDEX, b"lan".ljust(40, b"\0"))[:20])[0]
            own = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
            fcntl.ioctl(any_socket, SET_ADDRESS, own + struct.pack("=Ii", 64, index))

    def packet(self, protocol, seconds=2):
        """The next packet of a protocol that the host sends there; None when none comes in time."""
        while select.select([self.packets], [], [], seconds)[0]:
            packet = os.read(self.packets, 65536)
            if packet[9 if packet[0] >> 4 == 4 else 6] == protocol:
                return packet
        return None

    def unreachable(self, packet):
        """The router, 192.0.2.254, tells the host that nobody has the address that this packet was for."""
        error = struct.pack(">BBHI", 3, 1, 0, 0) + packet[:28]
        error = error[:2] + struct.pack(">H", checksum(error)) + error[4:]
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(error), 7, 0, 64, 1, 0)
        header += socket.inet_aton("192.0.2.254") + packet[12:16]
        os.write(self.packets, header[:10] + struct.pack(">H", checksum(header)) + header[12:] + error)


def _done(status):
    if status:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
