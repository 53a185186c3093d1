"""Causes at qemu-bridge-helper: the file, the list it reads, the privilege it needs."""

from dataclasses import replace

from qemunet_tests.diagnosis.failure import Failure
from qemunet_tests.host import acl, credentials, devices, helper_program, system
from qemunet_tests.host.obstacle import Obstacle

#: What the helper says whatever keeps it from its privilege; the second, where not even root may have that.
POWERLESS = ("failed to create tun device", "failed to drop privileges")


def reads_another_list(failure: Failure) -> Obstacle | None:
    """The place of the list is built into the helper."""
    path = acl.path_read_by(str(failure.bench.helper.path))
    # A lab has the list where the helper reads it that QEMU was found with.
    documented = acl.DEFAULT_PATH if failure.target.kind == "host" else failure.bench.qemu.access_list
    if not failure.on_lan or path == documented:
        return None
    return Obstacle(
        f"{failure.bench.helper.path} reads {path} and not the documented {documented}",
        f"keep the access list in {path}",
    )


def no_tun(failure: Failure) -> Obstacle | None:
    """The helper makes taps with a device that containers often lack."""
    return devices.obstacle_here(devices.TUN) if failure.on_lan else None


def powerless(failure: Failure) -> Obstacle | None:
    """Five causes have one message: no setuid bit, not root's, nosuid, no_new_privs, a container's bounding set."""
    if not failure.on_lan or not any(words in str(failure.error) for words in POWERLESS):
        return None
    uid = failure.bench.identity.uid
    qemus = replace(credentials.read(), uid=uid, effective_uid=uid, permitted=0, effective=0, ambient=0)
    return helper_program.unprivileged(helper_program.read(str(failure.bench.helper.path)), qemus, system.read())
