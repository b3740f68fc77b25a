"""The loader: what it refuses, in one line that names subject and remedy, and what it reads."""

import csv
import io
import itertools
import json
import shutil

import pytest
import synthetic
from heapmark import load
from heapmark.errors import InputError


@pytest.fixture
def run(tmp_path, fixtures):
    """A valid run that a test may spoil."""
    return shutil.copytree(fixtures / "small", tmp_path / "small")


def edit(run, change):
    path = run / "trials.csv"
    path.write_text(change(path.read_text()))


def edit_rows(run, change):
    """Apply `change` to each row of fields, the header among them; None drops the row."""
    def rewrite(text):
        rows = [change(row) for row in csv.reader(io.StringIO(text))]
        out = io.StringIO()
        csv.writer(out).writerows(row for row in rows if row is not None)
        return out.getvalue()

    edit(run, rewrite)


def edit_env(run, change):
    env = json.loads((run / "env.json").read_text())
    change(env)
    (run / "env.json").write_text(json.dumps(env))


def column(name):
    return [entry["name"] for entry in synthetic.columns()].index(name)


def set_field(name, value, row_number=3):
    """An editor of rows that puts `value` into the column `name` of one row."""

    def spoil(run):
        numbers = itertools.count()

        def change(row):
            if next(numbers) == row_number:
                row[column(name)] = value
            return row

        edit_rows(run, change)

    return spoil


def where(name, value, target, new):
    """An editor that sets `target` to `new` in all rows whose `name` is `value`."""

    def change(row):
        if row[column(name)] == value:
            row[column(target)] = new
        return row

    return lambda run: edit_rows(run, change)


def without_rows(name, *values):
    return lambda run: edit_rows(run, lambda row: None if row[column(name)] in values else row)


def all_failed(run):
    edit_rows(run, lambda row: [
        "crashed" if at == column("status") and field == "ok" else field
        for at, field in enumerate(row)
    ])


def duplicate_row(run):
    edit(run, lambda text: text + text.splitlines()[5] + "\r\n")


def drop_column(run):
    at = column("rss_bytes_peak")
    edit_rows(run, lambda row: row[:at] + row[at + 1 :])


def retype_time(run):
    edit_env(run, lambda env: env["columns"][column("wall_ns")].update(type="text"))


