"""Where the command `qemunet` begins: until its modules are there, Ctrl-C ends it as it ends any program."""

import os
import signal
import sys
from typing import NoReturn

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # A traceback, and the exit status of broken promises, would be the interpreter's own answer.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


# Of Python's own variables it alone is worth hearing where -I keeps it from being heard.
sys.dont_write_bytecode = sys.dont_write_bytecode or bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))


def main() -> NoReturn:
    """The console script."""
    from qemunet_tests import __main__

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    __main__.main()
