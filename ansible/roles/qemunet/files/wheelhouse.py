"""Gather qemunet and its libraries for a Python of another machine into one file, and print the file's path.

    python wheelhouse.py FOLDER 3.11

FOLDER has qemunet's own wheel. The file is named after its content and is not made a second time, so that hosts that
have it are left alone.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

#: What distributions since 2021 can load (PEP 600), the newest first.
PLATFORMS = ("manylinux_2_31_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def gathered(wheel: Path, python: str, into: Path) -> None:
    """Download what the wheel needs, for that Python and not for the one that runs this."""
    platforms = [f"--platform={each}" for each in PLATFORMS]
    words = ["--quiet", "--only-binary=:all:", f"--python-version={python}", *platforms, f"--dest={into}", str(wheel)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", *words]
    if code := subprocess.run(pip, check=False).returncode:
        # pip has said why, and nothing is said after it.
        sys.exit(code)


def pack(folder: Path, file: Path) -> None:
    """The same bytes whenever the same files are in it."""

    def anybody(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = "root"
        member.mode = 0o644
        return member

    unfinished = file.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as packed:
        for each in sorted(folder.iterdir()):
            packed.add(each, each.name, filter=anybody)
    unfinished.rename(file)


def main(folder: Path, python: str) -> None:
    wheel = max(folder.glob("qemunet-*.whl"), key=lambda each: each.stat().st_mtime)
    file = folder / f"wheels-{python}-{hashlib.sha256(wheel.read_bytes()).hexdigest()[:12]}.tar"
    if not file.exists():
        with tempfile.TemporaryDirectory() as made:
            gathered(wheel, python, Path(made))
            pack(Path(made), file)
    sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
