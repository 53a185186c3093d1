#!/bin/sh
# The search list of passt's DHCPv6 server is another one in its second answer.
cd "$(dirname "$0")" && exec python3 - <<'END'
import socket
from frames import says
from passt import ON_LINK, Passt
SERVERS = socket.inet_pton(socket.AF_INET6, "ff02::1:2")
CLIENT, WANTED = bytes.fromhex("0001000a00030001525400123456"), bytes.fromhex("0003000c000000010000000000000000")
def searched(message):
    options, found = message[4:], b""
    while options:
        number, length = int.from_bytes(options[:2], "big"), int.from_bytes(options[2:4], "big")
        found = options[4:4 + length] if number == 24 else found
        options = options[4 + length:]
    return found
with Passt("--search", "home", "--search", "lab.example.org") as passt:
    lists = []
    for kind in (b"\1abc", b"\1def"):
        passt.send_udp6(ON_LINK, SERVERS, 546, 547, kind + CLIENT + WANTED)
        lists.append(searched(passt.receive_udp6()[2]))
    says(lists[0] != lists[1], f"first {lists[0]}, then {lists[1]}")
END
