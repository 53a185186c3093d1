"""report.html as people open it: in a real browser."""

import json
import os
from datetime import date
from pathlib import Path

import pytest

from meta_tests.report.browser import DESKTOP, PHONE, Browser
from meta_tests.report.conftest import Open
from meta_tests.samples import recordings
from meta_tests.samples.pages import (
    FIREWALL_REMEDY,
    HELPER,
    HELPER_REMEDY,
    HOSTILE,
    PRIVILEGE,
    broken_host,
    healthy_run,
    hostile_run,
    many_claims,
)
from qemunet_tests.claims import load
from qemunet_tests.claims.known_file import KnownEntry
from qemunet_tests.report.known_claims import KnownClaims
from qemunet_tests.report.recorded_rates import summed_up
from qemunet_tests.report.shapes import RecordedRatio, Results
from qemunet_tests.report.verdict_of_test import Verdict
from qemunet_tests.throughput import recording

#: Where somebody wants to see for himself.
SHOTS = os.environ.get("QEMUNET_SHOTS")
MOST_BYTES = 2_000_000
SHOWN = ".claim:not([hidden])"


def shot(browser: Browser, name: str, whole: bool = False) -> None:
    if SHOTS:
        browser.shoot(Path(SHOTS, f"{name}.png"), whole)


def search(browser: Browser, words: str) -> None:
    field = browser.driver.find_element("id", "search")
    field.clear()
    field.send_keys(words)


def untick(browser: Browser, verdict: str) -> None:
    browser.driver.find_element("css selector", f"#filter input[value={verdict}]").click()


def test_a_reader_finds_the_answer_the_cause_and_the_claim(opened: Open) -> None:
    """The one that every run of the project's own tests has."""
    results = broken_host()
    browser = opened(results)
    shot(browser, "broken-desktop")
    counts = {verdict: sum(each.verdict is verdict for each in results.verdicts) for verdict in Verdict}
    assert browser.text("h1") == f"{counts[Verdict.BROKEN]} of {len(results.verdicts)} claims are broken."
    assert browser.texts(".counts li") == [
        f"{counts[verdict]} {sign} {verdict}" for verdict, sign in zip(Verdict, "✗?≈✓–", strict=True) if counts[verdict]
    ]
    # What to mend first is on the first screen, with the line to type.
    assert browser.text(".box-first code") == HELPER_REMEDY
    assert browser.ask("document.querySelector('.box-first').getBoundingClientRect().bottom < innerHeight")
    # One cause is one finding, whatever it broke.
    causes = browser.texts("#causes .finding h3")
    assert causes[0] == f"1. {HELPER}"
    assert len(causes) == 3
    assert causes[2] == "No cause was found: user/lease-time"
    assert browser.text("#causes").count(HELPER_REMEDY) == 1
    assert PRIVILEGE in browser.text("#unavailable")
    assert len(browser.texts("#unavailable .finding")) == 1
    # The table of modes leads to causes and claims.
    row, *_ = [
        text for text in browser.texts("#which-mode tbody tr") if text.startswith("Does the guest reach the LAN?")
    ]
    assert row.count("✗ broken") == 2 and "cause 1" in row and "cause 2" in row and "bridge/reach-lan" in row
    # A claim is found by verdict and by words, and says everything.
    everything = [each.claim for each in results.verdicts]
    assert browser.texts(f"{SHOWN} .id") == everything
    for verdict in ("holds", "deviates", "unavailable"):
        untick(browser, verdict)
    search(browser, "7007 tcp")
    assert browser.texts(f"{SHOWN} .id") == ["user/reach-lan-tcp", "user/bulk-both-ways", "passt/bulk-both-ways"]
    assert browser.text("#shown") == f"3 of {len(everything)} shown"
    assert browser.texts("#contract .mode:not([hidden]) h3") == ["user", "passt"]
    browser.driver.find_element("css selector", f"{SHOWN} summary").click()
    said = browser.text(f"{SHOWN} .inside")
    claim = load()["user/reach-lan-tcp"]
    for text in (claim.says, claim.source.document, "192.168.1.10:7007 does not answer", FIREWALL_REMEDY, "9.0 s"):
        assert text in said
    # A link to a claim that is filtered away opens it all the same.
    browser.driver.find_element("css selector", '#causes a[href="#claim/bridge/lease-address"]').click()
    browser.await_("document.getElementById('claim/bridge/lease-address').open")
    assert len(browser.texts(f"{SHOWN} .id")) == len(everything)
    assert browser.ask("performance.getEntriesByType('resource').length") == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_the_first_screen_says_what_was_tried_and_of_which_modes_to_know_first(
    opened: Open, size: tuple[int, int]
) -> None:
    results = broken_host()
    browser = opened(results)
    browser.resize(size)
    kernel = f"Linux {results.host.kernel}"
    assert browser.text(".tried") == f"QEMU 7.2.22, libslirp 4.7.0, {kernel}, accelerator tcg, target lab"
    modes = browser.texts(".modes-said li")
    assert [each.split(":")[0] for each in modes[:4]] == ["✗user", "✗bridge", "✗passt", "✓af-xdp"]
    assert len(modes) == len({each.mode for each in results.verdicts})
    last = ".modes-said li:last-child" if size == DESKTOP else ".modes-said li:nth-child(3)"
    for selector in (".tried", ".box-first", last):
        bottom = browser.ask("document.querySelector(arguments[0]).getBoundingClientRect().bottom", selector)
        assert bottom <= browser.ask("innerHeight")


