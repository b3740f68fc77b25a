"""Texts of the command line as figures: percentages and durations, each refused with its reason."""

import re

from heapmark.errors import InputError

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def percent(text, name, most=1000):
    """'3%' or '0.5%' as a fraction; above 0, at most `most` percent. Raises InputError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%", text.strip())
    if not match or not 0 < float(match[1]) <= most:
        raise InputError(f"{name} is '{text}'; expected a percentage above 0 such as 3%")
    return float(match[1]) / 100


def duration(text, name):
    """'120s', '2m' or '500ms' as seconds, above 0. Raises InputError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text.strip())
    if not match or float(match[1]) == 0:
        raise InputError(f"{name} is '{text}'; expected a time above 0 such as 120s or 2m")
    return float(match[1]) * SECONDS[match[2]]
