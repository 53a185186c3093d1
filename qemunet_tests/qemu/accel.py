"""Which accelerator guests run under, and why.

The decision is a function of what was observed; observing is separate. KVM counts as usable only once a Linux
guest was seen to reach userspace under it in this boot of the machine.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from qemunet_tests.errors import Unavailable, UsageError
from qemunet_tests.host import credentials, kvm, system
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.qemu import kvm_probe_cache
from qemunet_tests.qemu.built_image import Image
from qemunet_tests.qemu.kvm_probe import Launch, Trial, launch_as_guests, race
from qemunet_tests.qemu.qemu_facts import Qemu
from qemunet_tests.user_names import user_name

Requested = Literal["auto", "kvm", "tcg"]

KVM_SLOWDOWN = 1.0
#: How much longer everything takes in software, on a machine that boots the probe guest in the time below.
SOFTWARE_SLOWDOWN = 5.0
ORDINARY_SOFTWARE_BOOT_SECONDS = 8.0
LARGEST_SLOWDOWN = 20.0

REMEDY_TCG = "use --accel tcg, or --accel auto, which chooses by itself"


@dataclass(frozen=True)
class Accel:
    """`used` goes to QEMU's -accel; deadlines are multiplied by `slowdown`; `reason` completes "because"."""

    used: Literal["kvm", "tcg"]
    reason: str
    slowdown: float

    def describe(self) -> dict[str, str]:
        """For results.json."""
        return {"used": self.used, "reason": self.reason}


@dataclass(frozen=True)
class Observed:
    """What the decision rests on. `trial` is None where none was made or was not worth making."""

    built_in: bool
    obstacle: Obstacle | None
    trial: Trial | None

    @property
    def worth_a_trial(self) -> bool:
        return self.built_in and self.obstacle is None and self.trial is None


def choose(
    requested: str,
    qemu: Qemu,
    image: Image,
    launch: Launch = launch_as_guests,
    *,
    notice: Callable[[str], None] = lambda _text: None,
    uid: int | None = None,
) -> Accel:
    """The accelerator for guests that `launch` starts as user `uid`.

    Tries KVM at most once per boot of the machine: about 2 s where it works, up to 20 s where it hangs;
    `notice` is told before. Raises UsageError for an unknown word, Unavailable where `kvm` is asked for
    and does not work.
    """
    if requested not in get_args(Requested):
        raise UsageError(f"--accel {requested}: choose one of {', '.join(get_args(Requested))}")
    if requested == "tcg":
        return Accel("tcg", "--accel tcg was asked for", SOFTWARE_SLOWDOWN)
    user = os.geteuid() if uid is None else uid
    observed = observe(qemu, user)
    if observed.worth_a_trial:
        with kvm_probe_cache.one_at_a_time():
            # Another worker may have tried while we waited.
            seen = kvm_probe_cache.recall(qemu, user) or _try(qemu, image, launch, notice, user)
        observed = replace(observed, trial=seen)
    return decide(requested, observed)


def _try(qemu: Qemu, image: Image, launch: Launch, notice: Callable[[str], None], uid: int) -> Trial:
    notice("probing KVM: booting a small Linux under it (up to 20 s, once per boot of this machine)")
    made = race(qemu, image, launch)
    # A refusal may be mended in a minute; a guest that hangs will hang again.
    if made.ran and (unkept := kvm_probe_cache.keep(made, qemu, uid)):
        notice(f"the answer about KVM is not kept: {unkept}")
    return made


def observe(qemu: Qemu, uid: int) -> Observed:
    """What is known about KVM for this QEMU and user without booting anything."""
    this_machine = system.read()
    return Observed(
        built_in="kvm" in qemu.accelerators,
        obstacle=kvm.obstacle(kvm.read(), credentials.read(), user_name(os.geteuid()), this_machine),
        trial=kvm_probe_cache.recall(qemu, uid),
    )


def require_prospects(qemu: Qemu, uid: int) -> None:
    """Raises Unavailable where it is known without a guest that there will be no KVM, which was asked for."""
    if not (observed := observe(qemu, uid)).worth_a_trial:
        decide("kvm", observed)


def decide(requested: str, observed: Observed) -> Accel:
    """The accelerator that follows from what was observed.

    Raises Unavailable where `kvm` was asked for in vain.
    """
    why_not = unusable(observed)
    if why_not is None:
        seconds = observed.trial.kvm.seconds if observed.trial else 0.0
        return Accel("kvm", f"a Linux guest reached userspace under KVM in {seconds:.1f} s", KVM_SLOWDOWN)
    if requested == "kvm":
        reason = f"--accel kvm was asked for, but {why_not.reason}"
        raise Unavailable(reason, f"{why_not.remedy}; or {REMEDY_TCG}")
    remedy = f" ({why_not.remedy})" if observed.obstacle is not None else ""
    return Accel("tcg", f"{why_not.reason}{remedy}", software_slowdown(observed.trial))


def unusable(observed: Observed) -> Obstacle | None:
    """Why guests cannot run under KVM, or None where one was seen to."""
    if not observed.built_in:
        return Obstacle("this QEMU was built without KVM", "install the distribution's own QEMU")
    if observed.obstacle is not None:
        return observed.obstacle
    if observed.trial is None:
        return Obstacle("whether KVM runs a Linux guest was not tried", "qemunet doctor --deep")
    return hung(observed.trial)


def hung(trial: Trial) -> Obstacle | None:
    """Why a guest did not reach userspace under KVM, or None where it did."""
    boot = trial.kvm
    if boot.reached_userspace:
        return None
    if not trial.ran:
        said = boot.complaint.splitlines()[0] if boot.complaint else f"exit status {boot.status}"
        return Obstacle(f"QEMU does not start under KVM: {said}", "use --accel tcg")
    beside = ""
    if trial.software.reached_userspace:
        beside = f"; in software it needs {trial.software.seconds:.1f} s"
    ending = "hangs" if boot.status is None else "dies"
    return Obstacle(
        f"KVM opens but a Linux guest {ending} at stage '{boot.stage}' after {boot.seconds:.0f} s{beside}",
        "use another kernel on this machine or the one below it, or a machine that is not nested",
    )


def software_slowdown(trial: Trial | None) -> float:
    """How much longer than under KVM to wait for guests in software, measured where a trial was made."""
    if trial is None or trial.kvm.reached_userspace:
        return SOFTWARE_SLOWDOWN
    measured = SOFTWARE_SLOWDOWN * trial.software.seconds / ORDINARY_SOFTWARE_BOOT_SECONDS
    return min(LARGEST_SLOWDOWN, max(SOFTWARE_SLOWDOWN, round(measured, 1)))
