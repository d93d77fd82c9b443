"""`sweep data`, `sweep preset`, `sweep validate`, `sweep doctor`: before a sweep."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.options import (
    DEFAULT_STORAGE,
    AddressOption,
    DataOption,
    JsonOption,
    StorageOption,
    print_json,
    say,
    storage_folder,
)
from sweep.errors import ClusterError


def data(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Fetch MNIST, unless it is there, and check every file."""
    from data_utils.mnist import default_folder
    from sweep.cli.fetch import load_data

    mnist = load_data(data, create=True)
    folder = data or default_folder()
    if as_json:
        counts = {"train_images": len(mnist.train), "test_images": len(mnist.test)}
        print_json({"folder": str(folder), **counts})
    else:
        print(
            f"MNIST is complete in {folder}: {len(mnist.train):,} training images, "
            f"{len(mnist.test):,} test images"
        )


def preset(
    name: Annotated[str | None, typer.Argument(metavar="NAME", show_default=False)] = None,
) -> None:
    """List the presets, or print one, ready to be saved and changed."""
    from sweep.config.resolve import PRESETS, preset_text

    if name is not None:
        print(preset_text(name), end="")
        return
    for preset_name in PRESETS:
        first_line = preset_text(preset_name).splitlines()[0]
        print(f"{preset_name:8}  {first_line.lstrip('# ')}")


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE")], as_json: JsonOption = False
) -> None:
    """Check a config without running anything."""
    from sweep.cli.work import size
    from sweep.config.resolve import resolve_config

    config = resolve_config(path=file, notify=lambda note: say(f"note: {note}"))
    if as_json:
        print_json({"valid": True, "config": config.model_dump(mode="json")})
        return
    print(f"{file} is a valid config: {size(config)}")


def doctor(
    data: DataOption = None,
    storage: StorageOption = DEFAULT_STORAGE,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine, and the cluster at --address: what a sweep needs of them."""
    from sweep.cli.doctor import examine

    findings = []
    for finding in examine(storage_folder(storage), data, address):
        findings.append(finding)
        if not as_json:
            mark = "problem" if finding.is_problem else "ok"
            print(f"{mark:8}{finding.check:12}{finding.text}")
    problems = [finding.check for finding in findings if finding.is_problem]
    if as_json:
        print_json({"ok": not problems, "findings": [asdict(finding) for finding in findings]})
    if problems:
        raise ClusterError(f"a sweep cannot run: see {', '.join(problems)} above")
