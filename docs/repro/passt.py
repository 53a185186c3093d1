"""passt without QEMU, in a network of its own: frames go in and out by its socket. For the scripts beside this file.

with Passt("--dns", "2001:db8::53") as passt:
    passt.send(0x86DD, packet)
    print(passt.receive())
"""

import contextlib
import os
import socket
import struct
import subprocess
import tempfile

from frames import checksum
from host import Lan, own_network

PASST = os.environ.get("PASST", "passt")
MAC, OTHERS = bytes.fromhex("525400123456"), bytes.fromhex("525500000001")
ADDRESS, GATEWAY, ON_LINK = (socket.inet_pton(socket.AF_INET6, each) for each in
                             ("2001:db8::2", "2001:db8::7", "fe80::5054:ff:fe12:3456"))  # fmt: skip
GIVEN = (
    "--interface",
    "lan",
    "--mac-addr",
    "52:54:00:00:00:01",
    "--ipv6-only",
    "--address",
    "2001:db8::2",
    "--gateway",
    "2001:db8::7",
)
UDP = 17


class Passt:
    """One with further options, called as QEMU would call it."""

    def __init__(self, *options):
        own_network()
        self.lan = Lan()
        self.folder = tempfile.TemporaryDirectory()
        path = f"{self.folder.name}/socket"
        self.process = subprocess.Popen([PASST, "--foreground", "--socket", path, *GIVEN, *options],
                                        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # fmt: skip
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        while self.socket.connect_ex(path):
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise SystemExit(f"passt ends with {self.process.wait(0.05)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.socket.close()
        self.folder.cleanup()

    def send_udp6(self, source, target, source_port, port, data):
        """A datagram by IPv6."""
        udp = struct.pack(">HHHH", source_port, port, 8 + len(data), 0) + data
        total = checksum(source + target + struct.pack(">II", len(udp), UDP) + udp)
        udp = udp[:6] + struct.pack(">H", total) + udp[8:]
        packet = struct.pack(">IHBB", 6 << 28, len(udp), UDP, 64) + source + target + udp
        frame = OTHERS + MAC + b"\x86\xdd" + packet
        self.socket.sendall(struct.pack(">I", len(frame)) + frame)

    def receive_udp6(self):
        """The next datagram by IPv6: from which address and port, and what it carries."""
        while True:
            frame = self._exactly(struct.unpack(">I", self._exactly(4))[0])
            if frame[12:14] == b"\x86\xdd" and frame[20] == UDP:
                return socket.inet_ntop(socket.AF_INET6, frame[22:38]), struct.unpack(">H", frame[54:56])[0], frame[62:]

    def _exactly(self, length):
        read = b""
        while len(read) < length:
            more = self.socket.recv(length - len(read))
            if not more:
                raise SystemExit("passt hangs up")
            read += more
        return read
