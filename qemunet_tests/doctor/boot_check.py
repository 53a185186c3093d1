"""The part of the doctor that boots: a small guest under KVM where that opens, and in software."""

from collections.abc import Callable
from dataclasses import replace

from qemunet_tests.doctor.checks.check import MODES, Capability, Check, CheckResult
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.errors import HarnessError, Unavailable
from qemunet_tests.host import kvm
from qemunet_tests.qemu import kvm_probe_cache
from qemunet_tests.qemu.accel import hung
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.kvm_probe import Boot, Launch, boot_in_software, launch_as_guests, race


def boot(
    facts: HostFacts, image: Image, notice: Callable[[str], None], launch: Launch = launch_as_guests
) -> tuple[HostFacts, tuple[Capability, ...]]:
    """Boot `image` whatever is remembered. Returns the facts with what was learned, and the finding."""
    if facts.qemu is None:
        return facts, ()
    try:
        if not _kvm_opens(facts):
            notice("booting a small Linux in software")
            return facts, (booted(boot_in_software(facts.qemu, image, launch)),)
        notice("booting a small Linux under KVM and in software (up to 20 s)")
        trial = race(facts.qemu, image, launch)
    except HarnessError as failed:
        return facts, (not_booted(failed),)
    if trial.ran and (unkept := kvm_probe_cache.keep(trial, facts.qemu, facts.credentials.effective_uid)):
        notice(f"the answer about KVM is not kept: {unkept}")
    better = trial.kvm if hung(trial) is None else trial.software
    return replace(facts, trial=trial), (booted(better),)


def _kvm_opens(facts: HostFacts) -> bool:
    if facts.qemu is None or "kvm" not in facts.qemu.accelerators:
        return False
    return kvm.obstacle(facts.kvm, facts.credentials, facts.user, facts.machine) is None


def booted(outcome: Boot) -> Capability:
    """The finding about a boot."""
    where = "under KVM" if outcome.accelerator == "kvm" else "in software (TCG)"
    if outcome.reached_userspace:
        reason = f"a small Linux reached userspace {where} in {outcome.seconds:.1f} s"
        return _capability(CheckResult("ok", reason))
    ending = f"QEMU ended with status {outcome.status}" if outcome.status is not None else "given up"
    said = f": {outcome.complaint.splitlines()[-1]}" if outcome.complaint else ""
    reason = f"a small Linux got {where} to stage '{outcome.stage}', {ending} after {outcome.seconds:.0f} s{said}"
    return _capability(CheckResult("not", reason, "boot it by hand and watch: qemunet shell user"))


def not_booted(why: Exception) -> Capability:
    """The finding where no guest could be had or started."""
    if isinstance(why, Unavailable):
        return _capability(CheckResult("caution", f"no guest was booted: {why.reason}", why.remedy))
    return _capability(CheckResult("caution", f"no guest was booted: {why}", "qemunet image build"))


def _capability(finding: CheckResult) -> Capability:
    return Capability(Check("guest", MODES, MODES, lambda _facts: finding), finding)
