"""Plots as SVG inside the page: the page's own colours, no ids that clash, a text that says them.

The colours of style.py become variables of the page's style sheet, so that one drawing serves light
and dark. Text stays text: it is smaller than outlines and can be searched.
"""

import colorsys
import html
import re

from heapmark import style

VARIABLES = {
    style.INK: "ink",
    style.FAINT_INK: "faint",
    style.NOISE: "noise",
    style.STRIPE: "stripe",
    style.GRID: "grid",
    style.PAPER: "paper",
    style.ALERT: "alert",
}
DARK_PAPER = "#16181c"
CONTRAST_MIN = 3.0  # of a mark against the page, as WCAG 1.4.11 asks of graphical objects
INLINE = {"svg.fonttype": "none"}
FONTS = "'DejaVu Sans', Verdana, sans-serif"


def inline(figure, name, title, description, contenders):
    """A figure as an <svg> element.

    `name` makes its ids unique on the page; `contenders` are the colours that become variables.
    """
    text = style.svg(figure)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace("xlink:href", "href").replace("'DejaVu Sans'", FONTS)
    text = unique_ids(text, name)
    text = re.sub(
        r"#[0-9a-f]{6}\b(?=[;\"])", lambda match: variable(match[0], contenders), text
    )
    box = re.search(r'viewBox="([^"]*)"', text)[1]
    opening = (
        f'<svg class="plot" role="img" viewBox="{box}" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{html.escape(title)}</title>'
        f'<desc id="{name}-d">{html.escape(description)}</desc>'
    )
    return re.sub(r"\n\s*", "\n", opening + text[text.index(">") + 1 :])


def unique_ids(text, name):
    """Keeps the ids that something refers to, with the plot's name before them."""
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    used = {first or second for first, second in used}

    def renamed(match):
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    text = re.sub(r' id="([^"]*)"', renamed, text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)


def variable(colour, contenders):
    if colour in VARIABLES:
        return f"var(--{VARIABLES[colour]})"
    return f"var(--c-{colour[1:]})" if colour in contenders else colour


# ---- colours of contenders, for light and dark --------------------------------------------------


def luminance(colour):
    """Relative luminance of "#rrggbb" as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(colour, paper):
    """The colour, lightened or darkened in small steps until it stands out from the paper."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    step = 0.02 if luminance(paper) < 0.5 else -0.02
    while contrast(colour, paper) < CONTRAST_MIN and 0 <= light + step <= 1:
        light += step
        parts = colorsys.hls_to_rgb(hue, light, saturation)
        colour = "#" + "".join(f"{round(255 * part):02x}" for part in parts)
    return colour


def colour_rules(contenders):
    """(light, dark): CSS declarations of the contenders' colours."""
    return tuple(
        "".join(f"--c-{colour[1:]}:{readable(colour, paper)};" for colour in sorted(contenders))
        for paper in (style.PAPER, DARK_PAPER)
    )
