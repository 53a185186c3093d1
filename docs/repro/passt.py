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

from frames import summed
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
TCP, UDP = 6, 17


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
        self._send_ip6(UDP, source, target, struct.pack(">HHHH", source_port, port, 8 + len(data), 0) + data)

    def send_tcp6(self, flags, port, sequence, acknowledged, data=b""):
        """A segment to the gateway, which says that there is room for 60000 bytes."""
        header = struct.pack(">HHIIBBHHH", 40000, port, sequence, acknowledged, 5 << 4, flags, 60000, 0, 0)
        self._send_ip6(TCP, ADDRESS, GATEWAY, header + data)

    def receive_udp6(self):
        """The next datagram by IPv6: from which address and port, and what it carries."""
        source, content = self._receive_ip6(UDP)
        return socket.inet_ntop(socket.AF_INET6, source), struct.unpack(">H", content[:2])[0], content[8:]

    def receive_tcp6(self):
        """The next segment by IPv6: its flags, its number and what it carries."""
        content = self._receive_ip6(TCP)[1]
        number, _, offset, flags = struct.unpack(">IIBB", content[4:14])
        return flags, number, content[4 * (offset >> 4) :]

    def _send_ip6(self, protocol, source, target, content):
        pseudo = source + target + struct.pack(">II", len(content), protocol)
        packet = struct.pack(">IHBB", 6 << 28, len(content), protocol, 64) + source + target
        frame = OTHERS + MAC + b"\x86\xdd" + packet + summed(protocol, content, pseudo)
        self.socket.sendall(struct.pack(">I", len(frame)) + frame)

    def _receive_ip6(self, protocol):
        while True:
            frame = self._exactly(struct.unpack(">I", self._exactly(4))[0])
            if frame[12:14] == b"\x86\xdd" and frame[20] == protocol:
                return frame[22:38], frame[54 : 54 + struct.unpack(">H", frame[18:20])[0]]

    def _exactly(self, length):
        read = b""
        while len(read) < length:
            more = self.socket.recv(length - len(read))
            if not more:
                raise SystemExit("passt hangs up")
            read += more
        return read
