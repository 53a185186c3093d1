"""Writing a page of docs that is made, as `python -m` does it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def write(module: str, page: Callable[[], str], usual: Path) -> None:
    """Write what `page` makes to the file that the command line names, or to the `usual` one; help writes nothing."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=f"Write {usual.name} anew.", allow_abbrev=False
    )
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", default=usual, help=f"default: {usual}")
    place = parser.parse_args().file
    try:
        place.write_text(page(), encoding="utf-8")
    except OSError as refused:
        parser.error(f"{place} cannot be written: {refused.strerror}")
    sys.stdout.write(f"written: {place}\n")
