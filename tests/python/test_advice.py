"""The answer in words: who is recommended, with which command, and when to stay with the baseline."""

import math
import re

import pytest
import synthetic
from heapmark import advice, fidelity, load, remedy
from heapmark.comparison import Comparison
from heapmark.statistics import Estimate

TRACE = "/home/me/my app.hmt"
CELLS = [("replay", f"trace={TRACE}", 1, 20.0, 40_000_000)]
SAME = (1.0, 1.0, 0)


def said(tmp_path, truth, cells=CELLS, blocks=12, change=lambda rows, env: None):
    rows = [{**row, "work": 1} for row in synthetic.rows(cells, truth, blocks, noise=0.01, spread=0)]
    env = synthetic.environment("made", truth, blocks, True)
    change(rows, env)
    path = synthetic.write(tmp_path / "made", rows, env)
    return " ".join(" ".join(advice.lines(Comparison(load.load_run(str(path))))).split())


def test_the_fastest_is_recommended_with_its_command_and_risks(tmp_path):
    def change(_, env):
        for entry in env["allocators"]:
            if entry["label"] == "fast:k=1":
                entry.update(environment="FAST=k:1", path="/opt/a b/fast.so", risks="bites")

        env["traces"] = [recorded(command="./app '--its  arguments' $'two\\nlines'")]

    text = said(tmp_path, {"system": SAME, "fast:k=1": (0.8, 1.2, 0), "same": SAME}, change=change)
    assert text.startswith("which allocator for my app?")
    assert "fastest: fast:k=1, 0.8" in text
    assert r"to use fast:k=1: FAST=k:1 LD_PRELOAD='/opt/a b/fast.so' ./app '--its arguments' $'two\nlines'" in text
    assert "its risks: bites" in text
    assert "neither faster nor slower than system, within 5 %: same" in text


def recorded(trace=TRACE, **facts):
    """A recording as env.json describes it."""
    return {"trace": trace, "command": None, "events": 1000, "half_seen": 0, "successor": None, **facts}


@pytest.mark.parametrize("traces", [None, [], [recorded()], [recorded("other.hmt", command="other")]])
def test_of_a_program_without_a_known_command_none_is_made_up(tmp_path, traces):
    """An import has none, and a run from before commands were kept has no list."""
    text = said(tmp_path, {"system": SAME, "fast": (0.8, 1.2, 0)},
                change=lambda _, env: env.update({} if traces is None else {"traces": traces}))
    assert text.count("libexample.so PROGRAM") == 1 and "app'" not in text and "other" not in text


def test_the_command_is_a_line_that_can_be_copied(tmp_path, monkeypatch):
    """However narrow the terminal; two spaces stay two, and nothing steers the terminal."""
    monkeypatch.setenv("COLUMNS", "60")
    command = "./app " + " ".join(f"--option-{number}='a  b'" for number in range(40)) + " \x1b]0;"
    rows = synthetic.rows(CELLS, {"system": SAME, "fast": (0.5, 1, 0)}, 8, noise=0.01, spread=0)
    env = synthetic.environment("made", ["system", "fast"], 8, True)
    env["traces"] = [recorded(command=command)]
    run = load.load_run(str(synthetic.write(tmp_path / "made", rows, env)))
    (line,) = [line for line in advice.lines(Comparison(run)) if "LD_PRELOAD" in line]
    path = env["allocators"][1]["path"]
    assert line.strip() == f"LD_PRELOAD={path} {command}".replace("\x1b", "?")


def test_under_the_kernel_nothing_is_preloaded(tmp_path):
    text = said(tmp_path, {"system": SAME, "fast": (0.8, 1.2, 0)},
                change=lambda _, env: env.update(traces=[recorded(source="kmem-pages")]))
    assert "fastest: fast, 0.8" in text and "the trace is the kernel's own" in text
    assert "LD_PRELOAD" not in text and "to use fast" not in text


def test_of_several_programs_none_is_named(tmp_path):
    cells = [*CELLS, ("replay", "trace=b.hmt", 1, 20.0, 40_000_000)]
    def change(_, env):
        env["traces"] = [recorded(command="first"), recorded("b.hmt", command="second")]

    text = said(tmp_path, {"system": SAME, "fast": (0.8, 1.2, 0)}, cells=cells, change=change)
    assert "libexample.so PROGRAM" in text and "first" not in text and "second" not in text


PACED = [("replay", "trace=app.hmt mode=paced", 1, 20.0, 40_000_000)]


