"""What the bridge helper says when QEMU asks it for a tap."""

from qemunet_tests.guest.bench import LaunchAttempt

STARTED = "QEMU starts"
#: QEMU's own words, which follow the helper's and are the same for all of them.
QEMUS_LINE = "bridge helper failed"


def answer(attempt: LaunchAttempt) -> str:
    """STARTED, or the helper's line, or all there is where QEMU ended otherwise than for its helper's sake."""
    if attempt.started:
        return STARTED
    said = attempt.complaints
    if attempt.status == 1 and said.because and said.refusal.endswith(QEMUS_LINE):
        return " / ".join(said.because)
    return f"exit status {attempt.status}: {said}"
