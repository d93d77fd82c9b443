"""Measures this project and what a user would otherwise write.

    python tests/benchmarks [NAME …] [--rounds N] [--out DIR]

Writes `benchmarks.md`, `benchmarks.json` and `benchmarks.png` in about an hour; `search` takes a
few more. Nothing else should run meanwhile. Ends with exit code 1 if a target is missed.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

import carry
import ledgers
import overhead
import picture
import recipes
import search
import startup
import step
import sweeps
from analysis.formatting import duration
from results import Section
from sweep.environment import commit, machine, versions

BENCHMARKS = {
    "step": step.measure,
    "sweep": sweeps.measure,
    "overhead": overhead.measure,
    "carry": carry.measure,
    "analysis": ledgers.measure,
    "startup": startup.measure,
    "recipe": recipes.measure,
    "search": search.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"NAME must be of {', '.join(BENCHMARKS)}, but got {', '.join(unknown)}")
    if given.rounds < 1:
        parser.error(f"`--rounds` must be at least 1, but got {given.rounds}")
    begin = time.monotonic()
    sections: dict[str, Section] = {}
    for name in given.names or BENCHMARKS:
        print(f"{name} …", flush=True)
        sections[name] = BENCHMARKS[name](given.rounds)
        print(sections[name].to_markdown(), flush=True)
        write(sections, given.out)
    print(f"{given.out}, after {duration(time.monotonic() - begin)}")
    missed = [t for section in sections.values() for t in section.targets if not t.is_met]
    if missed:
        sys.exit("\n".join(map(str, missed)))


def write(sections: dict[str, Section], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    about = describe_machine()
    text = "\n".join(section.to_markdown() for section in sections.values())
    (folder / "benchmarks.md").write_text(f"{about}\n\n{text}")
    document = {
        "machine": {key: value for key, value in machine().items() if key != "host"},
        "versions": versions(),
        "commit": commit(),
        "benchmarks": {name: section.to_json() for name, section in sections.items()},
    }
    (folder / "benchmarks.json").write_text(json.dumps(document, indent=2) + "\n")
    if {"step", "sweep"} <= set(sections):
        picture.draw(sections, about, folder / "benchmarks.png")


def describe_machine() -> str:
    known, found = machine(), versions()
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"{known['processor']}, {known['processors']} cores, {capability}, "
        f"{int(known['memory_bytes']) / 2**30:.0f} GiB; "
        f"torch {found['torch']}, ray {found['ray']}, optuna {found['optuna']}"
    )


if __name__ == "__main__":
    main()
