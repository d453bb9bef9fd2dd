"""Tables and plots of what curves.py measured: medians, with the lowest and highest of the rounds in the tables."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

# Title of a curve, what its points are, and the columns of its table: key of a sample, name, format.
SPEED = ("tokens_per_second", "tokens/s", "{:,.0f}")
START = ("start", "first step after, s", "{:.2f}")
ABOUT = {
    "start": ("From the beginning of the process to the first step", "run",
              [START, ("start_cpu", "of all processors, s", "{:.2f}")]),
    "trials": ("Trials side by side", "model, trials", [SPEED, ("lanes", "lanes", "{:.0f}")]),
    "lengths": ("Length of rows (tinystories-656k, 4 trials, 2,048 tokens of each a step)", "tokens a row", [SPEED]),
    "ranks": ("Rank of adapters (tinystories-656k, 8 trials)", "rank", [SPEED]),
    "rows": ("Rows of data (tinystories-656k, short lines; no tokens kept from earlier runs)", "rows",
             [START, ("mib", "peak MiB", "{:.0f}"), SPEED]),
    "studies": ("Trials of a study (a model of some thousand weights, 3 steps each, none stopped)", "trials",
                [("milliseconds", "ms a trial, all that follows the first step", "{:.2f}"),
                 ("study_milliseconds", "the study alone", "{:.2f}"), ("cpu_milliseconds", "of all processors", "{:.2f}"),
                 ("mib", "peak MiB", "{:.0f}")]),
}


def spread(samples: list[dict], key: str, form: str) -> str:
    """The median; behind it the lowest and the highest where there are several."""
    values = sorted(sample[key] for sample in samples)
    text = form.format(statistics.median(values))
    if len(values) == 1 or form.format(values[0]) == form.format(values[-1]):
        return text
    return f"{text} ({form.format(values[0])} to {form.format(values[-1])})"


def falls(results: dict) -> str:
    """Numbers of trials at which tokens a second are lower than with fewer, by more than what rounds differ by."""
    low = []
    for model in sorted({point.rpartition(" ")[0] for point in results["samples"].get("trials", {})}):
        best = 0.0
        for trials, speed in line_of(results, "trials", SPEED[0], model):
            if speed < 0.95 * best:
                low.append(f"{model} with {trials:.0f} ({100 * (1 - speed / best):.0f} % below the best before)")
            best = max(best, speed)
    return "\nSlower than with fewer: " + ", ".join(low) + ".\n" if low else "\nMore trials are never slower by a twentieth.\n"


def tables(results: dict) -> str:
    who = results["measured"]
    text = (f"# Curves\n\n`tests/bench/curves.py` at commit {who['commit']}, {who['threads']} threads of {who['cpu']}: medians, with the "
            "lowest and highest round.\n")
    for name, (title, what, columns) in ABOUT.items():
        samples = {point: have for point, have in results["samples"].get(name, {}).items() if have}
        if not samples:
            continue
        text += f"\n## {title}\n\n| {what} | " + " | ".join(column[1] for column in columns) + " |\n"
        text += "|---" * (1 + len(columns)) + "|\n"
        for point, have in samples.items():
            label = f"{int(point):,}" if point.isdigit() else point
            text += f"| {label} | " + " | ".join(spread(have, key, form) for key, _, form in columns) + " |\n"
        text += falls(results) if name == "trials" else ""
    return text


@dataclass
class Panel:
    """One small plot: lines of points over a logarithmic axis, from 0 upwards."""
    title: str
    lines: dict[str, list[tuple[float, float]]]  # by name; "": the only one


STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.soft { fill: #57606a }
.axis { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.a { stroke: #0969da } .b { stroke: #bc4c00 }
circle.a { fill: #0969da } circle.b { fill: #bc4c00 }
text.a { fill: #0969da; stroke: none } text.b { fill: #bc4c00; stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .soft { fill: #9198a1 } .axis { stroke: #3d444d }
.a { stroke: #58a6ff } .b { stroke: #f0883e }
circle.a { fill: #58a6ff } circle.b { fill: #f0883e }
text.a { fill: #58a6ff } text.b { fill: #f0883e }
}
</style>"""
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 250, 190, 14, 44, 30


