"""`sweep data`, `preset`, `validate`, `schema`, `doctor`: before a sweep."""

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.formatting import count, percent
from analysis.records.dataset import MNIST
from data_utils.registry import is_path
from sweep.api.storage import DEFAULT_STORAGE, storage_folder
from sweep.cli import options
from sweep.errors import EXIT_CODES, ClusterError, NetworkError, UsageError
from sweep.screen.output import print_json, say

if TYPE_CHECKING:
    from data_utils.dataset import ImageDataset


def data(
    dataset: options.DatasetOption = None,
    data: options.DataOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Download and verify a dataset, or check your own images."""
    from data_utils.mnist import default_folder
    from sweep.screen.display import load_data

    name = _resolved(dataset)
    found = load_data(name, data, create=True)
    folder = name if is_path(name) else str(data or default_folder(name))
    n_train, n_test = len(found.train), len(found.test)
    if as_json:
        shape = {"classes": found.spec.classes, "image_shape": found.spec.shape}
        counts = {"train_images": n_train, "test_images": n_test}
        per_class = {"train_images_per_class": _count_labels(found.train)}
        print_json({"dataset": name, "folder": folder, **counts, **per_class, **shape})
        return
    own = f" ({found.n_own_validation:,} for validation)" if found.n_own_validation else ""
    counted = f"{count(n_train, 'training image')}{own}, {count(n_test, 'test image')}"
    title = "MNIST is complete" if name == "mnist" else f"{name} is complete"
    about = title if is_path(name) else f"{title} in {folder}"
    say(f"{about}: {counted}", sys.stdout)
    spec = found.spec
    size = f"{'gray' if spec.channels == 1 else 'color'}, {spec.side}×{spec.side} pixels"
    say(f"{size}, {len(spec.classes)} classes: {', '.join(spec.classes)}"[:2000], sys.stdout)
    n_by_class = _count_labels(found.train)
    least, most = (pick(n_by_class, key=n_by_class.__getitem__) for pick in (min, max))
    each = f"{n_by_class[least]:,} ({least}) to {n_by_class[most]:,} ({most})"
    if n_by_class[least] == n_by_class[most]:
        each = f"{n_by_class[most]:,}"
    share = percent(max(_count_labels(found.test).values()) / n_test, 1)
    say(
        f"{each} training images per class; the most frequent class is {share} of the test images",
        sys.stdout,
    )


def _count_labels(images: "ImageDataset") -> dict[str, int]:
    """Return the number of images of each class."""
    counts = Counter(images.labels.tolist())
    return {name: counts[label] for label, name in enumerate(images.spec.classes)}


def _resolved(dataset: str | None) -> str:
    """Return the dataset that a config would have, by default MNIST."""
    from sweep.config.resolve import resolve_config

    return "mnist" if dataset is None else resolve_config(dataset=dataset).dataset


def preset(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The preset to print. [default: list all]")
    ] = None,
) -> None:
    """List the presets, or print one as a template for your config."""
    from sweep.config.resolve import PRESETS, preset_text

    if name is not None:
        print(preset_text(name), end="")
        return
    for preset_name in PRESETS:
        words = preset_text(preset_name).replace("\n#", " ").lstrip("# ").split()
        print(f"{preset_name:8}  {' '.join(words).partition('. ')[0]}.")


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The config file, in YAML.")],
    preset: options.PresetOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Check a config, and say what is searched, fixed and off."""
    from sweep.config.resolve import resolve_config
    from sweep.networks import check_network, spec_of
    from sweep.screen.plan import describe_size, print_space

    try:
        config = resolve_config(preset=preset, path=file, notify=lambda note: say(f"note: {note}"))
        if not is_path(config.dataset):  # a dataset with a name has the shape of MNIST
            check_network(config, spec_of(MNIST))
    except (UsageError, NetworkError) as error:
        if not as_json:
            raise
        print_json({"valid": False, "problems": str(error).splitlines()})
        raise typer.Exit(EXIT_CODES[UsageError]) from None
    if as_json:
        shown = {"searched": list(config.space), "off": config.off()}
        print_json({"valid": True, **shown, "config": config.model_dump(mode="json")})
        return
    say(f"{file} is a valid config: {describe_size(config)}", sys.stdout)
    print_space(config, sys.stdout)


def schema() -> None:
    """Print the JSON Schema of a config file, for editors.

    An editor with YAML's language server then completes and checks a config whose first line is
    `# yaml-language-server: $schema=sweep.schema.json`.
    """
    from sweep.config.schema import config_schema

    print_json(config_schema())


def doctor(
    dataset: options.DatasetOption = None,
    data: options.DataOption = None,
    storage: options.StorageOption = DEFAULT_STORAGE,
    address: options.AddressOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Check that this machine or cluster can run a sweep."""
    from sweep.cli.doctor import examine

    findings = []
    for finding in examine(storage_folder(storage), data, address, _resolved(dataset)):
        findings.append(finding)
        if not as_json:
            mark = "problem" if finding.is_problem else "ok"
            say(f"{mark:8}{finding.check:12}{finding.text}", sys.stdout)
    problems = [finding.check for finding in findings if finding.is_problem]
    if as_json:
        print_json({"ok": not problems, "findings": [asdict(finding) for finding in findings]})
    if problems:
        raise ClusterError(f"a sweep cannot run: see {', '.join(problems)} above")
