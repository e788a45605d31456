"""The rows of encrypted linear algebra as tables for docs/performance.md.

python tables.py target/bench/summary.json                              prints them
python tables.py target/bench/summary.json --into docs/performance.md   puts them in their place there
"""

import collections
import contextlib
import io
import json
import sys

PLAIN = "NumPy "
BEGIN, END = "<!-- matrix tables -->\n", "<!-- end of matrix tables -->\n"


def significant(value, digits=3):
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text and abs(value) >= 1 else text


def size(count):
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count is not None and count >= scale:
            return f"{significant(count / scale)} {unit}"
    return "-" if count is None else f"{count} B"


def verdict(row):
    note = row["note"]
    return note.split(";")[0].removeprefix("goal ") if note.startswith("goal ") else "-"


def grouped(rows, wanted):
    """{(name, threads): rows}, in the order of the run."""
    groups = collections.OrderedDict()
    for row in rows:
        if wanted(row["name"]):
            groups.setdefault((row["name"], row["threads"]), []).append(row)
    return groups


def products(rows):
    """Encrypted products beside plain ones."""
    kinds = ("linalg/plain_enc/", "linalg/enc_enc/", "linalg/bfv_", "linalg/gram/")
    print(
        "| product | threads | ours (ms) | 10^9 multiply-adds/s | NumPy in clear (ms) | times NumPy's | goal "
        "| encrypt, decrypt (ms) | ciphertexts |"
    )
    print("|---|---:|---:|---:|---:|---:|---|---:|---:|")
    for (name, threads), group in grouped(rows, lambda name: name.startswith(kinds)).items():
        row = next((row for row in group if row["peer"].startswith(PLAIN)), group[0])
        times = 1 / row["ratio"] if row["ratio"] else None
        speed = row["macs_per_s"] and row["macs_per_s"] / 1e9
        apart = f"{significant(row['encrypt_ms'])}, {significant(row['decrypt_ms'])}"
        cells = [f"`{name}`", threads, significant(row["ours_ms"]), significant(speed), significant(row["peer_ms"])]
        cells += [significant(times), verdict(row), apart, size(row["bytes"])]
        print("|", " | ".join(str(cell) for cell in cells), "|")


def beside_peers(rows):
    """Everything else of linear algebra, a line for each peer."""
    kinds = ("linalg/vec", "linalg/enc16", "linalg/enc64", "ckks/dot", "math/gemm/")
    print("| operation | threads | ours (ms) | peer | peer (ms) | ratio | goal (ms) |")
    print("|---|---:|---:|---|---:|---:|---|")
    for (name, threads), group in grouped(rows, lambda name: name.startswith(kinds)).items():
        for row in group:
            goal = f"{row['goal_ms']:g}, {verdict(row)}" if row["goal_ms"] else "-"
            cells = [f"`{name}`", threads, significant(row["ours_ms"]), row["peer"], significant(row["peer_ms"])]
            cells += [significant(row["ratio"]), goal]
            print("|", " | ".join(str(cell) for cell in cells), "|")


def tables(rows):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        products(rows)
        print()
        beside_peers(rows)
    return text.getvalue()


def put(path, text):
    """Replaces what is between the marks of a document."""
    with open(path, encoding="utf-8") as file:
        document = file.read()
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        sys.exit(f"{path}: expected {BEGIN.strip()} and {END.strip()}, once each")
    before, rest = document.split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}{text}{END}{after}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = tables(json.load(file))
    if sys.argv[2:3] == ["--into"] and len(sys.argv) == 4:
        put(sys.argv[3], text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
