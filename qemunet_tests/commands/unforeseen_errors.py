"""What nobody foresaw, in one line."""

import os
import sys
import traceback
from pathlib import Path

#: Set it to anything, and the traceback is shown as well.
TRACEBACK = "QEMUNET_TRACEBACK"


def wants_traceback() -> bool:
    """Whether the user asked to see where in the program an error came from."""
    return bool(os.environ.get(TRACEBACK))


def accident(error: BaseException) -> str:
    """One line about an exception that nothing else has caught. The traceback goes to standard error, if wanted."""
    if wants_traceback():
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return f"{error.strerror}: {' and '.join(names)}" if names else f"{error.strerror} ({_place(error)})"
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return (
        f"{': '.join(filter(None, [type(error).__name__, said]))} (an error of qemunet's own, {_place(error)}; "
        f"{TRACEBACK}=1 shows the traceback)"
    )


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else "nobody knows where"
