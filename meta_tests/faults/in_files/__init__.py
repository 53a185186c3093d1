"""Hosts of which something is wrong in their files or in what is tried there: the doctor must find it."""

import re
from typing import Any

from meta_tests.faults.fault import Fault, InFiles


def of_files(
    name: str,
    check: str,
    state: str,
    reason: str,
    remedy: str,
    impossible: tuple[str, ...] = (),
    kind: str = "",
    **planting: Any,
) -> Fault:
    """A fault of a host made of files: `reason` and `remedy` are words of what the doctor says of `check`.

    `planting` are further fields of `InFiles`.
    """
    planted = InFiles(state, impossible, **planting)
    return Fault(name, (check,), re.escape(reason), planted, re.escape(remedy), kind=kind)
