"""What the lab, where `qemunet run` does its work, needs: namespaces, programs, room for images."""

from collections.abc import Callable

from qemunet_tests.doctor.checks.check import LAB, Check, CheckResult, caution, impossible, ok
from qemunet_tests.doctor.host_facts import LAB_PROGRAMS, HostFacts
from qemunet_tests.host.obstacle import Obstacle
from qemunet_tests.host.package_manager import install_command
from qemunet_tests.isolation import user_namespaces

#: A guest image with what is needed to build it, and templates.
IMAGES_MB = 600


def namespaces(facts: HostFacts) -> CheckResult:
    refused = user_namespaces.obstacle(facts.namespaces, facts.credentials, facts.machine, facts.root)
    if refused is not None:
        return impossible(refused)
    how = "with this user's own privileges" if facts.namespaces.as_root else "by a user namespace"
    return ok(f"network and mount namespaces can be made {how}")


def program(name: str) -> Callable[[HostFacts], CheckResult]:
    """The check for a program that the lab runs."""

    def look(facts: HostFacts) -> CheckResult:
        if found := facts.programs.get(name):
            return ok(f"{name} is {found}")
        return impossible(Obstacle(f"there is no {name}", install_command(name, facts.machine, facts.sudo)))

    return look


def disk(facts: HostFacts) -> CheckResult:
    place = facts.disk.path
    if not facts.disk.writable:
        return caution(
            Obstacle(f"{place} cannot be written", "set QEMUNET_CACHE to a folder that can"),
            "guests must have been built by root",
        )
    if facts.disk.free_mb < IMAGES_MB:
        return caution(
            Obstacle(f"{facts.disk.free_mb} MB are free for {place}", "make room, or set QEMUNET_CACHE"),
            f"building guests takes up to {IMAGES_MB} MB",
        )
    return ok(f"{facts.disk.free_mb} MB are free for {place}")


CHECKS = (
    Check("namespaces", (LAB,), (LAB,), namespaces),
    *(Check(name, (LAB,), (LAB,), program(name)) for name in LAB_PROGRAMS),
    Check("disk", (LAB,), (), disk),
)
