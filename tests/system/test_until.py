"""run --until: when the analysis is asked, what its answer does, what ends a run before."""

import os
import re

from runs import heapmark, rows

WORDS = ["run", "pair", "--allocators=system,null", "--work=2000", "--latency=no", "--out=run"]


def asked(tmp_path, answers, *words):
    """A run whose questions an `analysis` answers with the given exit codes; its blocks and result."""
    script = tmp_path / "analysis"
    script.write_text('#!/bin/sh\nshift 2\necho "$@" >>asked\n[ "$1" = until ] || exit 0\n'
                      "n=$(grep -c '^until' asked)\nexit $(echo $ANSWERS | cut -d' ' -f$n)\n")
    script.chmod(0o755)
    environment = {**os.environ, "HEAPMARK_PYTHON": str(script), "ANSWERS": answers}
    result = heapmark(*WORDS, *words, cwd=tmp_path, env=environment)
    questions = [line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("until")]
    assert all(re.fullmatch(r"until .*/run 2%", line) for line in questions)
    found = rows(tmp_path / "run")
    assert len(found) % 2 == 0, "whole blocks only"
    return len(found) // 2, len(questions), result


def test_it_is_asked_at_eight_and_then_when_blocks_grew_by_a_quarter(tmp_path):
    blocks, questions, result = asked(tmp_path, "3 3 3 0", "--until=2%")
    assert (blocks, questions, result.returncode) == (8 + 2 + 3 + 4, 4, 0)


def test_reps_on_the_command_line_are_the_most(tmp_path):
    blocks, questions, result = asked(tmp_path, "3 3 3 3", "--until=2%", "--reps=12")
    assert (blocks, questions, result.returncode) == (12, 2, 0)
    assert "not every interval got as narrow as --until=2% asks" in result.stderr


def test_an_analysis_that_cannot_tell_ends_the_run(tmp_path):
    blocks, questions, _ = asked(tmp_path, "2", "--until=2%")
    assert (blocks, questions) == (8, 1)


def test_a_resumed_run_goes_on_asking(tmp_path):
    asked(tmp_path, "3 3 0", "--until=2%")
    trials = tmp_path / "run" / "trials.csv"
    trials.write_bytes(b"".join(trials.read_bytes().splitlines(keepends=True)[:1 + 2 * 9]))
    environment = {**os.environ, "HEAPMARK_PYTHON": str(tmp_path / "analysis"), "ANSWERS": "0"}
    (tmp_path / "asked").unlink()
    assert heapmark("run", "--resume=run", cwd=tmp_path, env=environment).returncode == 0
    assert len(rows(tmp_path / "run")) == 2 * 9, "nine blocks were narrow enough"


def test_a_time_budget_ends_it(tmp_path):
    result = heapmark("run", "pair", "--allocators=system,jemalloc", "--trial-time=50ms", "--latency=no", "--until=0.001%",
                      "--time-budget=2s", "--out=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "time budget" in result.stderr
    assert 0 < len(rows(tmp_path / "run")) < 2 * 100


def test_the_analysis_itself_says_how_wide_intervals_are(tmp_path):
    result = heapmark("run", "pair", "--allocators=system,jemalloc", "--trial-time=5ms", "--latency=no",
                      "--until=900%", "--reps=40", "--out=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r"after 8 blocks: widest interval \+-\d+\.\d % \(jemalloc in pair\), within 900 %", result.stderr)
    assert len(rows(tmp_path / "run")) == 2 * 8
