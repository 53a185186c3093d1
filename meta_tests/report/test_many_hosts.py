"""`qemunet report DIR…`: one page of many hosts."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from meta_tests.patience import soon
from meta_tests.report import browser_seconds
from meta_tests.report.browser import PHONE, Browser
from meta_tests.report.conftest import OpenPage
from meta_tests.report.test_page_in_a_browser import CONTRASTS, shot
from meta_tests.samples.pages import HELPER, HOSTILE, broken_host, healthy_run, hostile_run, lab_results
from qemunet_tests.__main__ import exit_code
from qemunet_tests.report.many_hosts import MOST_CLAIMS
from qemunet_tests.report.session_results import write_results
from qemunet_tests.report.shapes import Results
from qemunet_tests.report.verdict_of_test import Verdict, VerdictOfTest

ROWS = "#hosts tbody tr:not([hidden])"


def host(folder: Path, name: str, results: Results, before: Results | None = None) -> Path:
    """A host's folder as a run leaves it."""
    place = folder / name
    for home, run in ((place, results), (place / "before", before)):
        if run:
            home.mkdir(parents=True, exist_ok=True)
            described = run.host.model_copy(update={"name": name})
            write_results(run.model_copy(update={"host": described}), home)
    return place


def healthy_hosts(folder: Path, count: int) -> list[str]:
    results = healthy_run()
    return [str(host(folder, f"fit-{number}", results, results)) for number in range(count)]


def drawn(capsys: pytest.CaptureFixture[str], page: Path, *places: str) -> tuple[int, str, str, str]:
    """The exit code, the page, and what was said on either stream."""
    code = exit_code(["report", *places, "--out", str(page)])
    said = capsys.readouterr()
    return code, page.read_text() if page.exists() else "", said.out, said.err


def test_causes_outliers_and_changes_of_many_hosts_are_on_one_page(tmp_path, capsys):
    places = healthy_hosts(tmp_path, 11)
    bad = [str(host(tmp_path, f"bad-{number}", broken_host(), healthy_run())) for number in range(2)]
    unsure = lab_results(VerdictOfTest("user/address", Verdict.INCONCLUSIVE, "t", reason="the guest died"))
    places.append(str(host(tmp_path, "unsure", unsure)))
    code, page, out, _ = drawn(capsys, tmp_path / "hosts.html", *places, *bad)
    assert (code, out) == (
        1,
        f"written: {tmp_path}/hosts.html\nof 14 hosts, something is broken on 2, 1 could not be judged\n",
    )
    assert f"2 hosts: {HELPER}" in page
    assert page.count(HELPER) < 5
    assert "1 host: the guest died" in page
    # Of a claim that 12 hosts promise and one cannot judge, that one is unlike the others.
    outliers = page[page.index('id="outliers"') : page.index('id="inconclusive"')]
    assert "unsure" in outliers and "holds, of 14 hosts" in outliers
    turns = page[page.index('id="turns"') : page.index('id="causes"')]
    assert "Of 13 hosts there is one." in turns
    assert "bridge/helper-found, " in turns and turns.count(">worse<") == 3
    assert "Versions" in page and "7.2.22" in page


@pytest.mark.parametrize(("verdict", "code"), [("holds", 0), ("deviates", 0), ("inconclusive", 3), ("broken", 1)])
def test_the_exit_code_is_that_of_the_worst_host(tmp_path, capsys, verdict, code):
    worst = lab_results(VerdictOfTest("user/address", Verdict(verdict), "t", reason="because"))
    assert drawn(capsys, tmp_path / "p.html", *healthy_hosts(tmp_path, 2), str(host(tmp_path, "w", worst)))[0] == code