def with_tails(ratio, who="other"):
    """Tails of their own, that times have nothing to do with."""
    def change(rows, _):
        for at, row in enumerate(rows):
            row["malloc_ns_p99"] = round(5000 * (ratio if row["allocator"] == who else 1)) + at % 3
    return change


@pytest.mark.parametrize("truth, tail, advised", [
    ((0.5, 1.0, 0), 1, "stay with system: no other has a shorter tail, or less memory with its tail, outside the noise"),
    ((1.5, 1.0, 0), 0.5, "to use other:"),
    ((1.5, 0.6, 0), 1, "to use other:"),
    ((0.5, 0.6, 0), 1.5, "stay with system"),
])
def test_the_time_of_a_paced_replay_decides_nothing(tmp_path, truth, tail, advised):
    """It is the recording's. The tail and the memory decide, as time and memory do elsewhere."""
    text = said(tmp_path, {"system": SAME, "other": truth}, cells=PACED, change=with_tails(tail))
    assert advised in text, text
    assert "fastest: other" not in text and "fastest: system" not in text and "faster" not in text
    assert "nobody is called the fastest: a paced replay takes the recording's time" in text
    assert ("a tail neither shorter nor longer than that of system, within 5 %: other" in text) == (tail == 1)


def test_paced_replays_without_latencies(tmp_path):
    def change(rows, _):
        for row in rows:
            row["malloc_ns_p99"] = ""

    truth = {"system": SAME, "lean": (0.5, 0.6, 0), "fat": (0.5, 1.6, 0)}
    text = said(tmp_path / "1", truth, cells=PACED, change=change)
    assert "leanest: lean" in text and "to use lean:" in text and "tail" not in text

    def of_many_passes(rows, env):
        change(rows, env)
        for row in rows:
            row["work"] = 9

    text = said(tmp_path / "9", truth, cells=PACED, change=of_many_passes)
    assert "stay with system: nothing that was measured can decide" in text


@pytest.mark.parametrize("fast_at, is_fast", [("dependency", True), ("paced", False)])
def test_paced_replays_among_others_lend_them_no_time(tmp_path, fast_at, is_fast):
    cells = [("replay", f"trace=app.hmt mode={mode}", 1, 20.0, 40_000_000) for mode in ("dependency", "paced")]

    def change(rows, env):
        for at, row in enumerate(rows):
            is_fast = row["allocator"] == "other" and row["params"].endswith(fast_at)
            row["wall_ns"] = (500_000 if is_fast else 1_000_000) + at % 7
        with_tails(1)(rows, env)

    text = said(tmp_path, {"system": SAME, "other": SAME}, cells=cells, change=change)
    assert ("fastest: other, 0.5 times" in text) == ("to use other:" in text) == is_fast, text
    assert ("stay with system" in text) != is_fast
    assert "time is that of the other replays: a paced one takes the recording's time" in text


DOUBT = "too uncertain to be told from system's"
TOLD = "; sure has the {} of those that can be told to use sure:"


@pytest.mark.parametrize("column, cells, first, why", [
    ("wall_ns", CELLS, "fastest: wild", "wild has the best time, but " + DOUBT + TOLD.format("best time")),
    ("malloc_ns_p99", PACED, "best tail (p99 of malloc): wild", "wild has the best tail, but " + DOUBT + TOLD.format("best tail")),
    ("rss_bytes_peak", CELLS, "leanest: wild",
     "wild has the least memory, but " + DOUBT + "; sure is leaner outside the noise, and not slower to use sure:"),
])
def test_a_leader_by_noise_does_not_hide_who_is_surely_better(tmp_path, column, cells, first, why):
    """Wild has the best figure and cannot be told from system; sure is the second and can be."""
    factors = {"sure": [0.9], "wild": [0.2, 0.4, 1.5, 0.3, 1.9, 0.6]}

    def change(rows, _):
        for row in rows:
            row.update(wall_ns=10**9, malloc_ns_p99=10**4, rss_bytes_peak=row["harness_bytes"] + 10**8)
            mine = factors.get(row["allocator"], [1])
            factor = mine[row["block"] % len(mine)] * (1 + row["block"] % 5 / 1000)
            least = row["harness_bytes"] if column == "rss_bytes_peak" else 0
            row[column] = round(least + (row[column] - least) * factor)

    text = said(tmp_path, {"system": SAME, "wild": SAME, "sure": SAME}, cells=cells, change=change)
    assert first in text and why in text and "stay with" not in text, text


