"""A link where the machine may have nothing, or a file of its own, in this run's mounts alone.

An ordinary user may make no file in the machine's folders; so a folder is covered by one of links to what it holds.
"""

import os
from pathlib import Path

from qemunet_tests.errors import Unavailable
from qemunet_tests.isolation.namespaces import SCRATCH
from qemunet_tests.isolation.syscalls import MS_BIND, MS_REC, mount

#: The lab's own already.
_ETC = Path("/etc")


def place_link(link: Path, target: Path, stays: Path) -> None:
    """Have `link` lead to `target`, without another name for the program `stays`, which looks beside itself.

    Raises Unavailable where that lies in the only folder that could be covered.
    """
    folder = link.parent
    there = next(each for each in (folder, *folder.parents) if each.is_dir()).resolve()
    if there == Path("/") or stays.resolve().is_relative_to(there):
        raise Unavailable(
            f"there is no folder {folder}, in which a run could have a file of its own",
            f"make it: sudo install -d -m 0755 {folder}",
        )
    if there != _ETC:
        _cover(there)
    folder.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _cover(folder: Path) -> None:
    held = SCRATCH / "covered" / os.fspath(folder).strip("/").replace("/", "-")
    for each in (held.parent, held):
        each.mkdir(exist_ok=True)
        # Whatever our umask says.
        each.chmod(0o755)
    mount(str(folder), str(held), None, MS_BIND | MS_REC)
    names = [entry.name for entry in held.iterdir()]
    mount("qemunet-covered", str(folder), "tmpfs", 0, "mode=0755")
    for name in names:
        (folder / name).symlink_to(held / name)