def test_a_host_without_readable_results_is_named_and_keeps_nobody_up(tmp_path, capsys):
    places = healthy_hosts(tmp_path, 2)
    for name in ("empty", "torn", "fifo", "large", "other"):
        (tmp_path / name).mkdir()
        places.append(str(tmp_path / name))
    whole = (tmp_path / "fit-0" / "results.json").read_text()
    (tmp_path / "torn" / "results.json").write_text(whole[:-100])
    os.mkfifo(tmp_path / "fifo" / "results.json")
    # Somebody has it open, and never says anything.
    writer = os.open(tmp_path / "fifo" / "results.json", os.O_RDWR)
    (tmp_path / "large" / "results.json").write_text(" " * 9_000_000)
    (tmp_path / "other" / "results.json").write_text('{"schema": 1, "\\u001b[31m": 1}')
    code, page, _, err = drawn(capsys, tmp_path / "hosts.html", *places)
    os.close(writer)
    assert code == 3
    lines = err.splitlines()
    assert [line.split(": ")[1] for line in lines] == places[2:]
    for said in ("No such file", "has no results of a run", "no regular file", "larger than 8 MB", "Field required"):
        assert any(said in line for line in lines), said
    assert "the results of 5 cannot be read" in page
    assert page.count('data-standing="0"') == 2


def test_why_a_host_has_no_results_is_said_as_it_was_written_down(tmp_path, capsys):
    places = healthy_hosts(tmp_path, 2)
    for name in ("gone", "hostile"):
        (tmp_path / name).mkdir()
        places.append(str(tmp_path / name))
    (tmp_path / "gone" / "trouble.txt").write_text("it could not be reached, or no longer\n")
    os.mkfifo(tmp_path / "hostile" / "trouble.txt")
    code, page, _, err = drawn(capsys, tmp_path / "hosts.html", *places)
    assert code == 3
    assert f"{places[2]}: it could not be reached, or no longer" in err
    assert "it could not be reached, or no longer" in page
    assert f"{places[3]}" in err


def test_a_folder_that_is_not_there_and_a_page_without_a_place_are_wrong_usage(tmp_path, capsys):
    places = healthy_hosts(tmp_path, 2)
    assert exit_code(["report", *places]) == 2
    assert "--out FILE" in capsys.readouterr().err
    code, page, _, err = drawn(capsys, tmp_path / "hosts.html", *places, str(tmp_path / "gone"))
    assert (code, page, err) == (2, "", f"qemunet: {tmp_path}/gone: there is no such folder\n")
    assert exit_code(["report", *places, "--out", str(tmp_path / "none" / "p.html")]) == 2


def test_claims_that_one_cause_broke_are_one_column(tmp_path, capsys):
    places = [*healthy_hosts(tmp_path, 3), str(host(tmp_path, "bad", broken_host()))]
    _, page, _, _ = drawn(capsys, tmp_path / "hosts.html", *places)
    columns = re.findall(r'<th scope="col"><span data-claims="([^"]*)">([^<]*)<', page)
    named = [claim for claims, _ in columns for claim in claims.split()]
    healthy = {each.claim: each.verdict for each in healthy_run().verdicts}
    assert sorted(named) == sorted(each.claim for each in broken_host().verdicts if healthy[each.claim] != each.verdict)
    assert {len({claim.partition("/")[0] for claim in claims.split()}) for claims, _ in columns} == {1}
    # Broken by one cause or two, deviating, or not to be tried.
    assert len(columns) <= 6
    assert [said for claims, said in columns if len(claims.split()) > 1 and not said.endswith("more")] == []


def test_a_host_that_lists_more_than_there_is_does_not_hide_the_others(tmp_path, capsys):
    many = [VerdictOfTest(f"user/x{number}", Verdict.BROKEN, "t", cause=f"c{number}") for number in range(3000)]
    places = [*healthy_hosts(tmp_path, 3), str(host(tmp_path, "liar", lab_results(*many)))]
    _, page, _, _ = drawn(capsys, tmp_path / "hosts.html", *places)
    assert page.count('<th scope="col"><span data-claims') <= MOST_CLAIMS
    assert "more claims, each of one host alone, are not listed" in page
    assert "user/address" in page
    assert len(page) < 1_000_000


def test_hosts_of_one_name_are_told_by_their_folders_and_linked_by_their_pages(tmp_path, capsys):
    places = healthy_hosts(tmp_path, 2)
    for place in places:
        document = json.loads(Path(place, "results.json").read_text())
        document["host"]["name"] = "twin"
        Path(place, "results.json").write_text(json.dumps(document))
    Path(places[0], "report.html").write_text("its own")
    _, page, _, _ = drawn(capsys, tmp_path / "hosts.html", *places)
    assert '<a href="./fit-0/report.html">fit-0 (twin)' in page
    assert "fit-1 (twin)" in page
    other = tmp_path / "elsewhere" / "fit-1"
    shutil.copytree(places[1], other)
    assert f"{other} (twin)" in drawn(capsys, tmp_path / "hosts.html", *places, str(other))[1]
    # Its own page is its own: nothing is written there.
    assert Path(places[0], "report.html").read_text() == "its own"
    assert not Path(places[1], "report.html").exists()


