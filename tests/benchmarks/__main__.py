"""Measures this project beside what a user would otherwise write.

    python tests/benchmarks [NAME …] [--rounds N] [--out DIR]

Writes `benchmarks.md`, `benchmarks.json` and `benchmarks.png`. Nothing else should run meanwhile.
"""

import argparse
import json
import time
from pathlib import Path

import torch

import ledgers
import overhead
import picture
import startup
import step
import sweeps
from results import Section
from sweep.environment import commit, machine, versions

BENCHMARKS = {
    "step": step.measure,
    "sweep": sweeps.measure,
    "overhead": overhead.measure,
    "analysis": ledgers.measure,
    "startup": startup.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--rounds", type=int, default=3, help="at least 3 (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"NAME must be of {', '.join(BENCHMARKS)}, but got {', '.join(unknown)}")
    sections: dict[str, Section] = {}
    begin = time.monotonic()
    for name in given.names or BENCHMARKS:
        print(f"{name} …", flush=True)
        sections[name] = BENCHMARKS[name](given.rounds)
        print(sections[name].to_markdown(), flush=True)
    about = describe_machine()
    given.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(section.to_markdown() for section in sections.values())
    (given.out / "benchmarks.md").write_text(f"{about}\n\n{text}")
    figures = {name: section.to_json() for name, section in sections.items()}
    where = {key: value for key, value in machine().items() if key != "host"}
    document = {
        "machine": where,
        "versions": versions(),
        "commit": commit(),
        "benchmarks": figures,
    }
    (given.out / "benchmarks.json").write_text(json.dumps(document, indent=2) + "\n")
    if {"step", "sweep"} <= set(sections):
        picture.draw(sections, about, given.out / "benchmarks.png")
    print(f"{given.out}, after {(time.monotonic() - begin) / 60:.0f} minutes")


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