def test_the_leanest_that_is_slower_is_not_it(tmp_path):
    text = said(tmp_path, {"system": SAME, "thin": (1.5, 0.4, 0), "lean": (1.0, 0.6, 0)})
    assert ("thin has the least memory, but is slower than system; lean is leaner outside the noise, and not slower "
            "to use lean:") in text, text


def test_the_best_of_all_needs_no_reason(tmp_path):
    text = said(tmp_path, {"system": SAME, "fast": (0.8, 0.5, 0), "lean": (1.3, 0.4, 0)})
    assert "to use fast:" in text and "but" not in text and "outside the noise" not in text, text


def in_blocks(**factors):
    """Times by allocator of 1 s, multiplied by the factors in turn, and tails and memory without a difference."""
    def change(rows, _):
        for row in rows:
            mine = factors.get(row["allocator"] + "_aa" * bool(row["variant"]), [1])
            row.update(wall_ns=round(1e9 * mine[row["block"] % len(mine)]), malloc_ns_p99=1000,
                       rss_bytes_peak=row["harness_bytes"] + 10**8)
    return change


def test_nothing_known_is_not_called_a_tie(tmp_path):
    """An interval that holds 1 tells little: only one inside the noise tells that there is no difference."""
    text = said(tmp_path, {"system": SAME, "wild": SAME, "tame": SAME}, blocks=6,
                change=in_blocks(wild=[0.3, 2, 0.9, 1.4, 3, 0.5], tame=[1.001, 1.002, 1.003], system_aa=[1.01, 0.99]))
    assert "neither faster nor slower than system, within 5 %: tame" in text, text
    assert "6 blocks cannot tell whether wild is faster or slower than system; --reps=8 may tell" in text
    assert "stay with system: no other is known to be faster, or leaner at its speed, but 6 blocks cannot tell whether wild is" in text
    assert "cannot be told from it: wild" in text and "no different, within 5 %: tame" in text
    told = said(tmp_path / "told", {"system": SAME, "tame": SAME}, blocks=6, change=in_blocks(tame=[1.001, 1.002, 1.003]))
    assert "stay with system: no other is faster, or leaner at its speed, outside the noise" in told and "cannot" not in told


def test_a_difference_inside_the_noise_is_none(tmp_path):
    """Close is faster in every block, by less than the baseline strays from itself."""
    change = in_blocks(system_aa=[0.95, 1.05, 0.94, 1.06], close=[0.98], near=[0.981], fast=[0.5])
    truth = {"system": SAME, "close": SAME, "near": SAME}
    text = said(tmp_path, truth, change=change)
    assert "stay with system: no other is faster" in text and "to use" not in text, text
    assert re.search(r"fastest: close, 0.98 times system \(0.98 to 0.98\); no different, inside the noise of [56]\.\d %: near and system", text), text
    assert re.search(r"neither faster nor slower than system, inside the noise of [56]\.\d %: close and near", text), text
    data = Comparison(load.load_run(str(tmp_path / "made")))
    assert {one.label: (one.rank, one.shared) for one in data.ranking()} == dict.fromkeys(truth, (1, True))
    assert "to use fast:" in said(tmp_path / "fast", truth | {"fast": SAME}, change=change)


def test_who_may_be_slower_is_not_called_as_fast(tmp_path):
    def change(rows, env):
        in_blocks(lean=[0.8, 1.3, 0.9, 1.2], leaner=[0.7, 1.4, 0.8, 1.3])(rows, env)
        for row in rows:
            heap = {"lean": 0.6, "leaner": 0.5}.get(row["allocator"], 1) * 1e8 * (1 + row["block"] % 5 / 1000)
            row["rss_bytes_peak"] = round(row["harness_bytes"] + heap)

    text = said(tmp_path, {"system": SAME, "lean": SAME}, change=change)
    assert "lean is leaner outside the noise, and may be slower, for all that so few blocks tell to use lean:" in text, text
    text = said(tmp_path / "two", {"system": SAME, "sure": SAME, "leaner": SAME},
                change=lambda rows, env: change([row for row in rows if row["allocator"] != "sure"], env)
                or in_blocks()([row for row in rows if row["allocator"] == "sure"], env)
                or [row.update(rss_bytes_peak=row["harness_bytes"] + 7 * 10**7) for row in rows if row["allocator"] == "sure"])
    assert "leaner has the least memory, but may be slower than system; sure is leaner outside the noise, and not slower" in text, text


