"""Bad input of compare, gate and history: one clear line and exit 2, or "cannot tell"."""

import json
import random

import pytest
import synthetic
import turned

TWO = {"system": (1.0, 1.0, 0), "mine": (0.9, 1.0, 0)}
CELLS = synthetic.CELLS[5:7]
BLOCKS = 6


def run(directory, truth=None, blocks=BLOCKS, change=None):
    rows = synthetic.rows(CELLS, truth or TWO, blocks, noise=0.01, spread=0, aa=False)
    for row in rows:
        if change:
            change(row)
    return turned.plain(directory, rows, truth or TWO, blocks)


def edit(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def refused(heapmark, *words):
    code, out, err = heapmark(*words)
    assert (code, out) == (2, ""), (code, out, err)
    assert err.startswith("heapmark: ") and err.count("\n") == 1
    return err


def both(path):
    """The commands that read a run, as words."""
    return [("compare", path), ("gate", f"--base={path}", f"--head={path}")]


COMMANDS = pytest.mark.parametrize("command", [0, 1], ids=["compare", "gate"])


@COMMANDS
def test_empty_run(heapmark, tmp_path, command):
    path = run(tmp_path / "r")
    header = (path / "trials.csv").read_text().splitlines()[0]
    (path / "trials.csv").write_text(header + "\n")
    assert "holds a header and no trial" in refused(heapmark, *both(path)[command])
    (path / "trials.csv").write_text("")
    assert "is empty" in refused(heapmark, *both(path)[command])


def test_one_block_cannot_tell(heapmark, tmp_path):
    path = run(tmp_path / "r", blocks=1)
    code, out, _ = heapmark("compare", path)
    assert code == 0 and "better" not in out and "worse" not in out
    assert "one block" in out and "--reps=8" in out
    code, out, _ = heapmark("gate", f"--base={path}", f"--head={path}")
    assert code == 3 and "1 block cannot show a regression" in out


@COMMANDS
def test_allocator_missing_on_one_side(heapmark, tmp_path, command):
    one = run(tmp_path / "one")
    three = {label: (1.0, 1.0, 0) for label in ("system", "third", "fourth")}
    other = run(tmp_path / "other", three)
    words = [("compare", one, other), ("gate", f"--base={one}", f"--head={other}")][command]
    err = refused(heapmark, *words)
    assert "share no contender" in err and "mine" in err and "third, fourth" in err
    name = ["--base=mine", "--base-label=mine"][command]
    assert "has no trial of 'mine'" in refused(heapmark, *words, name)


@COMMANDS
def test_all_rows_failed(heapmark, tmp_path, command):
    path = run(tmp_path / "r", change=lambda row: row.update(status="crashed", detail="SIGSEGV"))
    assert "has no trial that went well" in refused(heapmark, *both(path)[command])


def test_one_side_failed_everywhere(heapmark, tmp_path):
    def fail(row):
        if row["allocator"] == "mine":
            row.update(status="timeout", detail="too slow")

    path = run(tmp_path / "r", change=fail)
    code, out, _ = heapmark("compare", path, "--json")
    rows = json.loads(out)["comparisons"][0]["rows"]
    assert code == 0 and {row["verdict"] for row in rows} == {"cannot tell"}
    assert heapmark("gate", f"--base={path}", f"--head={path}")[0] == 1, "it ran on base"


@COMMANDS
def test_mixed_schema_versions(heapmark, tmp_path, command):
    old, new = run(tmp_path / "old"), run(tmp_path / "new")
    edit(new / "env.json", '"schema_version": 1', '"schema_version": 2')
    words = [("compare", old, new), ("gate", f"--base={old}", f"--head={new}")][command]
    assert "schema version 2, this heapmark reads up to 1" in refused(heapmark, *words)


def test_a_run_from_before_a_column_was_added_is_still_read(heapmark, tmp_path):
    """Columns are only ever added at the end: without the last, the rest compares as before."""
    old, new = run(tmp_path / "old"), run(tmp_path / "new")
    env = json.loads((old / "env.json").read_text())
    last = env["columns"].pop()["name"]
    (old / "env.json").write_text(json.dumps(env))
    lines = (old / "trials.csv").read_text().splitlines()
    assert lines[0].endswith("," + last)
    (old / "trials.csv").write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))
    code, out, err = heapmark("compare", old, new)
    assert (code, err) == (0, "") and "same within noise" in out


@COMMANDS
def test_columns_missing(heapmark, tmp_path, command):
    path = run(tmp_path / "r")
    edit(path / "trials.csv", "wall_ns", "wall_us")
    assert "lacks the column 'wall_ns'" in refused(heapmark, *both(path)[command])


