"""What two runs were made with that is not the same, and may explain what became of their claims."""

from collections.abc import Iterator, Mapping

from qemunet_tests.report.change_shapes import HostChange
from qemunet_tests.report.shapes import OwnBuildShape, Results

_NO_OWN_BUILD = "none, the installed one"
#: What it means that a run had none of these; of what is not here, that nobody knew.
_WITHOUT = {
    "libslirp": "QEMU had none that could be seen",
    "libslirp of one's own": _NO_OWN_BUILD,
    "bridge helper of one's own": _NO_OWN_BUILD,
    "passt": "no claim was tried with it",
    "passt of one's own": _NO_OWN_BUILD,
    "image": "none was booted",
}


def host_changes(before: Results, after: Results) -> Iterator[HostChange]:
    """In the order in which people ask for it, packages last."""
    left, right = _made_with(before), _made_with(after)
    for name in left:
        if left[name] != right[name]:
            yield HostChange(name=name, before=left[name], after=right[name])
    yield from _packages(before.host.packages, after.host.packages)


def in_words(change: HostChange) -> tuple[str, str]:
    """Before and after, as people are told."""
    without = "not installed" if change.name.startswith("package ") else _WITHOUT.get(change.name, "unknown")
    return change.before or without, change.after or without


def _made_with(run: Results) -> dict[str, str | None]:
    return {
        "host": run.host.name or run.host.id,
        "kernel": run.host.kernel,
        "distribution": run.host.distribution,
        "CPUs": str(run.host.cpus),
        "QEMU": run.qemu.version,
        "QEMU's file": run.qemu.path,
        "libslirp": run.qemu.slirp,
        "libslirp of one's own": _own(run.qemu.own_libslirp),
        "bridge helper of one's own": _own(run.qemu.own_helper),
        "passt": next((each.passt for each in run.verdicts if each.passt), None),
        "passt of one's own": _own(run.passt),
        "accelerator": run.accel.used,
        "image": f"{run.image.name} {run.image.digest[:12]}" if run.image else None,
        "target": run.target,
        "qemunet": run.version,
    }


def _own(build: OwnBuildShape | None) -> str | None:
    return " ".join(filter(None, [build.path, build.version, build.build and build.build[:12]])) if build else None


def _packages(before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> Iterator[HostChange]:
    """Nothing where one of the two does not know its packages."""
    if before is None or after is None:
        return
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield HostChange(name=f"package {name}", before=before.get(name), after=after.get(name))
