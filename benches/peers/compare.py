#!/usr/bin/env python3
"""Runs cnn-gpu and all other installed programs on the same task, in turn, and prints the ratios.

    cargo build --release
    python3 benches/peers/compare.py

The task is to train mnist-cnn on MNIST with Adam, or another network (--network). README.md in this folder describes how to install
the programs and the limits of the comparison. This script needs only Python's standard library.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
from statistics import median

import programs
from networks import NETWORKS, write_random
from programs import Failed, Work

TEST_IMAGES = 10_000
FIGURES = ["images_per_second", "evaluate_images_per_second", "warm_up_seconds", "test_accuracy", "peak_bytes"]


def main():
    args = arguments()
    found, missing = programs.find_all(args.program, args.python, args.network)
    chosen = [p for p in found if any(word in p.name for word in args.only or [""])]
    if not found:
        sys.exit(f"error: no program can be run. {listed(missing)}")
    if not chosen:
        sys.exit(f"error: --only matches none of: {', '.join(program.name for program in found)}")
    with tempfile.TemporaryDirectory(prefix="cnn-gpu-peers-") as folder:
        work = Work(
            data_dir=args.data_dir,
            network=args.network,
            epochs=args.epochs,
            batch_size=args.batch_size,
            limit=args.limit,
            slow_limit=min(args.slow_limit, args.limit),
            timeout=args.timeout,
            folder=pathlib.Path(folder),
        )
        find_data(work, found)
        rounds, failed = run_rounds(chosen, args.rounds, work)
    if not any(rounds.values()):
        sys.exit(f"error: every program failed. {listed(failed)}")
    report = {
        "network": args.network,
        "batch_size": args.batch_size,
        "epochs": args.epochs,
        "rounds": args.rounds,
        "programs": [summary(p, rounds[p.name]) for p in chosen if rounds[p.name]],
        "ratios": ratios(chosen, rounds),
        "failed": failed,
        "missing": missing,
    }
    print(json.dumps(report) if args.format == "json" else text(report))


def arguments():
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="The programs and their installation: benches/peers/README.md"
    )
    add = parser.add_argument
    add("--network", choices=NETWORKS, default="mnist-cnn", help="what to train [%(default)s]")
    add("--rounds", type=positive, default=3, help="runs of each program [%(default)s]")
    add("--epochs", type=positive, default=2, help="epochs per run; the last one is measured [%(default)s]")
    add("--batch-size", type=positive, default=64, help="images per step [%(default)s]")
    add("--limit", type=positive, default=60_000, help="training images [%(default)s]")
    add(
        "--slow-limit",
        type=positive,
        default=2_560,
        help="training images of burn, and of cnn-gpu on a software adapter [%(default)s]",
    )
    add("--data-dir", type=folder, default=os.environ.get("CNN_GPU_DATA_DIR"))
    add("--only", action="append", metavar="WORD", help="run only programs with this word in their name; repeatable")
    add("--program", metavar="PATH", help="cnn-gpu [target/release/cnn-gpu, or the one on PATH]")
    add("--python", metavar="PATH", help="Python interpreter of Keras, PyTorch and ONNX Runtime [this one]")
    add("--timeout", type=positive, default=900, help="seconds allowed per run [%(default)s]")
    add("--format", choices=["text", "json"], default="text")
    return parser.parse_args()


def positive(text):
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return number


def folder(text):
    """An absolute path of a folder, because the programs run in another one."""
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return os.path.abspath(text)


def listed(reasons):
    """Names with their reasons, on one line."""
    return "; ".join(f"{name}: {why}" for name, why in reasons.items())


def find_data(work, found):
    """Asks cnn-gpu for MNIST's folder if none was given, or draws random images."""
    if not work.is_mnist():
        work.data_dir = str(work.folder / "random.npz")
        shape = NETWORKS[work.network].input_shape
        return write_random(work.data_dir, shape, work.limit, min(work.limit, TEST_IMAGES))
    if work.data_dir is None:
        if not (found and found[0].ours):
            sys.exit("error: no data: give --data-dir DIR or set CNN_GPU_DATA_DIR")
        try:
            work.data_dir = programs.mnist_folder(found[0], work)
        except Failed as error:
            sys.exit(str(error))


def run_rounds(chosen, count, work):
    """Runs every program once per round, in reverse order in every other round, until it fails."""
    rounds, failed = {p.name: {} for p in chosen}, {}
    for round in range(count):
        for program in chosen if round % 2 == 0 else reversed(chosen):
            if program.name in failed:
                continue
            try:
                result = program.run(work)
            except Failed as error:
                failed[program.name] = str(error)
                say(f"round {round + 1}/{count}  {program.name}: failed: {error}")
                continue
            rounds[program.name][round] = result
            kind = "" if result["images_per_second"] else "evaluate_"
            speed = result[f"{kind}images_per_second"]
            say(f"round {round + 1}/{count}  {program.name}: {speed:,.0f} images/s")
    return rounds, failed


