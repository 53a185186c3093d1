"""A disk that boots by itself, made without root: a FAT file system with syslinux on it."""

from pathlib import Path

from qemunet_tests.images.tools import run

VOLUME_ID = "51454d55"
ENVIRONMENT = {
    # Without a partition table mtools' own idea of a disk's geometry does not fit.
    "MTOOLS_SKIP_CHECK": "1",
    # Same content, same bytes: some fixed time.
    "SOURCE_DATE_EPOCH": "1000000000",
}


def write_disk(target: Path, kernel: Path, initrd: Path, megabytes: int, cmdline: str) -> None:
    """The whole disk is one FAT file system, which SeaBIOS boots like any disk."""
    folder = target.parent
    target.unlink(missing_ok=True)
    run(
        [
            "mkfs.fat",
            "--invariant",
            "-C",
            "-F",
            "16",
            "-i",
            VOLUME_ID,
            "-n",
            "QEMUNET",
            target.name,
            str(megabytes * 1024),
        ],
        package="dosfstools",
        folder=folder,
    )
    run(["syslinux", "--install", target.name], package="syslinux", folder=folder, environment=ENVIRONMENT)
    settings = folder / "syslinux.cfg"
    settings.write_text(
        "serial 0 115200\ndefault linux\nprompt 0\ntimeout 0\n"
        f"label linux\n  kernel vmlinuz\n  append initrd=initrd {cmdline}\n"
    )
    for source, name in ((settings, "syslinux.cfg"), (kernel, "vmlinuz"), (initrd, "initrd")):
        command = ["mcopy", "-i", target.name, str(source), f"::{name}"]
        run(command, package="mtools", folder=folder, environment=ENVIRONMENT)
    settings.unlink()
