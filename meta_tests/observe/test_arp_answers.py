"""Who answers ARP at a station's card is not the station itself."""

import socket
import threading

from meta_tests.patience import soon
from qemunet_tests.network import Lab, lab_addresses
from qemunet_tests.observe.arp import ARP_WORDS, answers_who
from qemunet_tests.observe.capture import ETH_P_ALL

OTHERS = bytes.fromhex("525400aa0001")


def test_what_the_host_answers_to_others_is_no_answer_to_itself(lab: Lab) -> None:
    """Of a router that asked at that moment the diagnosis said once that another machine has the host's address."""
    question = b"\xff" * 6 + OTHERS + ARP_WORDS + OTHERS + socket.inet_aton(lab_addresses.ROUTER) + bytes(6)
    over = threading.Event()
    with lab.router.entered():
        asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    asking.bind(("lan0", ETH_P_ALL))

    def ask() -> None:
        while not over.wait(0.02):
            asking.send(question + socket.inet_aton(lab_addresses.HOST))

    others = threading.Thread(target=ask)
    others.start()
    try:
        assert answers_who(lab.host, "enp0s25", "52:54:00:aa:00:02", lab_addresses.HOST, soon(1)) is None
        assert answers_who(lab.host, "enp0s25", "52:54:00:aa:00:02", lab_addresses.NEIGHBOUR, soon(1)) is not None
    finally:
        over.set()
        others.join()
        asking.close()
