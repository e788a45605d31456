"""Draws the times of matrix products, encrypted and in clear, over their size.

    python plot.py target/bench/summary.json target/bench/matrix-products.svg

Points that others published are drawn hollow: other machines, one thread.
"""

import collections
import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

KINDS = {"plain_enc": "plain x encrypted", "enc_enc": "encrypted x encrypted"}
COLOURS = {"plain_enc": "#1f77b4", "enc_enc": "#d62728"}
LINES = ("-", "--", "-.", ":")
PLAIN = "NumPy "
# (size, seconds, plain product there in seconds, by whom), one thread; closed source.
PUBLISHED = {
    "plain_enc": [(4096, 17.1, 1.47, "Bae et al., CRYPTO 2024")],
    "enc_enc": [(4096, 85.0, None, "Park, EUROCRYPT 2025 (about)")],
}
BAND = (4, 12, 'arXiv 2503.16080: "4-12 times"')
GOALS = {"plain_enc": {2048: 8, 4096: 8}, "enc_enc": {2048: 20, 4096: 16}}


def series(rows):
    """{(kind, threads): {size: (ours, plain)}} in seconds, and {threads: {size: plain}} of all plain products."""
    encrypted, plain = collections.defaultdict(dict), collections.defaultdict(dict)
    for row in rows:
        parts = row["name"].split("/")
        if not row["peer"].startswith(PLAIN) or row["peer_ms"] is None or not parts[-1].isdigit():
            continue
        threads, size = row["threads"], int(parts[-1])
        plain[threads].setdefault(size, row["peer_ms"] * 1e-3)
        if parts[0] == "linalg" and parts[1] in KINDS and row["ours_ms"] is not None:
            encrypted[parts[1], threads][size] = (row["ours_ms"] * 1e-3, row["peer_ms"] * 1e-3)
    return encrypted, plain


def threads_of(number):
    return f"{number} thread" if number == 1 else f"{number} threads"


def draw(rows, path):
    encrypted, plain = series(rows)
    if not encrypted:
        return False
    style = {number: LINES[i % len(LINES)] for i, number in enumerate(sorted(plain))}
    figure, (time, ratio) = plt.subplots(1, 2, figsize=(11, 4.8))
    for threads, times in sorted(plain.items()):
        sizes = sorted(times)
        label = f"in clear (NumPy), {threads_of(threads)}"
        time.plot(sizes, [times[d] for d in sizes], style[threads], color="#7f7f7f", marker=".", label=label)
    for (kind, threads), times in sorted(
        encrypted.items(), key=lambda entry: (entry[0][0] != "plain_enc", entry[0][1])
    ):
        sizes = sorted(times)
        drawn = {"color": COLOURS[kind], "marker": ".", "label": f"{KINDS[kind]}, {threads_of(threads)}"}
        time.plot(sizes, [times[d][0] for d in sizes], style[threads], **drawn)
        ratio.plot(sizes, [times[d][0] / times[d][1] for d in sizes], style[threads], **drawn)
    for kind, points in PUBLISHED.items():
        hollow = {"marker": "D", "mfc": "none", "color": COLOURS[kind], "linestyle": "none"}
        for size, seconds, there, who in points:
            label = f"published, other machine: {who}"
            time.plot([size], [seconds], label=f"{label}, {seconds:g} s", **hollow)
            if there is not None:
                ratio.plot([size], [seconds / there], label=f"{label}, {seconds / there:.1f} times", **hollow)
        goals = GOALS[kind]
        ratio.plot(
            list(goals), list(goals.values()), "_", color=COLOURS[kind], ms=14, mew=2, label=f"goal, {KINDS[kind]}"
        )
    low, high, who = BAND
    ratio.axhspan(low, high, color="#7f7f7f", alpha=0.15, label=f"published, other machine: {who}")
    time.set(title="Time", ylabel="seconds")
    ratio.set(title="Beside the plain product of the same run and threads", ylabel="times as long")
    for axes in (time, ratio):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("rows and columns")
        axes.grid(True, which="major", alpha=0.3)
        axes.legend(fontsize=7)
        axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda d, _: f"{d:g}"))
        axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda y, _: f"{y:g}"))
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    return True


def main():
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "cipherblas"
    summary, path = sys.argv[1:3]
    with open(summary, encoding="utf-8") as file:
        rows = json.load(file)
    if not draw(rows, path):
        sys.exit("no products of encrypted matrices in this run")


if __name__ == "__main__":
    main()