@pytest.mark.slow
def test_a_count_leads_to_its_claims_and_to_what_the_word_means(opened: Open) -> None:
    results = broken_host()
    browser = opened(results)
    browser.driver.find_element("css selector", ".counts a[data-only=unavailable]").send_keys("\n")
    browser.await_("document.querySelector('#contract').getBoundingClientRect().top < innerHeight / 2")
    assert browser.texts(f"{SHOWN} .id") == [
        each.claim for each in results.verdicts if each.verdict is Verdict.UNAVAILABLE
    ]
    assert browser.texts("#contract .meanings dt") == ["✗ broken", "≈ deviates", "✓ holds", "– unavailable"]
    assert "known and explained" in browser.text("#contract .meanings")


@pytest.mark.slow
def test_which_mode_fits_a_desktop_and_paper(opened: Open) -> None:
    browser = opened(healthy_run())
    shot(browser, "which-mode", whole=True)
    tables = "Array.from(document.querySelectorAll('#which-mode .table'))"
    assert browser.ask(f"{tables}.filter(each => each.scrollWidth > each.clientWidth).length") == 0
    named = browser.texts("#which-mode thead th")
    assert {"user", "bridge", "passt", "tap", "stream", "vde"} <= {*named}
    # A question that none of the modes in a part of the table answers is not asked there.
    asked = browser.texts("#which-mode tbody tr")
    assert [row for row in asked if row.count("no claim about it") == 4] == []


@pytest.mark.slow
def test_what_is_known_stands_behind_the_news(opened: Open) -> None:
    entries = [
        KnownEntry("bridge/*", "broken", "BUG-1", date(2999, 1, 1)),
        KnownEntry("user/lease-time", "broken", "BUG-2", date(2999, 1, 1)),
    ]
    results = KnownClaims(entries, "known.toml").marked(broken_host())
    known = [each.claim for each in results.verdicts if each.known]
    browser = opened(results)
    shot(browser, "known-desktop")
    assert browser.text("h1").endswith(f"; {len(known)} are known, which is no news.")
    assert browser.text(".box-first code") == FIREWALL_REMEDY
    first, second, third = browser.texts("#causes .finding")
    assert "BUG" not in first and FIREWALL_REMEDY in first
    assert "known BUG-1, until 2999-01-01" in second and HELPER_REMEDY in second
    assert "known BUG-2" in third and "user/lease-time (known)" in third
    assert browser.texts(f"{SHOWN} .known") == ["known"] * len(known)
    browser.driver.find_element("id", "news").click()
    assert not {*browser.texts(f"{SHOWN} .id")} & {*known}
    browser.driver.find_element("css selector", '#causes a[href="#claim/user/lease-time"]').click()
    browser.await_("document.getElementById('claim/user/lease-time').open")
    assert "BUG-2, until 2999-01-01" in browser.text("[id='claim/user/lease-time'] .inside")


@pytest.mark.slow
def test_nothing_that_others_say_is_obeyed(opened: Open) -> None:
    results = hostile_run()
    browser = opened(results)
    shot(browser, "hostile")
    assert browser.ask("document.title").startswith("qemunet on </script>")
    assert browser.ask("document.querySelectorAll('script').length") == 2
    assert browser.ask("document.querySelectorAll('img, base, iframe, object, [onmouseover], [onerror]').length") == 0
    addresses = browser.ask("Array.from(document.querySelectorAll('a'), each => each.getAttribute('href'))")
    assert [
        each for each in addresses if not each.startswith(("#claim/", "#cause-", "#contract", "./artifacts/"))
    ] == []
    shown = browser.ask("document.body.textContent")
    for text in HOSTILE:
        assert shown.count(text) > 5
    # What is for scripts is what they would have read in results.json.
    kept = browser.ask("document.getElementById('results').textContent")
    assert Results.model_validate_json(kept) == results


@pytest.mark.slow
def test_only_addresses_of_the_web_are_links(opened: Open) -> None:
    results = healthy_run()
    browser = opened(results)
    shot(browser, "healthy-desktop")
    script = "Array.from(document.querySelectorAll('dd > a'), each => each.getAttribute('href'))"
    public = [claim.source.url for claim in load().values() if claim.source.url]
    assert len(public) > 3
    assert browser.ask(script) == public
    assert browser.text("h1") == f"Nothing is broken in {len(results.verdicts)} claims."
    assert browser.ask("document.querySelector('#causes, #unavailable, .box-first')") is None


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, (320, 640), (1200, 900)])
def test_it_fits_its_window_and_can_be_read_there(opened: Open, size: tuple[int, int], scheme: str) -> None:
    browser = opened(broken_host())
    browser.resize(size)
    browser.prefer(color_scheme=scheme)
    shot(browser, f"broken-{size[0]}-{scheme}")
    browser.ask("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")
    low = browser.ask(CONTRASTS)
    assert [each for each in low if each[1] < 4.5] == []
    assert len(low) > 100


