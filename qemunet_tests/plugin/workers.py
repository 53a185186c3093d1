"""The wall between xdist's controller and its workers: whatever crosses it does so here, and comes out with its type.

| what                                          | from the      | on
|-----------------------------------------------|---------------|-----------------------------------------------
| that the controller is ours, and its target   | controller    | the environment, when a worker starts
| settings, accelerator, QEMUs: a `WorkerStart` | controller    | `workerinput`, when a worker starts
| a sentence about what takes long              | worker        | a channel of execnet's, at once
| facts                                         | worker        | the last report of each test, and `workeroutput`
| the verdict, and the names of artifacts       | worker        | the user properties of a test's report

Without workers the same functions serve the only process. What a whole run has in common, and not the workers alone
(`QEMUNET_CACHE`, the machine's own namespace, whom it does not trust), is told in the environment by its own module.
Loaded in every session of everybody who has qemunet installed, so it imports little.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qemunet_tests.plugin import pytest_internals
from qemunet_tests.report.session_info import SessionFacts
from qemunet_tests.report.verdict_of_test import ARTIFACT, VerdictOfTest

if TYPE_CHECKING:
    from qemunet_tests.qemu.accel import Accel
    from qemunet_tests.settings import Settings

#: Names the process whose workers are ours, and the target it was asked for.
_CONTROLLER = "QEMUNET_CONTROLLER"
#: xdist's own.
_WORKER, _WORKER_COUNT = "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"

_BRIEFING = "qemunet_briefing"
_PROGRESS = "qemunet_progress"
_FACTS = "qemunet_facts"


# Who is who


def announce_controller(target: str) -> None:
    """From here on the workers of this process are ours."""
    os.environ[_CONTROLLER] = f"{os.getpid()} {target}"


def target_of_controller() -> str | None:
    """The target of the controller whose worker this process is; None if it is nobody's, or not of one of ours."""
    pid, _, target = os.environ.get(_CONTROLLER, "").partition(" ")
    return target if _WORKER in os.environ and pid == str(os.getppid()) else None


def controller_pid() -> int:
    """The process that the run ends with: this one, where there are no workers."""
    return os.getppid() if _WORKER in os.environ else os.getpid()


def are_several() -> bool:
    """Whether this is one of several workers."""
    return int(os.environ.get(_WORKER_COUNT, "1")) > 1


def is_worker(config: pytest.Config) -> bool:
    """Known from when pytest is configured; before, only `target_of_controller` tells."""
    return hasattr(config, "workerinput")


def run_the_tests_of(config: pytest.Config) -> bool:
    """Whether this process leaves its tests to workers."""
    spreads = pytest_internals.spreads_tests(config) and not pytest_internals.only_looks(config)
    return spreads and not is_worker(config)


def use_interpreter(specs: Iterable[Any], python: str) -> None:
    """Have xdist start its workers on this machine with these words, where the user did not choose others."""
    for spec in specs:
        if spec.popen and not spec.python:
            spec.python = python


# From the controller to its workers


@dataclass(frozen=True)
class WorkerStart:
    """What a worker need not find out. Where the controller did not enter the lab, no accelerator was chosen yet.

    `seconds` is what tests took the last time: workers that were told otherwise would order tests otherwise.
    """

    settings: "Settings"
    accelerator: "Accel | None"
    seconds: Mapping[str, float]


def brief(node: Any, briefing: WorkerStart, progress: Callable[[str], None]) -> None:
    """Tell a worker that is about to start; `progress` gets its sentences."""
    from qemunet_tests.qemu import qemu_facts

    node.workerinput[_BRIEFING] = {
        "settings": briefing.settings.as_told(),
        "accelerator": asdict(briefing.accelerator) if briefing.accelerator else None,
        "qemus": qemu_facts.known(),
        "seconds": dict(briefing.seconds),
    }
    node.workerinput[_PROGRESS] = channel = node.gateway.newchannel()
    channel.setcallback(progress)


def briefing_of(config: pytest.Config) -> WorkerStart | None:
    """What this worker was told; None in any other process. What answered the controller is not asked again."""
    told = getattr(config, "workerinput", {}).get(_BRIEFING)
    if told is None:
        return None
    from qemunet_tests.qemu import qemu_facts
    from qemunet_tests.qemu.accel import Accel
    from qemunet_tests.settings import told_again

    qemu_facts.learn(told["qemus"])
    accelerator = Accel(**told["accelerator"]) if told["accelerator"] else None
    return WorkerStart(told_again(told["settings"]), accelerator, told["seconds"])


def make_room_for_temporary_folders(config: pytest.Config) -> None:
    """The controller made it in its own scratch space, which a worker in the lab does not see."""
    if base := pytest_internals.base_of_temporary_folders(config):
        base.parent.mkdir(parents=True, exist_ok=True)


# From a worker to its controller


def tell(config: pytest.Config, sentence: str) -> None:
    """Tell whoever watches the session that something besides a test takes a while."""
    channel = getattr(config, "workerinput", {}).get(_PROGRESS)
    if channel is None:
        config.hook.pytest_qemunet_progress(sentence=sentence)
    else:
        channel.send(sentence)


def send_facts(report: pytest.TestReport, facts: SessionFacts) -> None:
    """With every test, so that they are known even where a worker dies or is interrupted."""
    if not facts.empty:
        setattr(report, _FACTS, facts.as_dict())


def facts_in(report: pytest.TestReport) -> tuple[str, SessionFacts] | None:
    """A worker's name and its facts; without workers they are this process's own."""
    worker, sent = getattr(report, "worker_id", None), getattr(report, _FACTS, None)
    return (worker, SessionFacts(**sent)) if worker and sent else None


def leave_facts(config: pytest.Config, facts: SessionFacts) -> None:
    """A worker's last word."""
    if is_worker(config):
        config.workeroutput[_FACTS] = facts.as_dict()  # type: ignore[attr-defined]


def facts_left_by(node: Any) -> tuple[str, SessionFacts] | None:
    """The last word of a worker that ended in order."""
    left = (getattr(node, "workeroutput", None) or {}).get(_FACTS)
    return (node.gateway.id, SessionFacts(**left)) if left is not None else None


def send_verdict(report: pytest.TestReport, verdict: VerdictOfTest) -> None:
    report.user_properties.extend(verdict.as_properties())


def verdict_in(report: pytest.TestReport) -> VerdictOfTest | None:
    """What a test found out, if it cites a claim; with the last of its reports."""
    return VerdictOfTest.from_properties(report.user_properties)


def send_artifacts(item: pytest.Item, kept: Iterable[Path]) -> None:
    """All reports of the test name them."""
    item.user_properties.extend((ARTIFACT, str(each)) for each in kept)


def artifacts_in(report: pytest.TestReport) -> list[str]:
    return list(dict.fromkeys(str(value) for name, value in report.user_properties if name == ARTIFACT))