@COMMANDS
@pytest.mark.parametrize("value", ["nan", "inf", "-5", "1e999", ""])
def test_figures_that_are_none(heapmark, tmp_path, command, value):
    path = run(tmp_path / "r", change=lambda row: row.update(wall_ns=value))
    assert "'wall_ns' is " in refused(heapmark, *both(path)[command])


@COMMANDS
def test_baseline_of_zero(heapmark, tmp_path, command):
    path = run(tmp_path / "time", change=lambda row: row.update(wall_ns=0))
    assert "'wall_ns' is 0" in refused(heapmark, *both(path)[command])

    def weightless(row):
        if row["allocator"] == "system":
            row["rss_bytes_peak"] = row["harness_bytes"]

    path = run(tmp_path / "memory", change=weightless)
    code, out, err = heapmark(*both(path)[command])
    assert (code, err) == ([0, 3][command], "") and "cannot tell" in out or command == 0


@COMMANDS
def test_turns_that_are_damaged(heapmark, tmp_path, command):
    for old, new, complaint in (
        ("wall_ns", "wall", "lacks the column 'wall_ns'"),
        (",0,5000000,", ",0,many,", "'start_ns' is 'many'"),
        ("\nr,0,0,1,", "\nr,0,999,1,", "trial 999 is not in trials.csv"),
        ("\nr,0,0,1,", "\nr,0,0,0,", "holds a turn of a trial twice"),
    ):
        path = tmp_path / str(abs(hash(old + new))) / "r"
        path.parent.mkdir()
        turned.make(path, blocks=3)
        edit(path / "turns.csv", old, new)
        assert complaint in refused(heapmark, *both(path)[command])
    edit(path / "turns.csv", "r,0,0,0,", "r,0,0,0")
    (path / "turns.csv").write_text((path / "turns.csv").read_text()[:-9])
    refused(heapmark, *both(path)[command])


MUTATIONS = 60
ODD = ["", "0", "-1", "nan", "inf", "1e308", "18446744073709551615", "9" * 23, '"', ",",
       "\x00", "é", "ok", "crashed", "system", "\n", "=1", " "]  # fmt: skip


def mutate(rng, text):
    """The CSV with a few fields, lines or characters changed."""
    lines = text.split("\n")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        fields = lines[at].split(",")
        kind = rng.randrange(5)
        if kind <= 1:
            fields[rng.randrange(len(fields))] = rng.choice(ODD)
            lines[at] = ",".join(fields)
        elif kind == 2:
            lines[at] = ",".join(rng.sample(fields, len(fields)))
        elif kind == 3:
            lines.insert(rng.randrange(len(lines)), lines[at])
        else:
            del lines[at : at + rng.randint(1, 8)]
            lines = lines or [""]
    text = "\n".join(lines)
    return text if rng.random() < 0.8 else text[: rng.randrange(len(text) + 1)]


@pytest.mark.parametrize("name", ["trials.csv", "turns.csv", "env.json"])
def test_mutated_files_never_end_in_a_traceback(heapmark, tmp_path, name):
    path = turned.make(tmp_path / "r", blocks=3, turns=3)
    whole = (path / name).read_text()
    rng = random.Random(7)
    codes = set()
    for _ in range(MUTATIONS):
        (path / name).write_text(mutate(rng, whole), errors="surrogateescape")
        words = both(path)[rng.randrange(2)]
        code, out, err = heapmark(*words)  # an exception would fail the test
        assert code in (0, 1, 2, 3)
        assert (code == 2) == err.startswith("heapmark: ") and err.count("\n") <= 1
        codes.add(code)
    assert 2 in codes and len(codes) > 1, "some are refused, some are still good"


def test_mutated_histories_never_end_in_a_traceback(heapmark, tmp_path):
    file = tmp_path / "history.csv"
    path = turned.make(tmp_path / "r")
    for _ in range(4):
        heapmark("gate", f"--base={path}", f"--head={path}", f"--history={file}")
    whole = file.read_text()
    rng = random.Random(8)
    for _ in range(MUTATIONS):
        file.write_text(mutate(rng, whole))
        code, _, err = heapmark("history", file)
        assert code in (0, 2) and (code == 2) == err.startswith("heapmark: ")


def test_mutated_baselines_never_end_in_a_traceback(heapmark, tmp_path):
    from heapmark import load, pairing
    from heapmark.errors import InputError
    from heapmark.gate import stored

    found = load.load_run(str(run(tmp_path / "r")))
    pair = pairing.within(found, "system", "mine")
    file = tmp_path / "baseline.json"
    stored.write(file, stored.data_of(pair, "ci", found.env["machine"]))
    assert set(stored.read(file)["cells"]) == set(pair.cells)
    whole = file.read_text()
    rng = random.Random(9)
    for _ in range(MUTATIONS):
        file.write_text(mutate(rng, whole))
        try:
            stored.read(file)
        except InputError:
            pass
