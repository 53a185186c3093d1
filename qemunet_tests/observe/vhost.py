"""The threads with which the kernel carries a process's frames: vhost_worker_create in drivers/vhost/vhost.c."""

import contextlib
from pathlib import Path


def threads_of(process_id: int) -> list[str]:
    """What they are called: `vhost`. Since Linux 6.4 they are the process's own, before that kthreadd's."""
    name, own = f"vhost-{process_id}", Path(f"/proc/{process_id}/task").glob("*/comm")
    return ["vhost" for file in (*own, *Path("/proc").glob("[0-9]*/comm")) if _read(file) == name][:1]


def _read(file: Path) -> str:
    """Empty of one that has ended meanwhile."""
    with contextlib.suppress(OSError):
        return file.read_text().strip()
    return ""
