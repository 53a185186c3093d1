"""`qemunet record` with something wrong in an arm that the recorder was not told of.

    python -m meta_tests.planted.faulty_arm FAULT[=VALUE] record OPTION...

Everything else is the real command. The faults are those of meta_tests/faults/in_recordings, and `nothing`.
"""

import sys

from meta_tests.faults import faults_in, in_recordings
from qemunet_tests.__main__ import exit_code

if __name__ == "__main__":
    name, _, value = sys.argv[1].partition("=")
    if name != "nothing":
        faults_in(in_recordings)[name].planting.plant(value)
    sys.exit(exit_code(sys.argv[2:]))