# name: (how the run is spoilt, what the message must hold)
SPOILT = {
    "no trials.csv": (lambda run: (run / "trials.csv").unlink(), ["no such file", "heapmark run"]),
    "no env.json": (lambda run: (run / "env.json").unlink(), ["env.json'", "no such file"]),
    "empty": (lambda run: edit(run, lambda text: ""), ["is empty"]),
    "header only": (lambda run: edit(run, lambda text: text.splitlines()[0] + "\r\n"),
                    ["a header and no trial"]),
    "missing column": (drop_column, ["lacks the column", "'rss_bytes_peak'"]),
    "column twice": (lambda run: edit(run, lambda text: text.replace("wall_ns", "ops", 1)
                                      .replace("ops_per_s", "wall_ns", 1)), ["lacks", "ops_per_s"]),
    "undescribed column": (lambda run: edit_env(run, lambda env: env["columns"].pop()),
                           ["'pad_bytes' is not described"]),
    "unknown type": (lambda run: edit_env(run, lambda env: env["columns"][0].update(type="blob")),
                     ["unknown type 'blob'"]),
    "contract column of another type": (retype_time, ["'wall_ns' cannot be of the type 'text'"]),
    "torn last line": (lambda run: edit(run, lambda text: text[:-40]),
                       ["is torn", "--resume=", "small'"]),
    "torn by one character": (lambda run: edit(run, lambda text: text[:-1]), ["is torn"]),
    "torn in a quoted field": (
        lambda run: edit(run, lambda text: text[: text.index('""30 s') + 2]), ["is torn"]),
    "line too short": (lambda run: edit(run, lambda text: text.replace(",ok,", ",ok", 1)),
                       ["line 2 has", "fields, the header"]),
    "NaN": (set_field("wall_ns", "nan"), ["line 4", "'wall_ns' is 'nan'", "whole number"]),
    "infinite": (set_field("ops_per_s", "1e999"), ["'ops_per_s' is '1e999'", "finite number"]),
    "negative count": (set_field("ops", "-5"), ["'ops' is '-5'"]),
    "count over 64 bits": (set_field("ops", "99999999999999999999"), ["not a whole number"]),
    "other digits": (set_field("ops", "\u0663"), ["not a whole number"]),
    "ok without time": (set_field("wall_ns", ""), ["'wall_ns' is empty in a trial that is 'ok'"]),
    "ok in no time": (set_field("wall_ns", "0"), ["'wall_ns' is 0", "more work"]),
    "baseline of zero": (where("allocator", "system", "wall_ns", "0"), ["'wall_ns' is 0"]),
    "no block": (set_field("block", ""), ["'block' is empty"]),
    "unknown status": (set_field("status", "fine"), ["unknown status 'fine'", "known are ok"]),
    "row twice": (duplicate_row, ["a second time in block"]),
    "two runs": (set_field("run", "other"), ["rows of the runs 'other' and 'small'"]),
    "baseline absent": (without_rows("allocator", "system"),
                        ["no trial of its baseline 'system'", "--baseline"]),
    "all failed": (all_failed, ["no trial that went well", "crashed, 2 timeout"]),
    "env not JSON": (lambda run: (run / "env.json").write_text("{"), ["not valid JSON"]),
    "env not an object": (lambda run: (run / "env.json").write_text("[]"), ["JSON object"]),
    "env without baseline": (lambda run: edit_env(run, lambda env: env["run"].pop("baseline")),
                             ["'run.baseline' must be a string or null"]),
    "env with odd allocators": (lambda run: edit_env(run, lambda env: env.update(allocators=[1])),
                                ["'allocators[].label' must be a string"]),
    "env with an odd trace": (
        lambda run: edit_env(run, lambda env: env.update(traces=[{"trace": "a.hmt", "command": 1}])),
        ["'traces[].command' must be a string or null"]),
    "newer schema": (lambda run: edit_env(run, lambda env: env.update(schema_version=2)),
                     ["schema version 2", "newer"]),
    "no schema": (lambda run: edit_env(run, lambda env: env.pop("schema_version")),
                  ["no schema version"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("command", ["ranking", "plot"])
def test_spoilt_run_is_refused_in_one_line(run, heapmark, command, name):
    spoil, expected = SPOILT[name]
    spoil(run)
    code, out, err = heapmark(command, run)
    assert code == 2
    assert out == ""
    assert err.startswith("heapmark: ") and err.count("\n") == 1
    for words in expected:
        assert words in err


def test_column_twice_is_refused(run):
    edit(run, lambda text: text.replace("pad_bytes", "flags", 1))
    edit_env(run, lambda env: env["columns"].pop())
    with pytest.raises(InputError, match="'flags' twice"):
        load.load_run(str(run))


def test_run_is_found_by_its_bare_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    moved = run.rename(tmp_path / "moved")
    (tmp_path / "results").mkdir()
    moved.rename(tmp_path / "results" / "small")
    assert load.load_run("small").name == "small"
    with pytest.raises(InputError, match="cannot find run 'smal'.*did you mean 'small'"):
        load.load_run("smal")


def test_file_instead_of_directory_is_refused(run):
    with pytest.raises(InputError, match="is a file; give the run directory"):
        load.load_run(str(run / "trials.csv"))


def test_empty_figure_is_nan_and_never_zero(run):
    set_field("malloc_ns_p99", "")(run)
    trials = load.load_run(str(run)).trials
    assert trials["malloc_ns_p99"].isna().sum() == 1
    assert trials["calloc_ns_p50"].isna().all()


def test_quoted_text_comes_back_as_it_was(run):
    failed = load.load_run(str(run)).failed
    assert set(failed["detail"]) == {'no end within "30 s", stopped'}


def test_bytes_that_are_no_text_stay_visible(run):
    path = run / "trials.csv"
    path.write_bytes(path.read_bytes().replace(b"traces/sqlite3.hmt", b"traces/sql\xff.hmt"))
    params = set(load.load_run(str(run)).trials["params"])
    assert "trace=workloads/traces/sql\\xff.hmt" in params


def test_cell_separates_what_must_not_be_compared(run):
    before = len(load.cells_of(load.load_run(str(run)).compared))
    set_field("mempolicy", "interleave")(run)
    assert len(load.cells_of(load.load_run(str(run)).compared)) == before + 1


def test_floor_never_contends(run):
    compared = load.load_run(str(run)).compared
    assert "null" not in set(compared["allocator"])
    assert not set(compared["workload"]) & {"null", "byhand"}
