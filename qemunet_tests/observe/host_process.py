"""A program on the host that serves a guest: what it has shut itself off from, and where it listens."""

import os
from collections.abc import Collection
from pathlib import Path

from qemunet_tests.host import credentials, socket_table
from qemunet_tests.isolation.station import Station

#: Namespaces that a process can leave by itself: namespaces(7).
_LEFT = ("ipc", "mnt", "user", "uts")
#: How places at addresses of one link begin.
LINK_LOCAL = "[fe80:"


def isolation_of(pid: int) -> str:
    """In words: the namespaces that it has left, its root folder, its capabilities, and what it can still gain."""
    empty = not any(Path(f"/proc/{pid}/root").iterdir())
    # A namespace of mounts with the folders of the machine, as it was started in for its /proc, shuts nobody in.
    kinds = [kind for kind in _LEFT if kind != "mnt" or empty]
    left = [kind for kind in kinds if _namespace(pid, kind) != _namespace(os.getpid(), kind)]
    held = credentials.read(pid=pid)
    said = [f"namespaces {' '.join(left) or 'none'}"]
    said += ["an empty root"] * empty
    said += ["no capability"] * held.ordinary
    said += ["no new privileges"] * held.no_new_privileges
    said += ["system calls filtered"] * held.system_calls_filtered
    return ", ".join(said)


def _namespace(pid: int, kind: str) -> str:
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def listening_at(station: Station, besides: Collection[str] = ()) -> list[str]:
    """Where anybody at a station waits for calls or datagrams, as `tcp 0.0.0.0:22`, but for some places.

    IPv6 addresses of one link are left out: a server of the lab takes its own once the kernel has tried it.
    """
    with station.entered():
        found = [str(each) for kind in ("tcp", "udp") for each in socket_table.bound(kind) if each.waits]
    return [place for place in dict.fromkeys(found) if place not in besides and LINK_LOCAL not in place]
