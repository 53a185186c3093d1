"""Makes a bench that forgets to clean up: `python -m meta_tests.planted.leaking_bench PYTEST-WORDS` is a run that has
it.

With its first guest it leaves a program, a socket, and another guest; with its lab, a program.
"""

import socket
import sys
from typing import TYPE_CHECKING

from qemunet_tests.isolation.namespaces import scratch

if TYPE_CHECKING:
    from qemunet_tests.guest.bench import Bench
    from qemunet_tests.network import Lab

_left: list[object] = []


def pytest_qemunet_lab_built(lab: "Lab") -> None:
    lab.neighbour.start(["sleep", "2000"])


def pytest_qemunet_guest_booted(bench: "Bench") -> None:
    if _left:
        return
    _left.append(bench.station.start(["sleep", "1000"]))
    forgotten = socket.socket(socket.AF_UNIX)
    forgotten.bind(str(scratch() / "forgotten.sock"))
    forgotten.close()
    _left.append(bench.boot(network=False))


if __name__ == "__main__":
    from rich.console import Console

    from qemunet_tests.commands.pytest_session import conduct
    from qemunet_tests.commands.terminal import Screens

    # Imported by its own name, so that workers can as well.
    screens = Screens(Console(width=500), Console(width=500))
    sys.exit(conduct(screens, ["-p", "meta_tests.planted.leaking_bench", *sys.argv[1:]], workers=1))
