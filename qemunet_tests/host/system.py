"""What kind of machine this is: system, processors, and whether it is virtual, a container, or a CI job."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qemunet_tests.host import control_groups
from qemunet_tests.host.files import MACHINE, read_text, under

#: What the firmware's tables say in a virtual machine (vendor and product, joined), and what to call it.
HYPERVISORS = {
    "VMware": "vmware",
    "VirtualBox": "virtualbox",
    "innotek": "virtualbox",
    "Microsoft Corporation Virtual Machine": "hyper-v",
    "Amazon EC2": "aws",
    "Google Compute Engine": "gcp",
    "OpenStack": "openstack",
    "Hetzner": "hetzner",
    "DigitalOcean": "digitalocean",
    "Parallels": "parallels",
    "Xen": "xen",
    "BHYVE": "bhyve",
    "Bochs": "qemu",
    "KVM": "qemu",
    "QEMU": "qemu",
}
#: Environment variables that CI systems set, the particular ones first.
CI_VARIABLES = {
    "GITHUB_ACTIONS": "GitHub Actions",
    "GITLAB_CI": "GitLab CI",
    "JENKINS_URL": "Jenkins",
    "CIRCLECI": "CircleCI",
    "BUILDKITE": "Buildkite",
    "TF_BUILD": "Azure Pipelines",
    "CI": "CI",
}
#: The namespaces that the kernel makes when it boots have fixed numbers.
_FIRST_NAMESPACES = {"pid": "pid:[4026531836]", "uts": "uts:[4026531838]", "ipc": "ipc:[4026531839]"}
_CONTAINER_CGROUPS = ("docker", "kubepods", "libpod", "lxc", "containerd")


@dataclass(frozen=True)
class HostSystem:
    """`virtualisation`, `container` and `ci` are names, or None where there is none.

    `families` are the distribution's own id and those it says it is like, nearest first.
    """

    distribution: str
    families: tuple[str, ...]
    kernel: str
    architecture: str
    cpus: int
    virtualisation: str | None
    container: str | None
    ci: str | None


def read(root: Path = MACHINE, environment: Mapping[str, str] = os.environ) -> HostSystem:
    """The machine whose files lie below `root`."""
    release = os_release(root)
    return HostSystem(
        distribution=release.get("PRETTY_NAME", "an unknown Linux"),
        families=(release.get("ID", "unknown"), *release.get("ID_LIKE", "").split()),
        kernel=read_text(root, "/proc/sys/kernel/osrelease") or platform.release(),
        architecture=platform.machine(),
        cpus=cpus(root),
        virtualisation=virtualisation(root),
        container=container(root, environment),
        ci=next((name for variable, name in CI_VARIABLES.items() if environment.get(variable)), None),
    )


def os_release(root: Path = MACHINE) -> dict[str, str]:
    """The distribution's own description (os-release(5)); empty where there is none."""
    text = read_text(root, "/etc/os-release") or read_text(root, "/usr/lib/os-release") or ""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def cpus(root: Path = MACHINE) -> int:
    """How many processors this process may use, a control group's quota included."""
    if root == MACHINE:
        count = len(os.sched_getaffinity(0))
    else:
        count = (read_text(root, "/proc/cpuinfo") or "").count("processor\t") or 1
    return min(count, control_groups.cpus(root) or count)


def virtualisation(root: Path = MACHINE) -> str | None:
    """What this machine runs under, or None on bare metal."""
    if "microsoft" in (read_text(root, "/proc/sys/kernel/osrelease") or "").lower():
        return "wsl"
    folder = "/sys/class/dmi/id"
    product = read_text(root, f"{folder}/product_name") or ""
    if product.endswith(".metal"):
        return None
    said = f"{read_text(root, f'{folder}/sys_vendor') or ''} {product}"
    for mark, name in HYPERVISORS.items():
        if mark in said:
            return name
    if (kind := read_text(root, "/sys/hypervisor/type")) is not None:
        return kind
    return "unknown" if " hypervisor" in (read_text(root, "/proc/cpuinfo") or "") else None


def container(root: Path = MACHINE, environment: Mapping[str, str] = os.environ) -> str | None:
    """The container runtime around this process, or None."""
    if "KUBERNETES_SERVICE_HOST" in environment:
        return "kubernetes"
    if kind := environment.get("container") or read_text(root, "/run/systemd/container"):
        return kind
    if _in_first_namespaces(root):
        # Images made from containers keep the marks of one.
        return None
    for mark, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if under(root, mark).exists():
            return name
    groups = read_text(root, "/proc/1/cgroup") or ""
    return next((name for name in _CONTAINER_CGROUPS if name in groups), None)


def _in_first_namespaces(root: Path) -> bool:
    try:
        found = {kind: str(under(root, f"/proc/self/ns/{kind}").readlink()) for kind in _FIRST_NAMESPACES}
    except OSError:
        return False
    return found == _FIRST_NAMESPACES
