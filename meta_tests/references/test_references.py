"""Documents made of what the program says of itself are those that it would make today."""

import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from meta_tests.references import claims_page, manual_page, options_page
from meta_tests.references.described_command import commands
from qemunet_tests.commands import COMMANDS

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "made", [claims_page, manual_page, options_page], ids=lambda made: made.__name__.split(".")[-1]
)
def test_the_document_is_what_is_made_today(made: ModuleType) -> None:
    written = (CHECKOUT / made.PAGE).read_text(encoding="utf-8")
    assert written == made.page(), f"python -m {made.__name__} writes {made.PAGE} anew"


def test_every_command_has_a_section() -> None:
    named = {each.name for each in commands()}
    assert {f"qemunet {name}" for name in COMMANDS} <= named
    assert "qemunet image build" in named


@pytest.mark.skipif(not shutil.which("groff"), reason="there is no groff here")
def test_the_manual_page_is_read_without_a_warning() -> None:
    words = ["groff", "-man", "-Tutf8", "-ww", "-P-c", str(CHECKOUT / manual_page.PAGE)]
    read = subprocess.run(words, capture_output=True, text=True, check=True)
    assert read.stderr == ""
    assert "--pause-at-failure" in read.stdout.replace("\b", "")
    # A dash is a dash that can be copied, not a hyphen.
    assert "\u2010\u2010" not in read.stdout
