"""What a session's options put under test: the QEMU, and whatever else is tried instead of the installed."""

import shutil

from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.host import package_versions, paths_in_binary
from qemunet_tests.host.asking import PROGRAM_FOLDERS
from qemunet_tests.isolation.identity import Identity, on_the_host, unprivileged
from qemunet_tests.qemu import own_build, passt, qemu_facts, tried_builds
from qemunet_tests.qemu.own_build import OwnBuild
from qemunet_tests.qemu.passt import Passt
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.settings import Settings

#: What serves and forwards in the lab.
_LAB_PROGRAMS = ("dnsmasq", "nft")


def guests_identity(settings: Settings) -> Identity:
    """Whom guests run as. Raises UsageError."""
    return on_the_host(settings.as_user) if settings.target == "host" else unprivileged()


def chosen_qemu(settings: Settings) -> Qemu:
    """The QEMU that was asked for, else the one that is installed, with builds of the caller's own in place of parts.

    The passt that was asked for is from now on the one that this process starts: whoever uses a QEMU gets it here.
    Raises as `qemu_facts.find` does, and UsageError where this QEMU can use no other libslirp or helper.
    """
    _choose_passt(settings)
    asker = guests_identity(settings)
    qemu = qemu_facts.find(str(settings.qemu) if settings.qemu else None, asker)
    return tried_builds.trying(qemu, settings.libslirp, settings.bridge_helper, asker)


def chosen_passt(settings: Settings) -> Passt | None:
    """The passt that was asked for, else the one that is installed; None without any."""
    _choose_passt(settings)
    return passt.find()


def _choose_passt(settings: Settings) -> None:
    if settings.passt:
        passt.choose(settings.passt)


def describe_passt(settings: Settings) -> dict[str, str | None]:
    """For results.json: the passt of the caller's own; nothing where he brought none."""
    if settings.passt is None:
        return {}
    version, instead_of = passt.version(str(settings.passt)), passt.installed_path() or "none installed"
    return OwnBuild(settings.passt, version, own_build.build_of(settings.passt), instead_of).describe()


def describe_packages(settings: Settings) -> dict[str, str] | None:
    """For results.json: the versions of the packages that brought what packets go through."""
    try:
        qemu = chosen_qemu(settings)
    except (HarnessError, Unavailable, UsageError):
        return None
    found = [
        str(qemu.path),
        str(qemu.library) if qemu.library else None,
        qemu.helper_path,
        paths_in_binary.path_ending(str(qemu.path), "/smbd"),
        passt.installed_path(),
        *(shutil.which(program, path=PROGRAM_FOLDERS) for program in _LAB_PROGRAMS),
    ]
    return package_versions.versions_of(each for each in found if each)
