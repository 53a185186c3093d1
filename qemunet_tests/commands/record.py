"""`qemunet record`: measures the networking modes side by side."""

import argparse
import contextlib
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qemunet_tests import modes
from qemunet_tests.errors import HarnessError, Unavailable, UsageError
from qemunet_tests.options import OF_QEMUNET

if TYPE_CHECKING:
    from rich.console import Console

    from qemunet_tests.qemu.guest_machine import GuestMachine
    from qemunet_tests.qemu.qemu_facts import Qemu
    from qemunet_tests.settings import Settings
    from qemunet_tests.throughput.recorder import Effort
    from qemunet_tests.throughput.recording import Writer
    from qemunet_tests.throughput.recording_shapes import Session
    from qemunet_tests.throughput.variants import Plan

DEFAULT_BLOCKS, DEFAULT_LIMIT, BOOTS = 8, 16, 2

EXAMPLES = """\
examples:
  qemunet record                              user against bridge, about 4 minutes under TCG
  qemunet record --out today.jsonl --plots out
                                              keep it there; plots as SVG and PNG
  qemunet record --arms user,tap,tap-plain --nics virtio-net --blocks 10
  qemunet record --baseline /usr/bin/qemu-system-x86_64 --qemu ~/qemu/build/qemu-system-x86_64
                                              two QEMUs in the same blocks; judge them with
                                              `qemunet compare FILE --baseline`
  qemunet record --guest-time                 per guest second (icount): steady on noisy machines

arms:
{arms}

Ctrl-C keeps what was measured.

exit codes: 0 recorded; 2 wrong usage; 3 the A/A arm failed, it ended early, or nothing could be measured
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "record",
        help="measure throughput of the networking modes",
        description="Measure the networking modes side by side, in the lab, and print how they compare.",
        epilog=EXAMPLES.format(arms=_arms()),
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="where the recording goes (default: the cache)")
    parser.add_argument(
        "--arms", metavar="ARM,...", default="user,bridge", help="what to measure (default: %(default)s)"
    )
    parser.add_argument("--nics", metavar="MODEL,...", default="virtio-net,e1000", help="default: %(default)s")
    parser.add_argument("--blocks", metavar="N", help="so many blocks (default: 8 to 16, until precise enough)")
    parser.add_argument("--seconds", metavar="S", default="1", help="length of one transfer (default: %(default)s)")
    parser.add_argument(
        "--directions", metavar="g2h,h2g", default="g2h,h2g", help="guest to host, host to guest (default: both)"
    )
    parser.add_argument(
        "--extras", metavar="NAME,...", default="latency,udp", help="what besides TCP, or none (default: %(default)s)"
    )
    parser.add_argument("--full", action="store_true", help="every metric in every block")
    parser.add_argument("--guest-time", action="store_true", help="goodput per guest second, by QEMU's -icount")
    parser.add_argument("--placement", choices=("one", "split", "free"), default="one", help="CPUs of what is measured")
    parser.add_argument("--plots", metavar="DIR", type=Path, help="draw plots there")
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), default="auto", help="default: %(default)s")
    parser.add_argument("--image", metavar="NAME", help="the guest to measure with, by the name of its image")
    parser.add_argument("--qemu", metavar="PATH", help="the QEMU to measure")
    parser.add_argument("--baseline", metavar="PATH", help="another QEMU, measured in the same blocks")
    parser.add_argument("--seed", metavar="N", help="of the random order")


def _arms() -> str:
    return "\n".join(f"  {word:<15} {way.about}" for word, way in modes.ways().items())


def execute(arguments: argparse.Namespace) -> int:
    """Check, measure, show. Raises UsageError, Unavailable, HarnessError."""
    from qemunet_tests.commands.build_progress import prepare_image
    from qemunet_tests.commands.terminal import own_console
    from qemunet_tests.settings import from_options
    from qemunet_tests.throughput.variants import make_plan, models

    plan = make_plan(_words(arguments.arms, "--arms"), _words(arguments.nics, "--nics"), bool(arguments.baseline))
    effort, seed = _effort(arguments), _number(arguments.seed, "--seed", 0) or random.SystemRandom().randrange(1 << 32)
    if arguments.guest_time and arguments.accel == "kvm":
        raise UsageError("--guest-time counts instructions, which --accel kvm cannot")
    given = {
        "accel": "tcg" if arguments.guest_time else arguments.accel,
        "qemu": arguments.qemu,
        "image": arguments.image,
        "nic": tuple(models(_words(arguments.nics, "--nics"))),
    }
    settings = from_options(given, lambda name: "--nics" if name == "nic" else OF_QEMUNET.flag(name))
    _require_places(arguments.out, arguments.plots)
    baseline = _named(settings, arguments.baseline)
    with own_console() as console:
        prepare_image(console, settings.image)
        return _record(console, arguments, settings, plan, effort, seed, baseline)


def _require_places(out: Path | None, plots: Path | None) -> None:
    """Where results are to go is known to be wrong before minutes are measured. Raises UsageError, HarnessError."""
    from qemunet_tests.option_checks import writable_folder

    if out and out.is_dir():
        raise UsageError(f"--out {out}: that is a folder; name a file in it")
    for option, folder in (("--out", out.parent if out else None), ("--plots", plots)):
        if folder:
            writable_folder(folder, option)


def _named(settings: "Settings", baseline: str | None) -> "Qemu | None":
    """See that the QEMU that is named will do, and find the other one."""
    from qemunet_tests.prerequisites import look_at_what_is_named
    from qemunet_tests.qemu import qemu_facts

    look_at_what_is_named(settings)
    return qemu_facts.find(baseline, option="--baseline") if baseline else None


def _record(
    console: "Console", arguments: argparse.Namespace, settings: "Settings", plan: "Plan", effort: "Effort", seed: int,
    baseline: "Qemu | None",
) -> int:  # fmt: skip
    from qemunet_tests import workbench
    from qemunet_tests.prerequisites import prepare
    from qemunet_tests.qemu.guest_machine import GuestMachine
    from qemunet_tests.throughput import session
    from qemunet_tests.throughput.icount import Counting
    from qemunet_tests.throughput.placement import Placement
    from qemunet_tests.throughput.recording import Writer

    accel = prepare(settings, notice=lambda sentence: console.print(sentence, highlight=False))
    machine = workbench.machine_of(settings, accel, Counting if arguments.guest_time else GuestMachine)
    placement = Placement(arguments.placement)
    about = session.describe(
        plan, machine.qemu, machine.image, accel, placement, baseline,
        seed, effort.transfer_seconds, bool(arguments.guest_time),
    )  # fmt: skip
    out = arguments.out or _own_place(about)
    writer = Writer(out)
    try:
        kept = _measure(console, machine, plan, effort, placement, seed, about, writer, baseline)
    finally:
        if writer.empty:
            out.unlink(missing_ok=True)
        writer.close()
    return _show(console, out, arguments.plots, kept)


def _measure(
    console: "Console", machine: "GuestMachine", plan: "Plan", effort: "Effort", placement: Any, seed: int,
    about: "Session", writer: "Writer", baseline: "Qemu | None",
) -> str:  # fmt: skip
    """Record. Answers with why it ended: `complete`, or what happened before."""
    from qemunet_tests import workbench
    from qemunet_tests.commands.build_progress import shown_steps
    from qemunet_tests.throughput.recorder import Recorder
    from qemunet_tests.throughput.recording import DiskFull

    began = time.monotonic()
    # Only inside: the bar has a thread, and scipy starts some.
    with workbench.in_a_lab(machine, cold=True, captures=False) as (bench, lab), shown_steps(console) as steps:
        from qemunet_tests.throughput.judging.live import RunningRatios

        ratios = RunningRatios(writer, about)
        recorder = Recorder(
            bench, lab, plan, effort, placement, seed, ratios.keep, ratios.precise, steps, baseline
        )  # fmt: skip
        placement.step_aside()
        reason = "complete"
        try:
            recorder.record()
        except KeyboardInterrupt:
            if not ratios.runs:
                raise HarnessError("interrupted before anything was measured, so nothing was recorded") from None
            reason = "interrupted by Ctrl-C"
        except (HarnessError, Unavailable, OSError) as error:
            if not ratios.runs:
                raise
            reason = " ".join(str(error).split())
        # A disk that is full takes no last line either; what it has taken is a recording.
        with contextlib.suppress(DiskFull):
            ratios.end(reason, round(time.monotonic() - began, 1), recorder.unmeasured())
        return reason


def _show(console: "Console", out: Path, plots: Path | None, reason: str) -> int:
    from qemunet_tests.throughput import recording
    from qemunet_tests.throughput.judging import verdicts
    from qemunet_tests.throughput.showing import table

    recorded = recording.read(out)
    machine = verdicts.health(recorded)
    judged = verdicts.summarise(recorded, machine)
    table.show(console, recorded, judged, machine)
    if recorded.ended is None:
        console.print(f"The recording ended early: {reason}.", highlight=False, soft_wrap=True, markup=False)
    console.print(f"recorded in {out}", highlight=False, soft_wrap=True, markup=False)
    if plots:
        from qemunet_tests.throughput.showing.plots import draw

        for drawn in draw(recorded, judged, machine, plots):
            console.print(f"drawn: {drawn}", highlight=False, soft_wrap=True, markup=False)
    return 0 if machine.usable and reason == "complete" else 3


def _own_place(about: "Session") -> Path:
    from qemunet_tests.throughput.latest_recording import new_place

    return new_place(about)


def _words(text: str, option: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UsageError(f"{option}: name at least one")
    return words


def _effort(arguments: argparse.Namespace) -> "Effort":
    from qemunet_tests.throughput.extras import WORDS
    from qemunet_tests.throughput.recorder import Effort
    from qemunet_tests.throughput.schedule import DIRECTIONS

    blocks = _number(arguments.blocks, "--blocks", 1)
    seconds = _number(arguments.seconds, "--seconds", 1) or 1
    few = blocks or DEFAULT_BLOCKS
    extras = () if arguments.guest_time else _among(arguments.extras, "--extras", (*WORDS, "none"))
    directions = _among(arguments.directions, "--directions", DIRECTIONS)
    return Effort(
        few, blocks or DEFAULT_LIMIT, BOOTS, seconds, arguments.full, extras, directions, arguments.guest_time
    )  # fmt: skip


def _among(text: str, option: str, known: tuple[str, ...]) -> tuple[str, ...]:
    words = _words(text, option)
    for word in words:
        if word not in known:
            raise UsageError(f"{option}: there is no {word!r}; there are {', '.join(known)}")
    return tuple(dict.fromkeys(words))


def _number(text: str | None, option: str, least: int) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < least:
        raise UsageError(f"{option}: {text!r} is not a whole number from {least}")
    return int(text)
