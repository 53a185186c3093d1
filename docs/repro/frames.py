"""QEMU's user network without a guest: frames go in and come out by a Unix socket. For the scripts beside this file.

with Network("tftp=/some/folder") as network:
    network.send_udp(69, b"\0\1name\0octet\0")
    print(network.udp_answer())
"""

import contextlib
import os
import socket
import struct
import subprocess
import tempfile

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
MAC, GATEWAY_MAC = bytes.fromhex("525400123456"), bytes.fromhex("52550a000202")
GUEST, GATEWAY = "10.0.2.15", "10.0.2.2"
PORT = 20000


class Network:
    """`-netdev user` with these options; a frame that was sent has been looked at when `taken` says so."""

    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory()
        near, far = (f"{self.folder.name}/{name}" for name in ("near", "far"))
        self.far, self.socket = far, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(near)
        self.qemu = subprocess.Popen(
            [
                QEMU,
                "-M",
                "none",
                "-nodefaults",
                "-display",
                "none",
                "-monitor",
                "none",
                "-netdev",
                ",".join(["user,id=u", *options]),
                "-netdev",
                "hubport,id=a,hubid=0,netdev=u",
                "-netdev",
                f"dgram,id=d,local.type=unix,local.path={far},remote.type=unix,remote.path={near}",
                "-netdev",
                "hubport,id=b,hubid=0,netdev=d",
            ],
            stderr=subprocess.DEVNULL,
        )
        while not os.path.exists(far):  # noqa: PTH110
            if self.qemu.poll() is not None:
                raise SystemExit(f"QEMU ends with {self.qemu.returncode}")
        self.held = []
        if not self.taken(10):
            raise SystemExit("QEMU answers no ARP")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.qemu.wait()
        self.socket.close()
        self.folder.cleanup()

    def send(self, kind, packet, mac=GATEWAY_MAC):
        self.socket.sendto(mac + MAC + struct.pack(">H", kind) + packet, self.far)

    def receive(self, seconds):
        """The next frame; None when none comes in time."""
        self.socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            return self.socket.recv(65536)
        return None

    def taken(self, seconds=2):
        """Whether QEMU answers an ARP request. What came meanwhile is held for `packet`."""
        addresses = MAC + socket.inet_aton(GUEST) + bytes(6) + socket.inet_aton(GATEWAY)
        self.send(0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + addresses, b"\xff" * 6)
        while frame := self.receive(seconds):
            if frame[12:14] == b"\x08\x06" and frame[21] == 2:
                return True
            self.held.append(frame)
        return False

    def send_ip(self, protocol, content, to=GATEWAY):
        addresses = socket.inet_aton(GUEST) + socket.inet_aton(to)
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 7, 0, 64, protocol, 0) + addresses
        header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
        self.send(0x0800, header + content)

    def send_udp(self, port, content, to=GATEWAY, own_port=PORT):
        self.send_ip(17, struct.pack(">HHHH", own_port, port, 8 + len(content), 0) + content, to)

    def packet(self, protocol, seconds=2):
        """The source and the content of the next IPv4 packet of a protocol; None when none comes in time."""
        while frame := self.held.pop(0) if self.held else self.receive(seconds):
            if frame[12:14] == b"\x08\x00" and frame[23] == protocol:
                length = struct.unpack(">H", frame[16:18])[0]
                return socket.inet_ntoa(frame[26:30]), frame[34 : 14 + length]
        return None

    def udp_answer(self, seconds=2):
        """From which port, and what; None when nothing comes in time."""
        if got := self.packet(17, seconds):
            return struct.unpack(">H", got[1][:2])[0], got[1][8:]
        return None


def checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF & ~(total + (total >> 16))


def says(deviates, what):
    """The last line."""
    print(f"{'deviates' if deviates else 'kept'}: {what}")  # noqa: T201
