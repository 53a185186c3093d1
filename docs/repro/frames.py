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
GUEST6, GUEST6_ON_LINK, ROUTER6 = "fec0::5054:ff:fe12:3456", "fe80::5054:ff:fe12:3456", "fe80::2"
PORT = 20000
FIN, SYN, RST, ACK = 1, 2, 4, 16
#: Where the checksum of each protocol stands.
CHECKSUM_AT = {1: 2, 6: 16, 17: 6, 58: 2}


class Network:
    """`-netdev user` with these options, and QEMU with further words; what was sent has been looked at once `taken`."""

    def __init__(self, *options, asked=4, further=()):
        self.folder = tempfile.TemporaryDirectory()
        self.asked = asked
        near, far = (f"{self.folder.name}/{name}" for name in ("near", "far"))
        self.far, self.socket = far, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(near)
        words = ["-netdev", ",".join(["user,id=u", *options]), "-netdev", "hubport,id=a,hubid=0,netdev=u"]
        words += ["-netdev", f"dgram,id=d,local.type=unix,local.path={far},remote.type=unix,remote.path={near}"]
        words += ["-netdev", "hubport,id=b,hubid=0,netdev=d"]
        still = ["-M", "none", "-nodefaults", "-display", "none", "-monitor", "none"]
        # What smb= needs is there, and is not removed by a QEMU that is killed.
        own = {**os.environ, "TMPDIR": self.folder.name}
        self.qemu = subprocess.Popen([QEMU, *still, *words, *further], stderr=subprocess.DEVNULL, env=own)
        while not os.path.exists(far):  # noqa: PTH110
            if self.qemu.poll() is not None:
                raise SystemExit(f"QEMU ends with {self.qemu.returncode}")
        self.held = []
        if not self.taken(10):
            raise SystemExit("QEMU does not answer who the gateway is")

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
        """Whether QEMU says who the gateway is, by ARP or, `asked` for 6, by IPv6. What came meanwhile is held."""
        if self.asked == 4:
            self.send_arp(1, GATEWAY)
        else:
            self.send_neighbour(136, GUEST6)
            self.send_neighbour(136, GUEST6_ON_LINK)
            self.send_neighbour(135, ROUTER6)
        while frame := self.receive(seconds):
            if frame[12:14] == b"\x08\x06" and frame[21] == 2:
                return True
            if self.asked == 6 and frame[12:14] == b"\x86\xdd" and (frame[20], frame[54]) == (58, 136):
                return True
            self.held.append(frame)
        return False

    def send_arp(self, operation, address, mac=b"\xff" * 6):
        addresses = MAC + socket.inet_aton(GUEST) + bytes(6) + socket.inet_aton(address)
        self.send(0x0806, struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + addresses, mac)

    def send_neighbour(self, kind, address):
        """Ask for a neighbour (135), or tell that one is here (136)."""
        target, flags = socket.inet_pton(socket.AF_INET6, address), 0x20000000 if kind == 136 else 0
        message = struct.pack(">BBHI", kind, 0, 0, flags) + target + bytes([1 if kind == 135 else 2, 1]) + MAC
        self.send_ip6(58, message, ROUTER6, address if kind == 136 else GUEST6_ON_LINK)

    def send_ip(self, protocol, content, to=GATEWAY, ttl=64, fragment=0):
        addresses = socket.inet_aton(GUEST) + socket.inet_aton(to)
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 7, fragment, ttl, protocol, 0) + addresses
        header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
        self.send(0x0800, header + content)

    def send_ip6(self, protocol, content, to, own=GUEST6):
        addresses = b"".join(socket.inet_pton(socket.AF_INET6, address) for address in (own, to))
        if protocol in CHECKSUM_AT:
            content = summed(protocol, content, addresses + struct.pack(">II", len(content), protocol))
        self.send(0x86DD, struct.pack(">IHBB", 0x60000000, len(content), protocol, 255) + addresses + content)

    def send_udp(self, port, content, to=GATEWAY, own_port=PORT, own=GUEST6):
        datagram = struct.pack(">HHHH", own_port, port, 8 + len(content), 0) + content
        if ":" in to:
            self.send_ip6(17, datagram, to, own)
        else:
            self.send_ip(17, datagram, to)

    def send_tcp(self, flags, to, port, sequence=1, acknowledged=0, content=b"", options=b""):
        offset = (20 + len(options)) << 2
        header = struct.pack(">HHIIBBHHH", PORT, port, sequence, acknowledged, offset, flags, 65535, 0, 0)
        segment = header + options + content
        pseudo = socket.inet_aton(GUEST) + socket.inet_aton(to) + struct.pack(">HH", 6, len(segment))
        self.send_ip(6, summed(6, segment, pseudo), to)

    def ping(self, to=GATEWAY, ttl=64, content=b""):
        if ":" in to:
            self.send_ip6(58, struct.pack(">BBHHH", 128, 0, 0, 7, 1) + content, to)
        else:
            self.send_ip(1, summed(1, struct.pack(">BBHHH", 8, 0, 0, 7, 1) + content, b""), to, ttl)

    def packet(self, protocol, seconds=2):
        """The source and the content of the next packet of a protocol; None when none comes in time."""
        while frame := self.held.pop(0) if self.held else self.receive(seconds):
            if frame[12:14] == b"\x08\x00" and frame[23] == protocol:
                length = struct.unpack(">H", frame[16:18])[0]
                return socket.inet_ntoa(frame[26:30]), frame[34 : 14 + length]
            if frame[12:14] == b"\x86\xdd" and frame[20] == protocol:
                return socket.inet_ntop(socket.AF_INET6, frame[22:38]), frame[54:]
        return None

    def udp_answer(self, seconds=2):
        """From which port, and what; None when nothing comes in time."""
        if got := self.packet(17, seconds):
            return struct.unpack(">H", got[1][:2])[0], got[1][8:]
        return None

    def segment(self, seconds=2):
        """Flags, number and content of the next TCP segment; None when none comes in time."""
        if got := self.packet(6, seconds):
            number, _, offset, flags = struct.unpack(">IIBB", got[1][4:14])
            return flags, number, got[1][4 * (offset >> 4) :]
        return None

    def dhcp(self, kind=1, options=b"", mac=MAC):
        """The address, the next server and the options that are answered to a DHCP message; None for no answer."""
        bootp = bytes([1, 1, 6, 0]) + b"qnet" + bytes(20) + mac + bytes(202)
        message = bytes.fromhex("63825363 3501") + bytes([kind]) + options + b"\xff"
        self.send_udp(67, bootp + message, "255.255.255.255", own_port=68)
        if not (self.taken() and (answer := self.udp_answer(0.1))):
            return None
        address, server = (socket.inet_ntoa(answer[1][at : at + 4]) for at in (16, 20))
        return address, server, dict(type_length_value(answer[1][240:], ">BB"))

    def dhcp6(self, *wanted):
        """The port and the options that are answered to a question for information (DHCPv6)."""
        asks = b"\0\6" + struct.pack(f">H{len(wanted)}H", 2 * len(wanted), *wanted)
        client = bytes.fromhex("0001 000a 0003 0001") + MAC
        self.send_udp(547, b"\x0bqnt" + client + asks, "ff02::1:2", 546, GUEST6_ON_LINK)
        port, answer = self.udp_answer()
        return port, dict(type_length_value(answer[4:], ">HH"))

    def advertisement(self):
        """What the router advertises when it is asked: the options of its message; None when it does not answer."""
        self.send_ip6(58, struct.pack(">BBHI", 133, 0, 0, 0), "ff02::2", GUEST6_ON_LINK)
        while self.taken() and (got := self.packet(58, 0.1)):
            if got[1][0] == 134:
                options, found = got[1][16:], {}
                while options:
                    found[options[0]] = options[: 8 * options[1]]
                    options = options[8 * options[1] :]
                return found
        return None


def type_length_value(data, shape):
    """Options of DHCP, with a shape of 2 bytes, or of DHCPv6, with one of 4."""
    size = struct.calcsize(shape)
    while len(data) >= size and data[0] != 255:
        number, length = struct.unpack(shape, data[:size])
        yield number, data[size : size + length]
        data = data[size + length :]


def summed(protocol, content, pseudo):
    """The content of a packet with its checksum."""
    at = CHECKSUM_AT[protocol]
    return content[:at] + struct.pack(">H", checksum(pseudo + content)) + content[at + 2 :]


def checksum(data):
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF & ~(total + (total >> 16))


def starts(*words, typed="", machine="none"):
    """The status with which QEMU ends when it is started with these words and typed to, and what it says."""
    command = [QEMU, "-M", machine, "-S", "-display", "none", "-monitor", "stdio", *words]
    done = subprocess.run(command, input=f"{typed}\nquit\n", capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout + done.stderr


def says(deviates, what):
    """The last line."""
    print(f"{'deviates' if deviates else 'kept'}: {' '.join(what.split())}")  # noqa: T201
