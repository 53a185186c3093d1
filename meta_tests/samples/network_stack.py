"""A network namespace of a test's own, whose owner may do in it what he likes, for readers of the host to look at."""

import os
import subprocess
from collections.abc import Sequence

from qemunet_tests.host.asking import PROGRAM_FOLDERS, Completed
from qemunet_tests.timeouts import crowding

#: On a machine with nothing else to do.
ASKING_SECONDS = 30.0
#: /sys shows the network of whoever mounted it. Where it is read-only, as in a container, nobody gets another, not even
#: for the moment that mount(8) takes to make it read-only where it uses the new calls.
OWN_SYS = "LIBMOUNT_FORCE_MOUNT2=always mount -t sysfs -o ro sysfs /sys"


class NetworkStack:
    """Lives until `close`."""

    def __init__(self) -> None:
        own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
        words = ["unshare", *own_user, "--net", "--mount", "sh", "-c", f"{OWN_SYS}; echo; exec sleep infinity"]
        self._holder = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._holder.stdout and self._holder.stdout.readline() == b"\n"
        self.type("ip link set lo up")

    def ask(self, words: Sequence[str]) -> Completed:
        """As a reader of the host would."""
        own_user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        entering = ["nsenter", "--target", str(self._holder.pid), *own_user, "--net", "--mount"]
        environment = {"PATH": PROGRAM_FOLDERS, "LC_ALL": "C"}
        within_seconds = ASKING_SECONDS * crowding()
        done = subprocess.run(
            [*entering, *words], env=environment, capture_output=True, timeout=within_seconds, check=False
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def type(self, commands: str) -> None:
        done = self.ask(["sh", "-ec", commands])
        assert done.succeeded, done.complaint

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()