#: Each text's contrast with what is behind it, as WCAG 2 counts it: [text, ratio].
CONTRASTS = """(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const part = value => { const v = value / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return Array.from(document.querySelectorAll("body *")).filter(each => each.offsetParent && Array.from(each.childNodes)
    .some(node => node.nodeType === 3 && node.textContent.trim())).map(each => {
      const [a, b] = [light(parse(getComputedStyle(each).color)), light(behind(each))].sort((x, y) => y - x);
      return [each.textContent.slice(0, 40), (a + 0.05) / (b + 0.05)];
  });
})()"""


@pytest.mark.slow
def test_the_keyboard_reaches_and_opens_everything(opened: Open) -> None:
    browser = opened(broken_host())
    claims = "Array.from(document.querySelectorAll('.claim summary')).every(each => each.tabIndex === 0)"
    assert browser.ask(claims)
    named = "each.ariaLabel || each.textContent.trim() || each.closest('label')"
    nameless = f"Array.from(document.querySelectorAll('input, button, svg')).filter(each => !({named}))"
    assert browser.ask(f"{nameless}.length") == 0
    first = browser.driver.find_element("css selector", ".claim summary")
    first.send_keys("\n")
    assert browser.ask("document.querySelector('.claim').open")


@pytest.mark.slow
def test_on_paper_what_does_not_hold_is_whole(opened: Open) -> None:
    browser = opened(broken_host())
    search(browser, "nothing of that kind")
    assert browser.texts(SHOWN) == []
    # No heading stands alone at the end of a sheet.
    breaks = "Array.from(document.querySelectorAll('h2, h3, h4'), each => getComputedStyle(each).breakAfter)"
    assert {*browser.ask(breaks)} == {"avoid"}
    paper = browser.print()
    assert paper.startswith(b"%PDF")
    if SHOTS:
        Path(SHOTS, "broken.pdf").write_bytes(paper)
    opened_on_paper = browser.ask("Array.from(document.querySelectorAll('.claim[open] .id'), each => each.textContent)")
    assert opened_on_paper == [
        "user/no-privilege",
        "user/lease-time",
        "user/hostfwd-udp",
        "bridge/acl-missing",
        "bridge/setuid-works",
    ]


@pytest.mark.slow
def test_no_table_of_a_recording_is_cut_off_on_paper(opened: Open, tmp_path: Path) -> None:
    recorded = summed_up(recording.read(recordings.write(tmp_path / "a.jsonl")))
    ratio = RecordedRatio(
        metric="udp.g2h.zero_loss", nic="virtio-net-pci", arms=["user-again", "user"], ratio=0.0719, low=0.0629,
        high=0.0822, verdict="inconclusive", reason="too few", again=True, blocks=[0.06, 0.08],
    )  # fmt: skip
    arms = [each.model_copy(update={"transfers": 16, "proven": 16}) for each in recorded.arms]
    drawn = recorded.model_copy(update={"arms": arms, "ratios": [ratio]})
    browser = opened(healthy_run().model_copy(update={"recording": drawn}))
    try:
        browser.show_as_paper()
        shot(browser, "paper-throughput", whole=True)
        wide = "Array.from(document.querySelectorAll('.table')).filter(each => each.scrollWidth > each.clientWidth)"
        assert browser.ask(f"{wide}.map(each => each.textContent)") == []
        assert len(browser.texts("#throughput table")) == 2
    finally:
        browser.prefer()


@pytest.mark.slow
def test_four_hundred_claims_are_drawn_in_a_second_and_stay_small(opened: Open) -> None:
    browser = opened(many_claims(400))
    shot(browser, "many-desktop")
    assert len(browser.ask("document.documentElement.outerHTML").encode()) < MOST_BYTES
    assert len(browser.texts(f"{SHOWN} .id")) == 400
    took = "performance.getEntriesByType('navigation')[0]"
    drawn_ms = browser.ask(f"{took}.loadEventEnd - {took}.startTime")
    search(browser, "lease")
    filtered_ms = browser.ask(
        "(() => { const began = performance.now(); document.getElementById('search').dispatchEvent(new Event('input'));"
        "document.body.offsetHeight; return performance.now() - began; })()"
    )
    if SHOTS:
        Path(SHOTS, "milliseconds.json").write_text(json.dumps({"drawn": drawn_ms, "filtered": filtered_ms}))
    assert 0 < len(browser.texts(f"{SHOWN} .id")) < 400
