"""Shared by all Python tests: where the package lies, and the flag that rewrites golden files."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "scripts")]


def pytest_addoption(parser):
    parser.addoption(
        "--regenerate", action="store_true", help="write golden files anew; look at the difference"
    )


@pytest.fixture
def fixtures():
    return HERE / "fixtures"


@pytest.fixture
def golden(request, fixtures):
    """Compares text with fixtures/NAME, or writes it there with --regenerate."""

    def compare(name, text):
        path = fixtures / name
        if request.config.getoption("--regenerate"):
            path.write_text(text)
        assert text == path.read_text(), f"{name} differs; if that is right, use --regenerate"

    return compare


@pytest.fixture
def heapmark(capsys, monkeypatch):
    """Runs a command in this process; returns (exit code, output, errors)."""
    from heapmark.__main__ import main

    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
