"""The page as PDF, printed by a headless Chromium."""

import os
import shutil
import subprocess
import tempfile

from heapmark.errors import InputError

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 120


def find():
    """Chromium's path. HEAPMARK_CHROMIUM names another one. Raises InputError."""
    wanted = os.environ.get("HEAPMARK_CHROMIUM")
    found = next(filter(None, map(shutil.which, [wanted] if wanted else NAMES)), None)
    if found is None:
        raise InputError(
            f"cannot find '{wanted or NAMES[0]}', which prints the PDF; apt-get install chromium"
        )
    return found


def arguments(program, profile):
    """Headless, without a network, without touching the user's own profile."""
    result = [
        program, "--headless=new", "--disable-gpu", "--no-first-run", "--disable-extensions",
        "--disable-background-networking", "--disable-sync", f"--user-data-dir={profile}",
    ]  # fmt: skip
    if os.geteuid() == 0:
        result.append("--no-sandbox")  # Chromium refuses to start as root with it
    return result


def write(page, target):
    """Print the HTML file `page` into the file `target`. Raises InputError, OSError."""
    program = find()
    with tempfile.TemporaryDirectory(prefix="heapmark-chromium-") as profile:
        command = arguments(program, profile)
        command += ["--no-pdf-header-footer", f"--print-to-pdf={target.resolve()}",
                    page.resolve().as_uri()]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise OSError(None, f"'{program}' did not print within {TIMEOUT_S} s", target) from None
    if done.returncode != 0 or not target.exists():
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise OSError(None, f"'{program}' printed no PDF: {last[0]}", str(target))