def short(value: float) -> str:
    """Three figures or four: 12.3, 1234, 34k, 1M."""
    if value >= 999_500:
        return f"{value / 1e6:.3g}M"
    if value >= 9_995:
        return f"{value / 1e3:.3g}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def drawn(panel: Panel, left: float) -> str:
    """Every point has its value above it; the axis below has the points' own numbers."""
    xs = sorted({x for line in panel.lines.values() for x, _ in line})
    if not xs:
        return ""
    top = max(y for line in panel.lines.values() for _, y in line)
    span = math.log(xs[-1] / xs[0]) or 1
    room, deep = WIDTH - 2 * LEFT - 16, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return left + LEFT + 8 + room * math.log(x / xs[0]) / span, TOP + deep * (1 - y / top)

    svg = f'<text x="{left + LEFT}" y="16">{panel.title}</text>'
    svg += f'<path class="axis" d="M{left + LEFT} {TOP + deep}h{room + 16}"/>'
    for x in xs:
        svg += f'<text class="soft" text-anchor="middle" x="{place(x, 0)[0]:.1f}" y="{TOP + deep + 16}">{short(x)}</text>'
    for colour, (name, line) in zip("ab", panel.lines.items()):
        points = [place(x, y) for x, y in line]
        svg += f'<path class="line {colour}" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + '"/>'
        for (x, y), (_, value) in zip(points, line):
            svg += f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
            if len(panel.lines) == 1 or (x, y) in (points[0], points[-1]):
                svg += f'<text class="soft" text-anchor="middle" x="{x:.1f}" y="{y - 7:.1f}">{short(value)}</text>'
        if name:
            svg += f'<text class="{colour}" x="{left + LEFT + (0 if colour == "a" else 120)}" y="31">{name}</text>'
    return svg


def picture(title: str, panels: list[Panel]) -> str:
    panels = [panel for panel in panels if any(panel.lines.values())]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * max(1, len(panels))} {HEIGHT}" role="img" '
            f'aria-label="{title}"><title>{title}</title>{STYLE}'
            + "".join(drawn(panel, WIDTH * i) for i, panel in enumerate(panels)) + "</svg>\n")


def line_of(results: dict, curve: str, key: str, model: str = "") -> list[tuple[float, float]]:
    """Medians by the number in a point's name, of the points that begin with `model`."""
    line = []
    for point, have in results["samples"].get(curve, {}).items():
        name, _, number = point.rpartition(" ")
        if have and name == model:
            line.append((float(number), statistics.median(sample[key] for sample in have)))
    return sorted(line)


def plots(results: dict) -> dict[str, str]:
    """Files by name."""
    speed, tiny, small = SPEED[0], "tinystories-656k", "smollm2-135m"
    trials = {tiny: line_of(results, "trials", speed, tiny)}
    slow = line_of(results, "trials", speed, small)
    throughput = [Panel("tokens/s by trials", {"": trials[tiny]}), Panel("by tokens a row", {"": line_of(results, "lengths", speed)}),
                  Panel("by rank of adapters", {"": line_of(results, "ranks", speed)})]
    if slow:
        throughput.insert(1, Panel("tokens/s by trials, SmolLM2-135M", {"": slow}))
    scale = [Panel("ms a trial by trials of a study", {"": line_of(results, "studies", "milliseconds")}),
             Panel("s to the first step by rows", {"": line_of(results, "rows", "start")}),
             Panel("tokens/s by rows", {"": line_of(results, "rows", speed)})]
    return {"throughput.svg": picture("Tokens a second of training by trials, row length and rank", throughput),
            "scale.svg": picture("Time by number of trials and rows of data", scale)}
