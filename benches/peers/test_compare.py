"""python3 -m unittest discover benches/peers"""

import contextlib
import io
import unittest
from dataclasses import dataclass, field

import compare
from programs import Failed


@dataclass
class Scripted:
    """A program with scripted runs; a run that is `None` fails."""

    name: str
    path: str
    speeds: list
    ours: bool = False
    device: str = "cpu"
    calls: list = field(default_factory=list)

    def run(self, work):
        work.append(self.name)
        speed = self.speeds[len(self.calls)]
        self.calls.append(speed)
        if speed is None:
            raise Failed("out of memory")
        return {
            "program": self.name,
            "version": "1",
            "device": self.device,
            "train_images": 128,
            "images_per_second": speed,
            "evaluate_images_per_second": 2 * speed,
            "warm_up_seconds": 100 / speed,
            "test_accuracy": 0.5,
            "peak_bytes": None,
        }


def run(*chosen):
    """Runs one round per speed. Returns the outcome and the order of the runs."""
    order = []
    with contextlib.redirect_stderr(io.StringIO()):
        rounds, failed = compare.run_rounds(chosen, len(chosen[0].speeds), order)
    return rounds, failed, order


class Compare(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_ratios_within_rounds(self):
        ours = Scripted("ours", "cpu", [300, 200, 90], ours=True)
        peer = Scripted("peer", "cpu", [100, 200, 30])
        rounds, _, _ = run(ours, peer)
        [ratio] = compare.ratios([ours, peer], rounds)
        self.assertEqual(ratio["training"], 3)  # the ratio of the medians is 2
        self.assertEqual(ratio["warm_up"], 3)

    def test_every_second_round_runs_backwards(self):
        _, _, order = run(Scripted("a", "cpu", [1, 1]), Scripted("b", "cpu", [1, 1]))
        self.assertEqual(order, ["a", "b", "b", "a"])

    def test_a_program_that_failed_is_named_and_not_run_again(self):
        ours, peer = Scripted("ours", "cpu", [1, 1], ours=True), Scripted("peer", "cpu", [None, 1])
        rounds, failed, order = run(ours, peer)
        self.assertEqual(failed, {"peer": "out of memory"})
        self.assertEqual(order, ["ours", "peer", "ours"])
        self.assertEqual(compare.ratios([ours, peer], rounds), [])

    def test_paths_are_not_mixed_and_other_devices_are_marked(self):
        chosen = [
            Scripted("cpu", "cpu", [4], ours=True),
            Scripted("gpu", "gpu", [4], ours=True, device="A"),
            Scripted("same", "gpu", [1], device="A"),
            Scripted("other", "gpu", [2], device="B"),
        ]
        rounds, _, _ = run(*chosen)
        found = compare.ratios(chosen, rounds)
        found = [(r["peer"], r["training"], r["same_device"]) for r in found]
        self.assertEqual(found, [("same", 4, True), ("other", 2, False)])

    def test_the_first_round_is_the_cold_one(self):
        program = Scripted("ours", "cpu", [10, 100, 50])
        summary = compare.summary(program, run(program)[0]["ours"])
        self.assertEqual(summary["cold_warm_up_seconds"], 10)
        self.assertEqual(summary["warm_up_seconds"], 1.5)
        self.assertEqual(summary["images_per_second"], 50)


if __name__ == "__main__":
    unittest.main()
