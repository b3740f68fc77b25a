"""The report in a headless Chromium: nothing logged, nothing fetched, sorted and filtered by keys.

Chromium is one of the packages that heapmark's tests need: without it these tests fail and say so.
"""

import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "python"), str(ROOT / "scripts"), str(Path(__file__).parent)]

import rich  # noqa: E402
from devtools import Browser, Page  # noqa: E402
from heapmark.__main__ import main  # noqa: E402
from heapmark.report import pdf  # noqa: E402

TROUBLE = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = rich.make(tmp_path_factory.mktemp("run") / "rich", cells=rich.CELLS[:4])
    assert main(["report", str(run)]) == 0
    return run / "report.html"


@pytest.fixture(scope="module")
def browser():
    with tempfile.TemporaryDirectory() as profile:
        with Browser(pdf.arguments(pdf.find(), profile)) as started:
            yield started


@pytest.fixture
def page(browser, report):
    opened = Page(browser)
    opened.open(report.as_uri())
    return opened


def column(page, number, table="#all-ratios"):
    """Texts of a column's cells that are shown."""
    return page.evaluate(
        f"Array.from(document.querySelector('{table}').tBodies[0].rows).filter(r => !r.hidden)"
        f".map(r => r.cells[{number}].textContent)"
    )


def focus(page, selector):
    page.evaluate(f"document.querySelector('{selector}').focus()")


def test_it_loads_without_a_word_and_without_a_network(page, report):
    assert page.seen(*TROUBLE) == []
    asked = [event["request"]["url"] for event in page.seen("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_nothing_overflows(browser, report, width, scheme):
    page = Page(browser, width, 900, scheme)
    page.open(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Whatever is wider than the window lies in a box that scrolls by itself.
    wide = page.evaluate("""Array.from(document.querySelectorAll('body *')).filter(e => {
        const box = e.getBoundingClientRect();
        return box.right > innerWidth + 1 && !e.closest('.scroll, .drawing, pre, .skip, .hidden');
    }).map(e => e.outerHTML.slice(0, 80))""")
    assert wide == []
    assert page.evaluate("""Array.from(document.querySelectorAll('.scroll, .drawing')).every(
        e => e.tabIndex === 0 && getComputedStyle(e).overflowX === 'auto')""")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 24, 28)")
    assert page.seen(*TROUBLE) == []


def test_a_click_sorts_and_another_one_turns_it_round(page):
    header = "document.querySelectorAll('#all-ratios thead th')[2]"
    page.evaluate(f"{header}.querySelector('button').click()")
    assert page.evaluate(f"{header}.getAttribute('aria-sort')") == "ascending"
    up = [float(text) for text in column(page, 2) if text]
    assert up == sorted(up) and len(up) > 5
    page.evaluate(f"{header}.querySelector('button').click()")
    assert page.evaluate(f"{header}.getAttribute('aria-sort')") == "descending"
    assert [float(text) for text in column(page, 2) if text] == sorted(up, reverse=True)
    assert column(page, 2)[-1] == "" or "" not in column(page, 2), "no figure: last, either way"


@pytest.mark.parametrize("key", ["Enter", " "])
def test_keys_sort(page, key):
    focus(page, "#all-ratios thead th:nth-child(2) button")
    page.press(key)
    names = column(page, 1)
    assert names == sorted(names, key=str.lower)
    assert page.evaluate("document.querySelectorAll('#all-ratios [aria-sort]').length") == 1


def test_only_one_column_is_named_as_sorted(page):
    for number in (1, 2, 3):
        page.evaluate(f"document.querySelectorAll('#all-ratios th button')[{number}].click()")
    assert page.evaluate("document.querySelectorAll('#all-ratios [aria-sort]').length") == 1


def test_typed_words_filter_and_the_count_is_said(page):
    total = len(column(page, 0))
    focus(page, ".filters input")
    page.type("larson jemalloc")
    found = list(zip(column(page, 0), column(page, 1)))
    assert 0 < len(found) < total
    assert all("larson" in name and "jemalloc" in label for name, label in found)
    assert page.evaluate("document.querySelector('.filters output').textContent") == (
        f"{len(found)} of {total} rows"
    )
    assert page.evaluate("document.querySelector('.filters output').ariaLive") == "polite"


def test_lists_filter(page):
    page.evaluate("""(() => { const list = document.querySelector('.filters select[name=label]');
        list.value = 'jemalloc'; list.dispatchEvent(new Event('input', {bubbles: true})); })()""")
    assert set(column(page, 1)) == {"jemalloc"}


def test_the_first_tab_leads_past_the_top(page):
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    page.press("Enter")
    assert page.evaluate("location.hash") == "#answer"


def test_every_control_can_be_reached_and_is_seen_to_be(page):
    unreachable = page.evaluate("""Array.from(document.querySelectorAll(
        'a, button, input, select, summary, .scroll')).filter(e => e.tabIndex < 0).length""")
    assert unreachable == 0
    focus(page, "nav a")
    page.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_controls_and_drawings_have_names(page):
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "link", "textbox", "searchbox", "combobox", "image", "img", "table")
    found = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert {"button", "link", "table"} <= {node["role"]["value"] for node in found}
    nameless = [node for node in found if not node.get("name", {}).get("value")]
    assert nameless == []


def test_print_unfolds_and_is_light(page):
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = false)")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.call("Emulation.setEmulatedMedia", media="print",
              features=[{"name": "prefers-color-scheme", "value": "dark"}])  # fmt: skip
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"


def test_hostile_names_do_nothing(page):
    assert page.evaluate("document.querySelectorAll('script').length") == 1
    assert any("evil" in text for text in column(page, 1))


def test_pdf_is_printed(report):
    target = report.with_suffix(".pdf")
    pdf.write(report, target)
    content = target.read_bytes()
    assert content.startswith(b"%PDF-") and len(content) > 20_000
