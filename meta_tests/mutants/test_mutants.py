"""Mutants of libslirp and of the bridge helper: the data, and a core that is built and killed in every run."""

import itertools
import os
from collections import Counter
from pathlib import Path

import pytest

from meta_tests.mutants.edits import Edit, NoPlace, edits
from meta_tests.mutants.table import became
from meta_tests.mutants.trying import Trees, claims_concerned, outcome, run, tried
from qemunet_tests.claims import load

SOURCE = """\
static int asked(int port,
                 int times)
{
    if (port == 53) {
        return times;
    }
    return port;
}

#ifdef OTHER_SYSTEM
int told(void)
{
    return 53;
}
#else
int told(void)
{
    return 54;
}
#endif
"""


def edit(function: str, find: str) -> Edit:
    return Edit("libslirp", "dns.c", "an-edit", function, find, "67", "Nothing.")


def test_there_are_enough() -> None:
    of = {program: [each for each in edits() if each.program == program] for program in ("libslirp", "helper")}
    assert len(of["libslirp"]) >= 100
    assert len(of["helper"]) >= 20
    assert sum(bool(each.once) for each in of["libslirp"]) >= 50
    assert len([each for each in edits() if each.core]) >= 10


def test_no_function_has_more_than_five_and_no_name_is_there_twice() -> None:
    assert max(Counter((each.file, each.function) for each in edits()).values()) <= 5
    assert max(Counter((each.file, each.name) for each in edits()).values()) == 1


def test_what_ought_to_kill_an_edit_is_a_claim_that_is_tried_on_its_file() -> None:
    for each in edits():
        assert [bool(each.killed_by), bool(each.survives), bool(each.no_claim)].count(True) == 1, each.name
        assert set(each.killed_by) <= set(claims_concerned(each.program, each.file)), each.name


def test_the_claims_are_chosen_by_the_file_alone() -> None:
    assert claims_concerned("libslirp", "tcp_input.c") == claims_concerned("libslirp", "tcp_subr.c")
    assert claims_concerned("helper", "qemu-bridge-helper.c")
    assert set(
        itertools.chain(*(claims_concerned("libslirp", each.file) for each in edits() if each.program == "libslirp"))
    ) <= set(load())


@pytest.mark.parametrize(
    ("function", "find", "line"),
    [
        ("asked", "53", "    if (port == 67) {"),
        ("told", "54", "    return 67;"),
        ("asked", "times;", "        return 67"),
    ],
)
def test_an_edit_changes_its_place_and_nothing_else(function: str, find: str, line: str) -> None:
    before, after = SOURCE.splitlines(), edit(function, find).apply(SOURCE).splitlines()
    assert [new for old, new in zip(before, after, strict=True) if old != new] == [line]


@pytest.mark.parametrize(("function", "find"), [("asked", "54"), ("asked", "port"), ("told", "return"), ("sent", "53")])
def test_an_edit_without_a_place_or_with_several_is_refused(function: str, find: str) -> None:
    with pytest.raises(NoPlace):
        edit(function, find).apply(SOURCE)


def test_a_place_that_another_version_lacks_is_told_as_such(trees: Trees) -> None:
    lacking = Edit(
        "libslirp", "bootp.c", "none", "bootp_reply", "no such text", "", "Nothing.", killed_by=("user/address",)
    )
    found = tried(lacking, trees)
    assert "is 0 times in bootp_reply()" in found.untried
    assert became(lacking, vars(found)) == "could not be tried"


def test_no_edit_repeats_a_line_of_the_source(trees: Trees) -> None:
    for each in edits():
        lines = {line.strip() for line in trees.of[each.program].file(each.file).read_text().splitlines()}
        assert each.find.strip() not in lines, each.name


def test_every_edit_has_its_place_in_the_packaged_version(trees: Trees) -> None:
    for each in edits():
        source = trees.of[each.program].file(each.file).read_text()
        assert each.apply(source) != source, each.name


def test_what_became_of_an_edit() -> None:
    expected = Edit("libslirp", "f.c", "e", "f", "a", "b", "It breaks.", killed_by=("user/address",))
    unclaimed = Edit("libslirp", "f.c", "e", "f", "a", "b", "It breaks.", no_claim="something new")
    holds = [{"claim": "user/address", "verdict": "holds"}]
    broken = [{"claim": "user/address", "verdict": "broken", "expected": "", "observed": "", "reason": ""}]
    other = [{**broken[0], "claim": "user/gateway"}]
    about = ("libslirp", "f.c", "e")
    for verdicts, word in (
        (holds, "survives"),
        (broken, "killed"),
        (other, "killed by other claims"),
        ([], "could not be tried"),
    ):
        assert became(expected, vars(outcome(about, ["user/address"], verdicts, 0.0))) == word
    assert became(unclaimed, vars(outcome(about, ["user/address"], holds, 0.0))) == "no claim yet"
    assert became(expected, None) == "not tried yet"


@pytest.mark.parametrize("each", [each for each in edits() if each.core], ids=lambda each: each.name)
def test_the_core_is_killed_by_the_right_claims(each: Edit, trees: Trees) -> None:
    if each.program == "helper" and os.geteuid() != 0:
        pytest.skip("an ordinary user's helper has no setuid bit to misuse")
    found = tried(each, trees)
    assert not found.untried
    assert set(each.killed_by) <= set(found.broken), (found.broken, found.inconclusive)


@pytest.mark.parametrize(
    ("program", "claims"), [("libslirp", ["user/lease-time", "user/dns-offered"]), ("helper", ["bridge/acl-*"])]
)
def test_the_build_without_an_edit_breaks_nothing(
    program: str, claims: list[str], trees: Trees, tmp_path: Path
) -> None:
    verdicts = run(program, trees.of[program].unmodified, claims, tmp_path / "report", 2)
    assert {each["verdict"] for each in verdicts} == {"holds"}
