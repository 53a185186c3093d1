"""What every mode needs: QEMU, an accelerator, option ROMs, memory."""

from qemunet_tests.doctor.checks.check import MODES, Check, CheckResult, caution, impossible, ok
from qemunet_tests.doctor.host_facts import HostFacts
from qemunet_tests.host import kvm
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.qemu.accel import Observed, unusable

#: Option ROMs without which QEMU refuses to make these NICs: the one documented most, and the usual one.
ROMS = {"e1000": "efi-e1000.rom", "virtio-net-pci": "efi-virtio.rom"}
#: A small guest and QEMU's own needs.
ONE_GUEST_MB = 320
COMFORTABLE_MB = 1024

IN_SOFTWARE = "guests run in software (TCG), about five times slower"


def qemu(facts: HostFacts) -> CheckResult:
    if facts.qemu is None:
        return impossible(facts.qemu_obstacle or Obstacle("QEMU is not installed", "install it"))
    return ok(f"{facts.qemu.version_line}: {facts.qemu.path}, machine {facts.qemu.machine}")


def kvm_runs(facts: HostFacts) -> CheckResult:
    blocked = kvm.obstacle(facts.kvm, facts.credentials, facts.user, facts.machine)
    built_in = facts.qemu is None or "kvm" in facts.qemu.accelerators
    observed = Observed(built_in=built_in, obstacle=blocked, trial=facts.trial)
    if observed.worth_a_trial:
        unproven = "unproven: KVM opens, but only booting a Linux guest shows whether it runs one"
        return caution(Obstacle(unproven, "qemunet doctor --deep"))
    why_not = unusable(observed)
    if why_not is not None:
        return impossible(why_not, IN_SOFTWARE)
    seconds = facts.trial.kvm.seconds if facts.trial else 0.0
    return ok(f"a Linux guest reached userspace under KVM in {seconds:.1f} s, seen since this machine booted")


def roms(facts: HostFacts) -> CheckResult | None:
    if facts.qemu is None or not facts.qemu.data_folders:
        return None
    folders = facts.qemu.data_folders
    lacking = [nic for nic, rom in ROMS.items() if not any((folder / rom).is_file() for folder in folders)]
    if not lacking:
        return ok("QEMU finds the option ROMs of its NICs")
    gone = Obstacle(
        f"QEMU does not find the option ROMs of {' and '.join(lacking)}",
        install_command("roms", facts.machine, facts.sudo),
    )
    return caution(gone, "such a guest starts only with romfile= (empty) on its device")


def memory(facts: HostFacts) -> CheckResult | None:
    if not facts.memory.total_mb:
        return None
    left = Obstacle(
        f"{facts.memory.available_mb} MB of {facts.memory.total_mb} MB are available",
        "end what takes the memory",
    )
    if facts.memory.available_mb < ONE_GUEST_MB:
        return impossible(left, f"a guest takes {ONE_GUEST_MB} MB")
    if facts.memory.available_mb < COMFORTABLE_MB:
        return caution(left, "too little for guests side by side")
    return ok(left.reason)


CHECKS = (
    Check("qemu", MODES, MODES, qemu),
    Check("kvm", MODES, (), kvm_runs),
    Check("roms", MODES, (), roms),
    Check("memory", MODES, MODES, memory),
)
