"""The report: one file that needs nothing else, escaped, with its answer, and readable colours."""

import html
import html.parser
import re
import subprocess

import pytest
import rich
import synthetic
from heapmark import advice, answer, load, style
from heapmark.plots.data import PlotData
from heapmark.report import figures, page, pdf

VOID = {"meta", "link", "input", "br", "hr", "img"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = rich.make(tmp_path_factory.mktemp("run") / "rich", cells=rich.CELLS[:5])
    (path / "job.ini").write_text("[a]\nworkload = <i>pair</i>\n")
    return path


@pytest.fixture(scope="module")
def text(run):
    from heapmark.__main__ import main

    assert main(["report", str(run)]) == 0
    return (run / "report.html").read_text()


class Elements(html.parser.HTMLParser):
    """Collects elements and checks that they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.ids = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def elements(text):
    return Elements(text)


def test_it_is_well_formed_and_its_ids_are_unique(elements):
    assert len(set(elements.ids)) == len(elements.ids)
    for tag, attributes in elements.found:
        for name in ("aria-labelledby", "data-for"):
            for target in attributes.get(name, "").split():
                assert target in elements.ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in elements.ids


def test_it_needs_nothing_else(text, elements):
    for tag, attributes in elements.found:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith(("#", "data:,"))
        assert tag not in ("iframe", "object", "embed")
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/)", text)


def test_texts_of_the_run_are_escaped(text, elements):
    assert text.count("<script") == 1, "the page's own"
    assert not any(tag in ("b", "i") for tag, _ in elements.found)
    assert "&lt;b&gt;signal&lt;/b&gt; 11 &amp; more" in text
    assert "&lt;i&gt;pair&lt;/i&gt;" in text


def test_tables_can_be_heard(elements, text):
    tags = [tag for tag, _ in elements.found]
    assert tags.count("table") == tags.count("caption") >= 5
    assert all(attributes.get("scope") in ("row", "col")
               for tag, attributes in elements.found if tag == "th")  # fmt: skip
    assert all(attributes.get("type") == "button"
               for tag, attributes in elements.found if tag == "button")  # fmt: skip
    for tag, attributes in elements.found:
        if tag == "svg":
            assert attributes["role"] == "img"
    for description in re.findall(r"<desc id=[^>]*>([^<]*)</desc>", text):
        assert re.search(r"\d", description), "a plot's text says its figures"
    assert '<html lang="en">' in text and 'class="skip"' in text


def test_the_answer_says_who_is_best_and_who_is_alike(run):
    data = PlotData(load.load_run(str(run)))
    time = answer.best(data, "time")
    # jemalloc crashed in a cell, so it has no place; the variant is the best of the rest.
    assert time.label == "jemalloc:narenas=1"
    assert time.estimate.value == pytest.approx(0.85, rel=0.2)
    assert rich.HOSTILE not in time.alike


def test_allocators_that_are_equal_cannot_be_told_apart(tmp_path):
    allocators = {"system": (1, 1, 2e6), "jemalloc": (0.5, 1, 2e6), "mimalloc": (0.5, 1, 2e6)}
    path = rich.make(
        tmp_path / "r", allocators=allocators, cells=rich.CELLS[:1], blocks=8, fail=False
    )
    data = PlotData(load.load_run(str(path)))
    best = answer.best(data, "memory")
    assert set(best.alike) | {best.label} == {"system", "jemalloc", "mimalloc"}
    assert page.alike(best).startswith("No different, within 5 %: ")


@pytest.mark.parametrize("ppm, is_said", [(90_000, False), (6_430_000, True)])
def test_the_leanest_of_untrue_replays_is_said_to_be_so(tmp_path, ppm, is_said):
    path = rich.make(tmp_path / "r", cells=rich.CELLS[:2], blocks=3, fail=False)
    run = load.load_run(str(path))
    run.trials["replay_live_drift_ppm"] = ppm
    data = PlotData(run)
    assert ("off by 643 %" in page.scope(data, answer.best(data, "memory"))) == is_said
    assert "off by" not in page.scope(data, answer.best(data, "time"))


def test_one_block_tells_nothing_apart(tmp_path):
    path = rich.make(tmp_path / "r", cells=rich.CELLS[:2], blocks=1)
    data = PlotData(load.load_run(str(path)))
    assert "One block gives no interval" in page.alike(answer.best(data, "time"))


def test_how_to_reproduce_is_all_there(text):
    for word in ("heapmark run quick", "Seed 42", "0" * 64, "0123abc", "SHA-256", "workload ="):
        assert word in text
    assert "the CPU frequency governor is not known" in text


def test_command_is_quoted_for_a_shell():
    class Run:
        env = {"run": {"command": ["heapmark run", "--out=a b", "x;y"]}}

    assert page.command(Run) == "heapmark run '--out=a b' 'x;y'"


def test_failed_trials_are_listed(text):
    part = text[text.index('id="failures"') :]
    assert "jemalloc" in part and "crashed" in part


def test_names_of_the_run_directory_do_not_matter(heapmark, run, tmp_path):
    target = tmp_path / "there.html"
    code, out, err = heapmark("report", run, f"--out={target}")
    assert (code, out, err) == (0, f"{target}\n", "")
    code, _, err = heapmark("report", run, f"--out={tmp_path / 'no' / 'x.html'}")
    assert code == 1 and "no such file" in err


def test_pdf_without_chromium_names_the_package(heapmark, run, monkeypatch):
    monkeypatch.setenv("HEAPMARK_CHROMIUM", "no-such-browser")
    code, out, err = heapmark("report", run, "--pdf")
    assert (code, out) == (2, "")
    assert err == ("heapmark: cannot find 'no-such-browser', which prints the PDF; "
                   "apt-get install chromium\n")  # fmt: skip


def test_a_browser_that_fails_is_said(heapmark, run, monkeypatch, tmp_path):
    broken = tmp_path / "browser"
    broken.write_text("#!/bin/sh\necho 'no display' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("HEAPMARK_CHROMIUM", str(broken))
    code, _, err = heapmark("report", run, f"--out={tmp_path / 'x.html'}", "--pdf")
    assert code == 1 and "printed no pdf: no display" in err and err.count("\n") == 1


# ---- charts -------------------------------------------------------------------------------------


def test_a_scale_maps_its_ends_and_cuts_what_lies_beyond():
    from heapmark.report.charts import Scale

    even, log = Scale(0, 10, 100, 200), Scale(1, 100, 0, 200, log=True)
    assert [even(value) for value in (-5, 0, 5, 10, 99)] == [100, 100, 150, 200, 200]
    assert [round(log(value)) for value in (0, 1, 10, 100)] == [0, 0, 100, 200]
    assert Scale(3, 3, 0, 9)(3) == 0, "one value alone is no division by zero"


@pytest.mark.parametrize("high", [0, 0.004, 1, 7.3, 12345])
def test_ticks_of_a_chart_are_few_and_round(high):
    from heapmark.report.charts import round_ticks

    ticks = round_ticks(high)
    assert ticks[0][0] == 0 and len(ticks) <= 6
    assert all(value <= high for value, _ in ticks)
    assert len(ticks) >= 3 or high == 0


def test_charts_draw_the_figures_of_the_run(run):
    from heapmark.report import workload

    data = PlotData(load.load_run(str(run)))
    looks = style.Looks(data.run, data.labels)
    cell = next(cell for cell in data.measured_cells if cell.param("size") == "64")
    svg = workload.ratios(data, cell, looks).svg("x", "t", "d")
    # One mark for each contender and metric; the estimates of time lie in order on the axis.
    path = workload.Chart(1, 1, looks)
    for label in data.labels[1:]:
        path.mark(0, 0, label, 9)
        shape = re.search(r'd="([^"]*)" fill="([^"]*)"', path.parts[-1])
        assert svg.count(f'd="{shape[1]}" fill="{shape[2]}"') + svg.count(
            f'fill="{shape[2]}"/><text'
        ) >= 2
    assert "var(--noise)" in svg and "peak memory, relative" in svg
    tail = workload.tail(data, cell, looks).svg("y", "t", "d")
    assert 'fill-opacity="0.16"' in tail and ">99</text>" in tail
    memory = workload.over_time(data, cell, looks).svg("z", "t", "d")
    assert "most live so far" in memory


def test_a_failed_contender_is_named_in_its_lane(run):
    from heapmark.report import workload

    data = PlotData(load.load_run(str(run)))
    cell = next(cell for cell in data.measured_cells if cell.param("size") == "256")
    chart = workload.ratios(data, cell, style.Looks(data.run, data.labels))
    assert ">crashed</text>" in chart.svg("x", "t", "d")


# ---- colours ------------------------------------------------------------------------------------


def schemes():
    """{name: {variable: colour}} of the style sheet."""
    blocks = re.findall(r":root \{([^}]*)\}", (page.HERE / "style.css").read_text())
    assert len(blocks) == 3, "light, dark and print"
    return {
        name: dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        for name, block in zip(("light", "dark", "print"), blocks)
    }


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_texts_stand_out_from_what_is_behind_them(scheme):
    colours = schemes()[scheme]
    for ink in ("ink", "faint", "alert", "link", "good"):
        for paper in ("paper", "card", "stripe"):
            found = figures.contrast(colours[ink], colours[paper])
            assert found >= 4.5, f"{ink} on {paper}: {found:.2f}"
    assert figures.contrast(colours["ink"], colours["noise"]) >= 4.5


def test_the_style_sheet_and_the_plots_agree():
    colours = schemes()
    assert colours["dark"]["paper"] == figures.DARK_PAPER
    for colour, name in figures.VARIABLES.items():
        assert colours["light"][name] == colour == colours["print"][name]


def test_contrast_is_that_of_wcag():
    assert figures.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert figures.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("paper", [style.PAPER, figures.DARK_PAPER])
@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#e69f00", "#332288", "#777777"])
def test_marks_stand_out_in_light_and_dark(colour, paper):
    assert figures.contrast(figures.readable(colour, paper), paper) >= 3


def test_ids_of_two_plots_do_not_clash():
    text = '<g id="axes_1"><path id="m1"/><use href="#m1"/><g clip-path="url(#p1)" id="p1"/></g>'
    assert figures.unique_ids(text, "x") == (
        '<g><path id="x-m1"/><use href="#x-m1"/><g clip-path="url(#x-p1)" id="x-p1"/></g>'
    )


def test_pdf_arguments_need_no_sandbox_for_root_only(monkeypatch):
    monkeypatch.setattr(pdf.os, "geteuid", lambda: 1000)
    assert "--no-sandbox" not in pdf.arguments("chromium", "/p")
    monkeypatch.setattr(pdf.os, "geteuid", lambda: 0)
    assert "--no-sandbox" in pdf.arguments("chromium", "/p")


def test_empty_and_unmeasured_runs_are_refused(heapmark, tmp_path):
    env = synthetic.environment("x", ["system"], 1, aa=False, baseline=None)
    rows = synthetic.rows(rich.CELLS[:1], {"system": (1, 1, 1e6)}, 1, aa=False)
    path = synthetic.write(tmp_path / "x", rows, env)
    code, out, err = heapmark("report", path)
    assert (code, out) == (2, "") and "has nothing to report" in err
    assert subprocess.run(["test", "-e", path / "report.html"]).returncode == 1


@pytest.mark.parametrize("change, is_answered, said", [
    ({}, True, ""),
    ({"work": 50}, False, "Memory is that of up to 50 passes over the trace in one process"),
    ({"flags": "trace-sampled=1/50"}, False, "One object in 50 was recorded"),
    ({"replay_live_drift_ppm": 6_430_000}, False, "Nobody is called the leanest: the live bytes"),
    ({"flags": "trace-cut"}, True, "The trace is a piece of a longer one"),
    ({"flags": "trace-partial"}, True, "Recording began or ended while the program ran"),
])  # fmt: skip
@pytest.mark.parametrize("is_alone", [True, False])
def test_the_page_is_as_careful_of_replays_as_the_terminal(tmp_path, monkeypatch, change, is_answered, said, is_alone):
    cells = [("replay", "trace=a.hmt", 1, 20.0, 40_000_000), *([] if is_alone else rich.CELLS[2:3])]
    rows = synthetic.rows(cells, {"system": (1, 1, 2e6), "lean": (1, 0.5, 2e6)}, 8)
    for row in rows:
        if row["workload"] == "replay":
            row.update({"work": 1} | change)
    path = synthetic.write(tmp_path / "r", rows, synthetic.environment("r", ["system", "lean"], 8, True))
    data = PlotData(load.load_run(str(path)))
    monkeypatch.setattr(page.drawings, "all_of", lambda _: page.drawings.Drawings([], {}))
    monkeypatch.setattr(page.figures, "colour_rules", lambda _: ("", ""))
    text = html.unescape(page.render(data))
    assert ("<h3>Leanest</h3>" in text) == (is_answered or not is_alone)
    assert f'<p class="fact">{said}' in text
    assert text.count('<p class="fact">') == 3 + len(advice.cautions(data))
    terminal = " ".join(" ".join(advice.lines(data)).split())
    assert all(one in terminal for one in advice.cautions(data)) or not is_alone
