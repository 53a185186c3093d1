"""Has the lab's host learn of others' dead neighbours all the time: `pytest -p meta_tests.planted.errors_of_others`.

Nobody has the LAN's addresses that are called, and the host's own kernel says so by ICMP, to whoever has a raw socket.
The router's own errors get lost, so that nothing else is heard.
"""

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qemunet_tests.isolation.station import Station
    from qemunet_tests.network import Lab

BETWEEN_SECONDS = 0.02


def pytest_qemunet_lab_built(lab: "Lab") -> None:
    lab.router.run("nft 'table ip silent { chain output { type filter hook output priority 0; "
                   "icmp type destination-unreachable drop; }; }'")  # fmt: skip
    threading.Thread(target=_call, args=(lab.host,), daemon=True).start()


def _call(station: "Station") -> None:
    """Each call is given up three seconds later, when Linux has asked for the neighbour three times."""
    calls = []
    number = 0
    while True:
        try:
            call = station.open_socket()
        except OSError:
            # The lab is closed.
            return
        call.setblocking(False)
        call.connect_ex((f"192.168.1.{20 + number % 60}", 9))
        calls.append(call)
        if len(calls) > 200:
            calls.pop(0).close()
        number += 1
        threading.Event().wait(BETWEEN_SECONDS)
