"""The guest image is made before the lab is entered, because the lab has no way out to fetch packages."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console

from qemunet_tests.settings import Settings


class BuildSteps(Protocol):
    """Whoever shows what a long task is doing."""

    def step(self, text: str, fraction: float) -> None:
        """`text` says what is being done now, `fraction` (0 to 1) how much lies behind."""


class PlainSteps:
    """One line per step, for files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = ""

    def step(self, text: str, fraction: float) -> None:
        if text != self._said:
            self._console.print(f"[{fraction:4.0%}] {text}", soft_wrap=True, highlight=False, markup=False)
            self._said = text


@contextlib.contextmanager
def shown_steps(console: Console) -> Iterator[BuildSteps]:
    """A bar on a terminal, plain lines elsewhere. No thread is left when it ends."""
    if not console.is_terminal:
        yield PlainSteps(console)
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        class OnBar:
            def step(self, text: str, fraction: float) -> None:
                bar.update(task, description=text, completed=fraction)

        yield OnBar()


def prepare_image(console: Console, name: str) -> float:
    """Have the guest's image of this name built if there is none. Answers with the seconds it took.

    Raises Unavailable where it cannot be built, HarnessError where building failed, UsageError where the cache is
    somebody else's.
    """
    from qemunet_tests import cache, images

    cache.let_others_read()
    cache.claim(notice=lambda sentence: console.print(sentence, highlight=False, markup=False))
    began_seconds = time.monotonic()
    if images.available(name) is None:
        console.print("the guest image is not built yet: building it once", highlight=False)
        with shown_steps(console) as steps:
            images.ensure(name, progress=steps)
    return time.monotonic() - began_seconds


def prepare_run(console: Console, settings: Settings) -> float:
    """Have all that a run needs from outside the lab: image and accelerator. Answers with the image's seconds.

    Raises UsageError where the QEMU asked for is none, Unavailable and HarnessError where there can be no run.
    """
    from qemunet_tests.prerequisites import look_at_what_is_named, prepare

    look_at_what_is_named(settings)
    image_seconds = prepare_image(console, settings.image)
    prepare(settings, notice=lambda sentence: console.print(sentence, soft_wrap=True, highlight=False))
    return image_seconds