@pytest.mark.parametrize("text", HOSTILE[:3])
def test_what_a_host_says_passes_through_the_templates_alone(tmp_path, capsys, text):
    places = [*healthy_hosts(tmp_path, 1), str(host(tmp_path, "hostile", hostile_run()))]
    assert text not in drawn(capsys, tmp_path / "hosts.html", *places)[1]


@pytest.mark.slow
def test_it_is_read_filtered_and_fits_its_window(opened_page: OpenPage, tmp_path, capsys):
    names = [*healthy_hosts(tmp_path, 12), str(host(tmp_path, "bad", broken_host(), healthy_run()))]
    names.append(str(host(tmp_path, "hostile", hostile_run())))
    _, page, _, _ = drawn(capsys, tmp_path / "hosts.html", *names)
    browser: Browser = opened_page(page)
    shot(browser, "hosts-desktop", whole=True)
    assert browser.ask("document.title").startswith("qemunet: of 14 hosts")
    assert browser.ask("document.querySelectorAll('script').length") == 1
    assert browser.ask("document.querySelectorAll('img, base, iframe, object, [onmouseover], [onerror]').length") == 0
    assert browser.ask("Array.from(document.querySelectorAll('a'), each => each.getAttribute('href'))"
                       ".every(each => each.startsWith('#'))")  # fmt: skip
    assert len(browser.texts(ROWS)) == 14
    browser.driver.find_element("id", "search").send_keys("bad")
    assert [row.split()[0] for row in browser.texts(ROWS)] == ["bad"]
    assert browser.text("#shown") == "1 of 14 hosts shown"
    assert len(browser.texts("#matrix tbody tr:not([hidden])")) == 1
    browser.driver.find_element("id", "search").clear()
    browser.ask("document.getElementById('search').dispatchEvent(new Event('input'))")
    browser.driver.find_element("css selector", "#filter input[value='1']").click()
    assert len(browser.texts(ROWS)) == 12
    browser.driver.find_element("id", "claims").send_keys("bridge/")
    shown = "Array.from(document.querySelectorAll('#matrix thead th'), each => each.offsetParent ? each.innerText : '')"
    assert {text.partition("/")[0] for text in browser.ask(shown) if text} == {"bridge"}
    for size in (PHONE, (320, 640), (1200, 900)):
        browser.resize(size)
        for scheme in ("light", "dark"):
            browser.prefer(color_scheme=scheme)
            shot(browser, f"hosts-{size[0]}-{scheme}")
            assert browser.ask("document.documentElement.scrollWidth <= innerWidth"), size
            assert [each for each in browser.ask(CONTRASTS) if each[1] < 4.5] == []


@pytest.mark.slow
def test_five_hundred_hosts_are_drawn_at_once_and_stay_usable(opened_page: OpenPage, tmp_path, capsys):
    # Without a name of its own a host is called as its folder.
    fit = host(tmp_path / "fit", "", healthy_run()) / "results.json"
    bad = host(tmp_path / "bad", "", broken_host()) / "results.json"
    places = []
    for number in range(500):
        # Three are broken, and every tenth was another one in the round before.
        now, before = (bad if number % 200 == 7 else fit), (bad if number % 10 == 7 else fit)
        (tmp_path / f"host-{number}" / "before").mkdir(parents=True)
        # One file by many names: together they would be 500 MB.
        os.link(now, tmp_path / f"host-{number}" / "results.json")
        os.link(before, tmp_path / f"host-{number}" / "before" / "results.json")
        places.append(str(tmp_path / f"host-{number}"))
    began = time.monotonic()
    code, page, _, _ = drawn(capsys, tmp_path / "hosts.html", *places)
    assert time.monotonic() - began < soon(5)
    assert code == 1
    assert page.count('data-standing="') == 500
    assert len(page.encode()) < 5_000_000
    browser: Browser = opened_page(page)
    shot(browser, "hosts-500")
    assert browser_seconds.seconds_to_load(browser) < soon(2)
    assert browser_seconds.seconds_to_filter(browser, "search", "host-7") < soon(0.5)
    assert browser.text("#shown") == "11 of 500 hosts shown"
    shot(browser, "hosts-500-filtered")
    assert browser_seconds.seconds_to_filter(browser, "claims", "bridge/") < soon(0.5)
    browser.ask("document.getElementById('matrix').scrollIntoView()")
    shot(browser, "hosts-500-matrix")


