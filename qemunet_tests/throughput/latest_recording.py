"""Where recordings are kept when nobody says where, and which of them is the latest of this host and QEMU."""

import re
from collections.abc import Callable
from pathlib import Path

from qemunet_tests import cache, trust
from qemunet_tests.errors import UsageError
from qemunet_tests.throughput.recording import Recording, read
from qemunet_tests.throughput.recording_shapes import Session

FOLDER = "recordings"


def new_place(about: Session) -> Path:
    """A file of its own for a session, named by its moment."""
    moment = re.sub(r"[^0-9T]", "", about.at.split("+")[0])
    folder = cache.cache_root() / FOLDER
    number = 1
    while (place := folder / f"{moment}-{number}.jsonl").exists():
        number += 1
    return place


def latest(
    machine: str, binary: str, accel: str, ways: set[str], note: Callable[[str], None] = lambda _: None
) -> Recording | None:
    """The youngest whole recording of this machine, QEMU and accelerator that has all these arms.

    One that cannot be read is passed over, and `note` told why.
    """
    found = []
    for path in cache.entries(FOLDER, "*.jsonl"):
        try:
            with trust.opened(path) as stream:
                recording = read(path, Path(f"/proc/self/fd/{stream.fileno()}"))
        except (UsageError, OSError) as error:
            note(f"a recording in the cache is passed over: {error}")
            continue
        session = recording.session
        same = session.machine.id == machine and session.accel.used == accel
        same = same and session.qemu.binary == binary and not session.guest_time
        if same and recording.ended and ways <= {arm.name for arm in session.arms}:
            found.append(recording)
    return max(found, key=lambda recording: recording.session.at, default=None)
