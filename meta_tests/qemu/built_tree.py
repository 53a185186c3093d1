"""The installed QEMU laid out as a build tree is before anybody installs it, by links as meson makes them; or moved."""

import shutil
from pathlib import Path

from qemunet_tests.host import acl
from qemunet_tests.qemu import qemu_facts

#: As long as Debian's own, so that one can stand in the place of the other in a program.
OTHER_LIST = "/srv/qemu/bridge.conf"
#: The same, below the prefix that Debian's was configured with: where the helper is moved, it looks for this beside it.
MOVED_LIST = "/usr/acls/bridge.conf"


def lay_out_moved(source: Path) -> Path:
    """Make `prefix` in a folder, an installation that was moved there whole, and return its QEMU.

    Its helper was configured for MOVED_LIST; the folder of that is there, and empty.
    """
    installed = qemu_facts.find()
    prefix = source / "prefix"
    modules = {file.parent for file in Path("/usr/lib").glob("*/qemu/*.so")}
    for folder in map(Path.resolve, (*installed.data_folders, *modules, Path(installed.helper_path or "").parent)):
        (prefix / folder.relative_to("/usr")).mkdir(parents=True)
        for file in folder.glob("*"):
            (prefix / file.relative_to("/usr")).symlink_to(file.resolve())
    helper = prefix / Path(installed.helper_path or "").relative_to("/usr")
    program = helper.read_bytes()
    helper.unlink()
    helper.write_bytes(program.replace(acl.DEFAULT_PATH.encode(), MOVED_LIST.encode()))
    helper.chmod(0o755)
    # As far from the helper as it would be from QEMU, which lies less deep.
    (helper.parents[1] / Path(MOVED_LIST).relative_to("/usr")).parent.mkdir()
    (prefix / "bin").mkdir()
    return Path(shutil.copy(installed.path.resolve(), prefix / "bin/qemu-system-x86_64"))


def lay_out(source: Path) -> Path:
    """Make `build` in a folder, and return its QEMU. Its helper was configured for OTHER_LIST.

    build/qemu-system-x86_64, build/qemu-bridge-helper, and build/qemu-bundle, in which whatever would be installed is a
    link at its place: the helper, firmware, modules.
    """
    installed = qemu_facts.find()
    build = source / "build"
    bundle = build / "qemu-bundle"
    build.mkdir(parents=True)
    qemu = Path(shutil.copy(installed.path.resolve(), build / "qemu-system-x86_64"))
    helper = build / "qemu-bridge-helper"
    program = Path(installed.helper_path or "").read_bytes()
    helper.write_bytes(program.replace(acl.DEFAULT_PATH.encode(), OTHER_LIST.encode()))
    helper.chmod(0o755)
    _link(bundle, installed.helper_path or "", helper)
    modules = Path("/usr/lib").glob("*/qemu/*.so")
    for file in [*modules, *(file for folder in installed.data_folders for file in folder.glob("*"))]:
        _link(bundle, str(file), file.resolve())
    return qemu


def _link(bundle: Path, place: str, file: Path) -> None:
    link = bundle / place.lstrip("/")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(file)
