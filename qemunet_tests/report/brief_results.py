"""What of a host's results a page of many hosts needs: read quickly, and a stranger's in every respect.

Whoever rules a host may write what he likes into its results: they have a limit, and only a regular file is read,
because others may never end.
"""

import os
import stat
from pathlib import Path

from pydantic import Field

from qemunet_tests import named_file
from qemunet_tests.errors import UsageError
from qemunet_tests.report.others_documents import read_as
from qemunet_tests.report.session_results import RESULTS_FILE
from qemunet_tests.report.shapes import KnownShape, Versioned
from qemunet_tests.report.verdict_of_test import Verdict
from qemunet_tests.shape import Shape

#: Ten times what a run of everything writes on a host on which all is broken.
LIMIT_BYTES = 1 << 23


class BriefVerdict(Shape):
    """What became of a claim, as in results.json, with less beside it."""

    claim: str
    verdict: Verdict
    reason: str | None = None
    remedy: str | None = None
    cause: str | None = None
    known: KnownShape | None = None


class BriefHost(Shape):
    """The machine, as in results.json."""

    id: str | None = None
    name: str | None = None
    kernel: str
    distribution: str


class BriefQemu(Shape):
    """What was tested, as in results.json."""

    version: str | None = None
    slirp: str | None = None


class BriefAccelerator(Shape):
    """What guests ran on, as in results.json."""

    used: str | None = None


class BriefResults(Versioned):
    """The results of a host's run, as far as they are laid beside those of others."""

    at: str | None = None
    version: str | None = None
    target: str
    interrupted: bool = False
    host: BriefHost
    qemu: BriefQemu = Field(default_factory=BriefQemu)
    accel: BriefAccelerator = Field(default_factory=BriefAccelerator)
    verdicts: list[BriefVerdict]


def brief_results(place: Path) -> BriefResults:
    """Those of a report's folder, or of its results.json. Raises UsageError, which does not name the place."""
    file = place / RESULTS_FILE if place.is_dir() else place
    try:
        with named_file.to_read(file) as stream:
            about = os.fstat(stream.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise UsageError(f"{RESULTS_FILE} is no regular file")
            content = named_file.beginning(stream, LIMIT_BYTES + 1)
    except OSError as refused:
        raise UsageError(f"{RESULTS_FILE}: {refused.strerror}") from None
    if len(content) > LIMIT_BYTES:
        raise UsageError(f"{RESULTS_FILE} is larger than {LIMIT_BYTES >> 20} MB")
    try:
        return read_as(BriefResults, content)
    except UsageError as why:
        raise UsageError(f"{RESULTS_FILE} has no results of a run: {why}") from None