@pytest.mark.parametrize("estimate, noise, needed", [
    (Estimate(1.05, 0.95, 1.16, 10), 0.01, 42), (Estimate(1.0, 0.9, 1.1, 10), 0.01, 43),
    (Estimate(1.0, 0.01, 100, 3), 0.01, 8), (Estimate(1.04, 0.9, 1.2, 10), 0.05, math.inf),
    (Estimate(1.1, 0.99, 1.2, 10), 0.01, 18),
])
def test_how_many_blocks_may_tell(estimate, noise, needed):
    found = remedy.needed(estimate, noise)
    assert found == pytest.approx(needed, abs=3) or found > remedy.MANY and math.isinf(needed)
    assert (f"--reps={found}" in remedy.words([estimate, None], noise)) == (not math.isinf(needed))


def test_leaner_at_the_same_speed(tmp_path):
    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)})
    assert "to use lean:" in text and "risks" not in text


@pytest.mark.parametrize("other", [SAME, (1.3, 0.6, 0), (1.3, 1.3, 0)])
def test_stay_where_nothing_is_better(tmp_path, other):
    """A leaner one that is slower is no better."""
    text = said(tmp_path, {"system": SAME, "other": other})
    assert "stay with system" in text and "LD_PRELOAD" not in text


def test_one_block_is_no_answer(tmp_path):
    text = said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, blocks=1)
    assert "no answer; take the run with --reps=8" in text and "fastest" not in text


def test_only_for_recorded_programs(tmp_path):
    assert said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, cells=synthetic.CELLS[:1]) == ""
    mixed = [*CELLS, *synthetic.CELLS[:1]]
    assert said(tmp_path / "m", {"system": SAME, "fast": (0.5, 1.0, 0)}, cells=mixed) == ""


def test_fidelity_is_said_where_it_was_measured(tmp_path):
    def change(rows, _):
        for at, row in enumerate(rows):
            row["replay_wait_ppm"] = 1000 * at
            row["replay_live_drift_ppm"] = 10_000

    text = said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, change=change)
    assert "live bytes off by 1 %, time spent waiting 3.5 %" in text, text
    text = said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, cells=PACED, change=change)
    assert "live bytes off by 1 %" in text and "waiting" not in text, "that is for the pace"


@pytest.mark.parametrize("threads, order, wait, decides", [
    (64, 52, 97, False), (64, 24.9, 97, True), (64, 25, 0, False), (64, 0, 99.3, False),
    (3, 0.1, 92, False), (3, 0.1, 67, True), (2, 0, 52, True), (1, None, 100, True),
])
def test_time_of_threads_that_wait_for_one_another_decides_nothing(heapmark, tmp_path, threads, order, wait, decides):
    cells = [("replay", "trace=app.hmt", threads, 20.0, 40_000_000)]

    def change(rows, _):
        for row in rows:
            row.update(replay_order_drift_ppm="" if order is None else round(order * 1e4), replay_wait_ppm=round(wait * 1e4))

    text = said(tmp_path, {"system": SAME, "fast": (0.5, 1.2, 0)}, cells=cells, change=change)
    assert ("fastest: fast" in text) == ("to use fast:" in text) == decides, text
    assert ("nobody is called the fastest" in text and "mostly that of scheduling and hand-overs" in text) != decides
    assert ("stay with system: no other is leaner outside the noise" in text) != decides
    assert heapmark("report", tmp_path / "made")[0] == 0
    page = (tmp_path / "made" / "report.html").read_text()
    assert ("<h3>Fastest</h3>" in page) == decides != ("obody is called the fastest" in page)
    text = said(tmp_path, {"system": SAME, "lean": (2.0, 0.6, 0)}, cells=cells, change=change)
    assert ("to use lean:" in text) != decides and "slower" not in text.replace("is slower than system", ""), text


@pytest.mark.parametrize("passes, is_said", [(1, False), (40, True), (None, False)])
def test_memory_of_many_passes_is_called_so(tmp_path, passes, is_said):
    def change(rows, _):
        for row in rows[1:]:
            row["work"] = passes  # one trial of a single pass makes the others' no better

    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)}, change=change)
    assert ("leanest:" in text) != is_said, "as in the report"
    assert ("memory is that of up to 40 passes" in text and "--work=1" in text) == is_said
    assert ("stay with system: no other is faster outside" in text) == is_said
    assert ("to use lean:" in text) != is_said


