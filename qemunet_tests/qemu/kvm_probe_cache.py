"""What a trial boot showed, remembered until the machine boots again.

Kept in accel.json of the cache. Anything odd about that file means that the trial is made again.
"""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qemunet_tests import cache, trust
from qemunet_tests.cache import cache_root, readable_caches
from qemunet_tests.host.files import MACHINE, read_text
from qemunet_tests.lock import locked
from qemunet_tests.qemu.kvm_probe import STAGES, Boot, Trial
from qemunet_tests.qemu.qemu_facts import Qemu

FILE = "accel.json"
SCHEMA = 1
LOCK_SECONDS = 60.0
_MOST_BYTES = 1 << 20


def boot_id(root: Path = MACHINE) -> str:
    """Changes with every boot of the machine; empty where the kernel does not say."""
    return read_text(root, "/proc/sys/kernel/random/boot_id") or ""


def key(qemu: Qemu, uid: int) -> str:
    """What an answer holds for: this QEMU file, this kernel, this user."""
    found = qemu.path.stat()
    return f"{qemu.path} {found.st_size} {found.st_mtime_ns} {os.uname().release} {uid}"


def recall(qemu: Qemu, uid: int) -> Trial | None:
    """What was seen earlier in this boot, or None."""
    for folder in readable_caches():
        trial = _trial(_answers(folder / FILE).get(key(qemu, uid)))
        if trial is not None:
            return trial
    return None


def keep(trial: Trial, qemu: Qemu, uid: int) -> str | None:
    """Write the answer down. Returns why that failed, or None; without it the next run tries again."""
    folder = cache_root()
    answers = {**_answers(folder / FILE), key(qemu, uid): asdict(trial)}
    document = {"schema": SCHEMA, "boot": boot_id(), "trials": answers}
    try:
        cache.make()
        descriptor, temporary = tempfile.mkstemp(prefix=f".{FILE}-", dir=folder)
        try:
            with os.fdopen(descriptor, "w") as stream:
                json.dump(document, stream, indent=1)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(folder / FILE)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as refused:
        return f"{folder} cannot be written: {refused.strerror}"
    return None


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process of this user try and the others wait for its answer. Raises TimedOut."""
    with contextlib.ExitStack() as held:
        # Without a place for the answer there is nothing to wait for.
        with contextlib.suppress(OSError):
            lock = cache.make() / f".{FILE}.lock"
            held.enter_context(locked(lock, LOCK_SECONDS, "another process to find out whether KVM works"))
        yield


def _answers(path: Path) -> dict[str, Any]:
    try:
        with trust.opened(path) as stream:
            document = json.loads(stream.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or not boot_id():
        return {}
    answers = document.get("trials")
    return answers if isinstance(answers, dict) and document.get("boot") == boot_id() else {}


def _trial(answer: Any) -> Trial | None:
    from pydantic import TypeAdapter, ValidationError

    try:
        trial = TypeAdapter(Trial).validate_python(answer)
    except ValidationError:
        return None
    return trial if _is_sound(trial.kvm) and _is_sound(trial.software) else None


def _is_sound(boot: Boot) -> bool:
    return math.isfinite(boot.seconds) and boot.stage in {name for _, name in STAGES}
