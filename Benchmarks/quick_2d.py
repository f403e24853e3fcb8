"""The preset quick-2d on real scans: strategies side by side, equal steps, several seeds, Dice on people who taught nothing.

    LEARN2SYNTH_DATA=... python Benchmarks/quick_2d.py --runs FOLDER [--strategies randomised learn2synth] [--seeds 0 1 2]

Trains every missing run into FOLDER by the command line (stopped runs are resumed), then collects all runs in FOLDER into
Benchmarks/results/quick_2d.json and prints the table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

from Learn2SynthLib.__main__ import main as learn2synth
from Learn2SynthLib.run import Run

DATA = Path(os.environ.get("LEARN2SYNTH_DATA", HERE.parents[2] / "shared" / "data"))
RESULTS = HERE.parent / "results" / "quick_2d.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--strategies", nargs="*", default=["randomised", "learn2synth"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    for seed in options.seeds:
        for strategy in options.strategies:
            train(options.runs / f"{strategy}_{seed}", strategy, seed)
    records = [record for folder in sorted(options.runs.iterdir()) if (record := collect(Run(folder)))]
    options.output.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    print(table(records))


def train(folder: Path, strategy: str, seed: int) -> None:
    if Run(folder).status() == "finished":
        return
    people = DATA / "malf_t1_manual"
    scans = ["--real", str(people / "train"), "--validation", str(people / "val"), "--real-ids", "neuromorphometrics"]
    data = ["--labels", str(DATA / "synthseg_label_maps"), *scans]
    code = learn2synth(["train", str(folder), *data, "--strategy", strategy, "--preset", "quick-2d", "--seed", str(seed)])
    if code:
        sys.exit(code)


def collect(run: Run) -> dict | None:
    """What a finished run tells: the Dice of its last step (not of its best, which would be chosen on the same scans)."""
    if not run.exists() or run.status() != "finished":
        return None
    config, events = run.config(), run.events()
    validated = [event for event in events if event["event"] == "validated"]
    last = next(event for event in reversed(validated) if event["step"] == config["steps"])
    return {
        "strategy": config["strategy"],
        "seed": config["seed"],
        "steps": config["steps"],
        "settings": config[config["strategy"]],
        "dice": last["dice"],
        "scans": last["scans"],
        "curve": {event["step"]: event["dice"]["mean"] for event in validated},
        "seconds": events[-1].get("seconds"),
    }


def table(records: list[dict]) -> str:
    lines = [f"{'strategy':<14}{'steps':>6}  {'seeds':<8}{'mean Dice':>10}{'spread':>8}   each"]
    for strategy, steps in sorted({(r["strategy"], r["steps"]) for r in records}):
        chosen = [r for r in records if (r["strategy"], r["steps"]) == (strategy, steps)]
        scores = [r["dice"]["mean"] for r in chosen]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        seeds = ",".join(str(r["seed"]) for r in chosen)
        lines.append(f"{strategy:<14}{steps:>6}  {seeds:<8}{statistics.mean(scores):>10.3f}{spread:>8.3f}   {', '.join(f'{s:.3f}' for s in scores)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