@pytest.mark.parametrize("percent, decides", [(9.9, True), (10, True), (10.5, False), (1658, False)])
@pytest.mark.parametrize("params, is_remedy_left", [("", True), (" mode=paced", False)])
def test_memory_of_an_untrue_replay_decides_nothing(tmp_path, percent, decides, params, is_remedy_left):
    """One replay is enough: whoever ran it may look lean or fat by that alone."""
    def change(rows, _):
        for row in rows:
            row["replay_live_drift_ppm"] = 100
        rows[3]["replay_live_drift_ppm"] = round(percent * 1e4)
        with_tails(1)(rows, None)

    cells = [("replay", f"trace=app.hmt{params}", 1, 20.0, 40_000_000)]
    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)}, cells=cells, change=change)
    assert ("leanest: lean" in text) == ("to use lean:" in text) == decides, text
    assert bool(re.search("stay with system: no other (is faster|has a shorter tail) outside", text)) != decides
    assert ("nobody is called the leanest" in text and f"off by {fidelity.percent(percent)}" in text) != decides
    assert ("--set mode=paced" in text) == (is_remedy_left and not decides)


def test_an_untrue_replay_still_names_the_fastest(tmp_path):
    def change(rows, _):
        for row in rows:
            row["replay_live_drift_ppm"] = 6_430_000

    text = said(tmp_path, {"system": SAME, "fast": (0.5, 1.0, 0)}, change=change)
    assert "fastest: fast" in text and "to use fast:" in text and "643 %" in text


def test_every_flag_of_a_recording_has_its_sentence(tmp_path):
    """The harness is asked which flags there are, so that a new one is not forgotten."""
    source = (synthetic.RECORD_DEF.parents[2] / "workloads" / "replay.c").read_text()
    assert set(re.findall(r'"(trace-[a-z-]+)', source)) == set(fidelity.RECORDING)
    for flag in fidelity.RECORDING:
        word = flag + ("=1/50" if flag == "trace-sampled" else "")

        def change(rows, _, word=word):
            rows[0]["flags"] = f"unpinned {word}"

        text = said(tmp_path / flag, {"system": SAME, "lean": (1.0, 0.6, 0)}, change=change)
        assert f"({word})" in text, text
        assert sum(f"({other}" in text for other in fidelity.RECORDING) == 1
        assert ("leanest" in text) == ("to use lean:" in text) == (flag != "trace-sampled"), text
    assert "one object in 50 was recorded" in said(
        tmp_path / "s", {"system": SAME, "lean": SAME},
        change=lambda rows, _: rows[0].update(flags="trace-sampled=1/50"))


def test_a_recording_without_faults_is_not_talked_of(tmp_path):
    def change(rows, _):
        for row in rows:
            row["flags"] = "unpinned streamed"

    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)}, change=change)
    assert "recording" not in text and "(trace-" not in text


def test_what_a_program_became_is_said_where_its_trace_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    def text(successor):
        def change(rows, env):
            rows[0]["flags"] = "trace-replaced"
            env["traces"] = [recorded(successor=successor and str(successor))]
        return said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)}, change=change)

    assert "for what it did before (trace-replaced)" in text(None)
    assert "what it became has the trace 'app.17.hmt' (trace-replaced)" in text(tmp_path / "app.17.hmt")
    assert "what it became has the trace '/elsewhere/app.17.hmt'" in text("/elsewhere/app.17.hmt")


@pytest.mark.parametrize("half_seen, is_said", [(None, False), (0, False), (10, False), (11, True), (125_000, True)])
def test_recordings_that_calls_went_past(tmp_path, half_seen, is_said):
    text = said(tmp_path, {"system": SAME, "lean": (1.0, 0.6, 0)},
                change=lambda _, env: env.update(traces=[recorded(half_seen=half_seen)]))
    assert (f"only one end of {half_seen or 0:,} objects, the allocation or the free, beside 1,000 events" in text) == is_said
    assert ("RTLD_DEEPBIND" in text) == ("forked child" in text) == is_said
    assert not is_said or text.index("forked child") < text.index("RTLD_DEEPBIND"), "the commoner cause first"


def test_a_command_for_knobs_of_the_system_allocator():
    entry = {"environment": "GLIBC_TUNABLES=glibc.malloc.arena_max=1", "path": ""}
    assert advice.command(entry, "app") == "GLIBC_TUNABLES=glibc.malloc.arena_max=1 app"


@pytest.mark.parametrize("share, shown", [(0.012, "0.012 %"), (3.21, "3.2 %"), (99.7, "100 %"), (1640, "1,640 %")])
def test_a_share_is_never_an_exponent(share, shown):
    assert fidelity.percent(share) == shown