def say(line):
    """Prints progress to standard error."""
    print(line, file=sys.stderr, flush=True)


def summary(program, runs):
    """A program's medians. Caches are cold in the first round and warm in the others."""
    first, *later = runs.values()
    same = {key: first[key] for key in ("program", "version", "device", "train_images")}
    return {
        **same,
        **{key: middle(run[key] for run in runs.values()) for key in FIGURES},
        "warm_up_seconds": median(run["warm_up_seconds"] for run in later) if later else None,
        "cold_warm_up_seconds": first["warm_up_seconds"],
        "path": program.path,
    }


def middle(values):
    """The median of the values that there are; `None` if there are none."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def ratios(chosen, rounds):
    """The ratios of cnn-gpu to each program on the same path: medians of the ratios within a round."""
    pairs = [
        (ours, peer)
        for ours in chosen
        for peer in chosen
        if ours.ours and not peer.ours and ours.path == peer.path
    ]
    return [found for ours, peer in pairs if (found := ratio(ours, peer, rounds))]


def ratio(ours, peer, rounds):
    """The ratios of a pair, above 1 if cnn-gpu is faster; `None` if they share no round."""
    both = [(run, rounds[peer.name].get(i)) for i, run in rounds[ours.name].items()]
    both = [(run, other) for run, other in both if other]
    if not both:
        return None
    run, other = both[0]
    return {
        "cnn_gpu": ours.name,
        "peer": peer.name,
        "training": middle(
            a["images_per_second"] / b["images_per_second"]
            for a, b in both
            if b["images_per_second"]
        ),
        "evaluation": median(
            a["evaluate_images_per_second"] / b["evaluate_images_per_second"] for a, b in both
        ),
        "warm_up": median(b["warm_up_seconds"] / a["warm_up_seconds"] for a, b in both),
        # A ratio between two adapters compares the adapters too.
        "same_device": ours.path == "cpu" or run["device"] == other["device"],
    }


def text(report):
    """The report as text."""
    lines = [
        f"{report['network']}, batch {report['batch_size']}, {report['epochs']} epochs, of which the last is measured;"
        f" medians of {report['rounds']} rounds",
        "",
        *table(
            ["program", "images", "images/s", "evaluation/s", "first step cold", "warm", "memory", "device"],
            [program_row(program) for program in report["programs"]],
        ),
    ]
    if report["ratios"]:
        lines += ["", "cnn-gpu compared with other programs (above 1: cnn-gpu is faster)", ""]
        header = ["cnn-gpu", "other", "training", "evaluation", "first step", ""]
        lines += table(header, [ratio_row(ratio) for ratio in report["ratios"]])
    lines += [""] * bool(report["failed"] or report["missing"])
    lines += [f"failed: {name}: {why}" for name, why in report["failed"].items()]
    lines += [f"not installed: {name}: {why}" for name, why in report["missing"].items()]
    return "\n".join(lines)


def program_row(program):
    """A line of the first table."""
    warm = program["warm_up_seconds"]
    return [
        f"{program['program']} {program['version']}",
        f"{program['train_images']:,}",
        dash(program["images_per_second"], ",.0f"),
        f"{program['evaluate_images_per_second']:,.0f}",
        f"{program['cold_warm_up_seconds']:.1f} s",
        "-" if warm is None else f"{warm:.1f} s",
        megabytes(program["peak_bytes"]),
        program["device"],
    ]


def ratio_row(ratio):
    """A line of the second table."""
    figures = [dash(ratio[key], ".2f") for key in ("training", "evaluation", "warm_up")]
    note = "" if ratio["same_device"] else "on different devices"
    return [ratio["cnn_gpu"], ratio["peer"], *figures, note]


def megabytes(count):
    """Bytes in MB, or a dash if the number is unknown."""
    return "-" if count is None else f"{count / 1e6:,.0f} MB"


def dash(value, form):
    """A formatted number, or a dash if there is none."""
    return "-" if value is None else format(value, form)


def table(header, rows):
    """Columns as wide as their widest cell; numbers to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row):
        cells = [
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, right)
        ]
        return "  ".join(cells).rstrip()

    right = [all(row[i][:1].isdigit() or row[i] == "-" for row in rows) for i in range(len(header))]
    return [line(header), *map(line, rows)]


if __name__ == "__main__":
    main()
