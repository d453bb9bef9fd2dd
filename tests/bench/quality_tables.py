#!/usr/bin/env python3
"""Rows of the quality programs and of optuna_peers.py as Markdown tables.

    tests/bench/quality_tables.py schedulers|samplers ROWS.jsonl ... [--out tests/bench/results/schedulers]

With --out the tables go to OUT.md behind the text that stands there before the first table mark, and the rows, each on a
line and to five digits, to OUT.json.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path

MARK = "<!-- tables -->\n"
KIN = {  # our scheduler's name -> Optuna's pruner of the same kind, or the nearest
    "none": "NopPruner", "median": "MedianPruner", "percentile": "PercentilePruner", "patient": "PatientPruner",
    "threshold": "ThresholdPruner", "wilcoxon": "WilcoxonPruner", "early_exit": "PercentilePruner",
    "asha": "SuccessiveHalvingPruner", "asha_promotion": "SuccessiveHalvingPruner", "pasha": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner", "sync_hyperband": "HyperbandPruner",
}
SETTINGS = {
    "steps": "## Equal steps: eight trials side by side, the steps of 20 full-length runs",
    "trials": "## Equal trials: 100, eight side by side",
    "sequential": "## One trial after the other, 4000 steps",
    "populations": "## Populations",
}


def rounded(item):
    """JSON data with numbers to five digits."""
    if isinstance(item, float):
        return int(item) if item == int(item) else float(f"{item:.5g}")
    if isinstance(item, list):
        return [rounded(part) for part in item]
    return {key: rounded(part) for key, part in item.items()} if isinstance(item, dict) else item


def finite(values: list) -> list[float]:
    return [math.inf if value is None else value for value in values]


def text(value: float) -> str:
    return f"{value:.3g}"


def is_optuna(row: dict) -> bool:
    return row["program"].startswith("optuna")


def table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows) + "\n"


# ------------------------------------------------------------------------------------------------- schedulers


def won_lost(ours: list[float], theirs: list[float]) -> str:
    pairs = list(zip(ours, theirs))
    return f"{sum(a < b - 1e-12 for a, b in pairs)} : {sum(a > b + 1e-12 for a, b in pairs)}"


def scheduler_line(row: dict, peer: dict | None) -> list[str]:
    regret = finite(row["regret"])
    line = [row["function"], row["scheduler"], text(statistics.median(finite(row["half"]))),
            text(statistics.median(regret)), f"{statistics.mean(row['trials']):.0f}", f"{statistics.mean(row['steps']):.0f}"]
    if peer is None:
        return [*line, "", "", "", ""]
    theirs = finite(peer["regret"])
    worse = statistics.median(regret) > 1.0001 * statistics.median(theirs)
    more = statistics.mean(row["steps"]) > 1.0001 * statistics.mean(peer["steps"])
    verdict = "dominated" if worse and more else ""
    return [*line, text(statistics.median(theirs)), f"{statistics.mean(peer['steps']):.0f}", won_lost(regret, theirs), verdict]


def scheduler_tables(rows: list[dict]) -> str:
    result = ""
    for setting, title in SETTINGS.items():
        for sampler in sorted({row["sampler"] for row in rows if row["setting"] == setting}):
            here = [row for row in rows if row["setting"] == setting and row["sampler"] == sampler]
            peers = {(row["function"], row["scheduler"]): row for row in here if is_optuna(row)}
            lines = [scheduler_line(row, peers.get((row["function"], KIN.get(row["scheduler"].split(":")[0]))))
                     for row in here if not is_optuna(row)]
            result += f"{title}; sampler {sampler}\n\n" + table(
                ["function", "scheduler", "regret, half", "regret", "trials", "steps", "Optuna's regret", "its steps",
                 "won : lost", ""], lines)
    return result


# ------------------------------------------------------------------------------------------------- samplers


def medians(row: dict) -> dict[str, float]:
    if "median" in row:
        return row["median"]
    return {count: statistics.median(values) for count, values in row["regret"].items()}


def sampler_tables(rows: list[dict]) -> str:
    columns = ["20", "30", "50", "60", "100"]
    lines = []
    for function in dict.fromkeys(row["function"] for row in rows):
        for row in (r for r in rows if r["function"] == function):
            found = medians(row)
            name = ("Optuna " if is_optuna(row) else "") + row["sampler"]
            lines.append([function, name, str(row.get("seeds") or len(row["regret"]["20"])),
                          *(text(found[c]) if c in found else "" for c in columns),
                          text(1e3 * row["ask_seconds"]) if "ask_seconds" in row else ""])
    head = ["function", "sampler", "seeds", *columns, "ms an ask"]
    return ratios(rows) + "## Median regret after so many trials\n\n" + table(head, lines)


def ratios(rows: list[dict]) -> str:
    """Geometric means over functions of our median over that of Optuna's sampler, where both have the column; for gp
    without jenatton, a conditional space, where Optuna's is random search."""
    pairs = [("tpe", "tpe"), ("tpe", "tpe-mv"), ("tpe:mode=optuna4", "tpe"), ("gp", "gp"), ("cmaes", "cmaes"),
             ("sobol", "sobol"), ("random", "random")]
    lines = []
    for ours, theirs in pairs:
        mine = {row["function"]: medians(row) for row in rows if not is_optuna(row) and row["sampler"] == ours}
        other = {row["function"]: medians(row) for row in rows if is_optuna(row) and row["sampler"] == theirs}
        functions = [f for f in mine if f in other]
        cells = []
        every: list[float] = []
        if ours == "gp":
            functions = [f for f in functions if f != "jenatton"]  # Optuna's has no conditional parameters
        for count in ("30", "50", "60", "100"):
            logs = [math.log(mine[f][count] / other[f][count]) for f in functions if count in mine[f] and count in other[f]]
            every += logs
            cells.append(f"{math.exp(statistics.mean(logs)):.2f} ({len(logs)})" if logs else "")
        if every:
            lines.append([ours, "Optuna " + theirs, *cells, f"{math.exp(statistics.mean(every)):.2f}"])
    return ("## Ratio to Optuna's sampler, geometric mean over functions (how many)\n\n"
            "For gp without jenatton, a conditional space, where Optuna's is random search.\n\n" +
            table(["sampler", "beside", "30 trials", "50", "60", "100", "all"], lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("schedulers", "samplers"))
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = [rounded(json.loads(line)) for path in args.rows for line in path.read_text().splitlines()]
    tables = scheduler_tables(rows) if args.kind == "schedulers" else sampler_tables(rows)
    if args.out is None:
        print(tables, end="")
        return
    page = args.out.with_suffix(".md")
    before = page.read_text().split(MARK)[0] if page.exists() else ""
    page.write_text(before + MARK + "\n" + tables.rstrip("\n") + "\n")
    args.out.with_suffix(".json").write_text("[\n" + ",\n".join(json.dumps(row, separators=(',', ':')) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
