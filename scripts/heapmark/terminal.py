"""Text for people: width, colour, tables, plurals. Plain ASCII, so that any locale can show it."""

import os
import re
import shutil
import sys
import textwrap

WIDTH_MIN = 60
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def width():
    """Columns to write in: the terminal's or $COLUMNS, 80 where neither is known."""
    return max(WIDTH_MIN, shutil.get_terminal_size().columns)


def has_colour():
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text, style):
    """`text` in a style of STYLES where colour is wanted; spaces around it stay plain."""
    if not style or not has_colour():
        return text
    body = text.strip()
    return text.replace(body, f"\033[{STYLES[style]}m{body}\033[0m", 1) if body else text


def printable(text):
    """`text` without control characters: a detail or a path must not steer the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", text)


def plural(count, noun):
    return f"{count} {noun}" + ("" if count == 1 else "s")


def shorten(text, size):
    """At most `size` characters; the middle goes, since names differ at both ends."""
    text = printable(text)
    if len(text) <= size:
        return text
    tail = (size - 2) // 2
    return text[: size - 2 - tail] + ".." + text[len(text) - tail :]


def paragraph(text, hang=2):
    """`text` wrapped to the width, lines after the first one indented."""
    return textwrap.wrap(
        printable(text), width(), subsequent_indent=" " * hang, break_on_hyphens=False
    )


def table(rows, align, styles=None, gap="  "):
    """Rows of strings as aligned lines.

    `align` holds '<' or '>' per column; `styles` maps (row, column) to a name of STYLES.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(align))]
    lines = []
    for number, row in enumerate(rows):
        fields = [
            paint(f"{text:{side}{size}}", (styles or {}).get((number, column)))
            for column, (text, side, size) in enumerate(zip(row, align, widths))
        ]
        lines.append(gap.join(fields).rstrip())
    return lines
