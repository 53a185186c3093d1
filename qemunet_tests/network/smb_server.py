"""Whether smbd, which QEMU starts for every connection to the server of smb=, can run here.

One that somebody kills or stops while a promise is tried says nothing about QEMU.
"""

import contextlib
from pathlib import Path

from qemunet_tests.deadline import Deadline
from qemunet_tests.host import process_table
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.isolation.namespaces import scratch
from qemunet_tests.isolation.processes import stop
from qemunet_tests.isolation.station import Station
from qemunet_tests.network.services import halted, why_not
from qemunet_tests.qemu.launcher import OWN

#: Long enough for whoever kills what is called smbd to have seen one more.
TRIAL_SECONDS = 3.0


def why_no_smbd(station: Station, identity: Identity) -> str | None:
    """Why the server of a QEMU that runs at a station cannot be serving: the end of a sentence. None where it can.

    Those that QEMU has started are looked at, and another is started as QEMU does.
    """
    for settings in sorted(scratch().glob(f"*/{OWN}/qemu-smb.*/smb.conf")):
        for pid in process_table.pids():
            if str(settings) in process_table.words(pid) and (said := halted(pid)) and said != "has ended":
                return said
        if said := _tried(station, identity, settings):
            return said
    return None


def _tried(station: Station, identity: Identity, settings: Path) -> str | None:
    words = [*identity.prefix(), "smbd", "-l", str(settings.parent), "-s", str(settings)]
    with contextlib.ExitStack() as ends, contextlib.suppress(OSError):
        listening = ends.enter_context(station.open_socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        ends.enter_context(station.connect(*listening.getsockname()))
        theirs = ends.enter_context(listening.accept()[0])
        server = station.start(words, stdin=theirs)
        try:
            Deadline(TRIAL_SECONDS, "smbd to be looked at").sees(lambda: why_not(server))
            return why_not(server)
        finally:
            stop(server)
    return None
