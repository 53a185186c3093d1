"""A QEMU with builds of the caller's own in place of the libslirp and the bridge helper that it would use."""

from dataclasses import replace
from pathlib import Path

from qemunet_tests.errors import UsageError
from qemunet_tests.host import acl
from qemunet_tests.isolation.identity import Identity
from qemunet_tests.qemu import own_build, qemu_questions
from qemunet_tests.qemu.own_build import OwnBuild
from qemunet_tests.qemu.qemu_facts import Qemu


def trying(qemu: Qemu, libslirp: Path | None, bridge_helper: Path | None, asker: Identity) -> Qemu:
    """The same QEMU with these; `asker` is whom guests run as. Raises UsageError where this one can use none."""
    changed = _with_libslirp(qemu, libslirp, asker) if libslirp else qemu
    return _with_helper(changed, bridge_helper) if bridge_helper else changed


def _with_libslirp(qemu: Qemu, file: Path, asker: Identity) -> Qemu:
    if obstacle := qemu.without_user_backend():
        raise UsageError(f"--libslirp: {obstacle.reason}")
    if qemu.library is None:
        raise UsageError(f"--libslirp: {qemu.path} loads no libslirp from a file, so that no other can be in its place")
    version = qemu_questions.libslirp_version(file, asker)
    build = OwnBuild(file, version, own_build.build_of(file), str(qemu.library))
    return replace(qemu, slirp=version, own_libslirp=build)


def _with_helper(qemu: Qemu, file: Path) -> Qemu:
    if qemu.helper_path is None:
        raise UsageError(f"--bridge-helper: {qemu.path} was built without the bridge backend")
    if not Path(qemu.helper_path).is_file():
        raise UsageError(
            f"--bridge-helper: {qemu.path} looks for it at {qemu.helper_path}, "
            "where there is no file that another could be put over"
        )
    build = OwnBuild(file, None, own_build.build_of(file), qemu.helper_path)
    return replace(qemu, own_helper=build, access_list=acl.path_read_by(str(file), runs_at=qemu.helper_path))
