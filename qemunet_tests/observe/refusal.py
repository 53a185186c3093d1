"""What the bridge helper says when QEMU asks it for a tap."""

from qemunet_tests.harness.bench import Attempt

STARTED = "QEMU starts"
#: QEMU's own words, which follow the helper's and are the same for all of them.
QEMUS_LINE = "bridge helper failed"


def answer(attempt: Attempt) -> str:
    """STARTED, or the helper's line, or all there is where QEMU ended otherwise than for its helper's sake."""
    if attempt.started:
        return STARTED
    lines = attempt.message.splitlines()
    if attempt.status == 1 and len(lines) > 1 and lines[-1].endswith(QEMUS_LINE):
        return lines[0]
    return f"exit status {attempt.status}: {' / '.join(lines)}"
