"""Figures as medians with their spread, and ratios paired within a round, in Markdown and JSON."""

import math
import statistics


def median(values):
    values = [value for value in values if not math.isnan(value)]
    return statistics.median(values) if values else math.nan


def shown(values, digits=2):
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return "–"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def paired(ours, theirs):
    """Our figure over theirs, round by round; below 1 is better."""
    return [mine / other for mine, other in zip(ours, theirs) if other and not math.isnan(other) and not math.isnan(mine)]


def summary(results):
    """`results[row][peer]` is the list of a peer's figures, one dictionary a round; `results[row]['row']` the row itself."""
    rows = []
    for name, measured in results.items():
        row, peers = measured["row"], {peer: rounds for peer, rounds in measured.items() if peer != "row"}
        entry = {"row": name, "unit": row.unit, "rounds": max(map(len, peers.values())), "peers": {}, "ratios": {}}
        first = next(iter(peers))
        for peer, rounds in peers.items():
            entry["peers"][peer] = {
                key: [figures[key] for figures in rounds] if not isinstance(rounds[0][key], dict) else rounds[-1][key]
                for key in rounds[0]}
            if peer != first:
                entry["ratios"][peer] = paired(
                    [figures[row.figure] for figures in peers[first]], [figures[row.figure] for figures in rounds])
        entry["figure"] = row.figure
        rows.append(entry)
    return rows


def markdown(rows, about):
    """One table for each set of peers; figures are medians with the least and greatest behind them."""
    text = ["# Figures", "", about, ""]
    sets = {}
    for entry in rows:
        sets.setdefault(tuple(entry["peers"]), []).append(entry)
    for peers, entries in sets.items():
        heads = ["row", "unit", *peers, *[f"{peers[0]} / {other}" for other in peers[1:]]]
        text += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
        for entry in entries:
            cells = [entry["row"], entry["unit"]]
            cells += [shown(entry["peers"][peer][entry["figure"]]) for peer in peers]
            cells += [shown(entry["ratios"][other]) for other in peers[1:]]
            text.append("| " + " | ".join(cells) + " |")
        text += [""]
        text += extra(entries)
    return "\n".join(text)


OTHERS = [("user", "user time, µs/request"), ("rate", "per second"), ("p99", "99th percentile, ms"),
          ("grown", "memory grown, MB"), ("process", "memory of the whole with the connections open, MB"), ("allocations", "allocations/request")]


def extra(entries):
    """What was measured beside: a line for each row, peer by peer."""
    lines = []
    for entry in entries:
        for key, words in OTHERS:
            told = [f"{peer} {shown(figures[key])}" for peer, figures in entry["peers"].items() if key in figures]
            if told:
                lines.append(f"- {entry['row']}, {words}: " + ", ".join(told))
        for peer, figures in entry["peers"].items():
            if "calls" in figures:
                lines.append(f"- {entry['row']}, {peer}: " + ", ".join(f"{name} {count}" for name, count in figures["calls"].items()))
    return lines + [""] if lines else []