NAME = "(each => each.id || each.ariaLabel || each.value || each.textContent.trim().slice(0, 40))"
#: What has the focus: a name for it, whether it is drawn around, and whether a reader sees it.
FOCUSED = f"""(() => {{
  const at = document.activeElement, box = at.getBoundingClientRect(), drawn = getComputedStyle(at);
  return [{NAME}(at), drawn.outlineStyle !== 'none', box.width > 0 && box.bottom > 0 && box.top < innerHeight];
}})()"""
#: What can have it, in the page's order.
REACHABLE = f"""Array.from(document.querySelectorAll('a, button, input, summary, [tabindex]'))
  .filter(each => each.checkVisibility()).map({NAME})"""


@pytest.mark.slow
def test_the_keyboard_alone_is_enough(opened_page: OpenPage, tmp_path, capsys):
    names = healthy_hosts(tmp_path, 40)
    names += [str(host(tmp_path, f"bad-{number}", broken_host(), healthy_run())) for number in range(12)]
    _, page, _, _ = drawn(capsys, tmp_path / "hosts.html", *names)
    browser: Browser = opened_page(page)
    expected = browser.ask(REACHABLE)
    met = []
    for _ in expected:
        browser.press(Keys.TAB)
        met.append(browser.ask(FOCUSED))
    assert [name for name, _, _ in met] == expected
    assert [name for name, is_drawn_around, is_seen in met if not (is_drawn_around and is_seen)] == []

    def go_to(selector: str) -> None:
        """By Tab from the beginning, as whoever has no mouse."""
        browser.ask("(document.activeElement.blur(), getSelection().removeAllRanges(), scrollTo(0, 0))")
        for _ in expected:
            browser.press(Keys.TAB)
            if browser.ask("document.activeElement.matches(arguments[0])", selector):
                return
        raise AssertionError(f"the keyboard does not reach {selector}")

    go_to("nav a[href='#matrix']")
    browser.press(Keys.ENTER)
    assert browser.ask("location.hash") == "#matrix"
    # From there on Tab goes on in the table, which the arrows scroll.
    go_to("#matrix .table")
    browser.press(*[Keys.ARROW_DOWN] * 5)
    browser.await_("document.querySelector('#matrix .table').scrollTop > 0")
    go_to("#search")
    browser.press("bad-1")
    assert browser.text("#shown") == "3 of 52 hosts shown"
    browser.press(*[Keys.BACKSPACE] * 5)
    go_to("#filter input[value='1']")
    browser.press(Keys.SPACE)
    assert browser.text("#shown") == "40 of 52 hosts shown"
    go_to("#claims")
    browser.press("nothing of that kind")
    assert (
        browser.ask(
            "Array.from(document.querySelectorAll('#matrix thead th')).filter(each => each.checkVisibility()).length"
        )
        == 0
    )
    go_to(".hosts-named summary")
    browser.press(Keys.ENTER)
    assert browser.ask("document.querySelector('.hosts-named').open")
    go_to("button.copy")
    browser.press(Keys.ENTER)
    browser.await_("document.querySelector('button.copy').textContent === 'copied'")


@pytest.mark.slow
def test_a_page_without_any_host_that_was_judged_complains_of_nothing(opened_page: OpenPage, tmp_path, capsys):
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trouble.txt").write_text("it was not reached\n")
    _, page, _, _ = drawn(capsys, tmp_path / "hosts.html", str(tmp_path / "one"), str(tmp_path / "another"))
    browser: Browser = opened_page(page)
    assert browser.texts("#unread li") == [
        f"{tmp_path}/one: it was not reached",
        f"{tmp_path}/another: it was not reached",
    ]
