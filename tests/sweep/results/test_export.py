import dataclasses
import errno
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from analysis.errors import StorageError
from analysis.records.ledger import read_ledger
from analysis.storage.folder import Folder
from data_utils.dataset import DatasetSpec
from data_utils.images import read_digit
from models import MODELS, build_model, own
from sweep.errors import UsageError, describe_failure
from sweep.results.best import best_document
from sweep.results.best_model import BestModel, load_best_model
from sweep.results.export import FILES, write_export
from sweep.results.standalone import program_file


def load(folder: Folder) -> tuple[BestModel, dict[str, Any]]:
    ledger = read_ledger(folder)
    return load_best_model(folder, ledger, ledger.trials[1]), best_document(folder, ledger)


def export(folder: Folder, out: Path) -> dict[str, object]:
    _, metrics = write_export(*load(folder), out)
    assert metrics == json.loads((out / "metrics.json").read_text())
    return metrics


def test_export_has_the_trained_weights_and_their_metrics(make_trained, tiny_runs, tmp_path):
    out = tmp_path / "deep" / "out"
    metrics = export(make_trained(), out)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    weights = torch.load(out / "model.pt", weights_only=True)
    assert type(weights) is dict
    for name, tensor in tiny_runs[0].model.state_dict().items():
        assert torch.equal(weights.pop(name), tensor)
    assert not weights
    hyperparameters = json.loads((out / "hyperparameters.json").read_text())
    assert hyperparameters == dict(tiny_runs[0].hyperparameters)
    accuracy = tiny_runs[0].history[-1].val_accuracy
    description = (
        "the weights of the search, seed 7, trained without the validation images: "
        f"validation accuracy {100 * accuracy:.2f} % after the last epoch"
    )
    assert metrics == {
        "written_by": "sweep export",
        "sweep": "trained",
        "trial_id": 1,
        "model": "lenet5",
        "val_accuracy": pytest.approx(accuracy),
        "selection": "highest validation accuracy of the last epoch, among trials that ran all "
        "their epochs",
        "epochs": 2,
        "weights": {
            "origin": "search",
            "description": description,
            "seed": 7,
            "val_accuracy": accuracy,
        },
    }


def test_export_of_a_confirmed_sweep_replaces_an_earlier_one(make_trained, tiny_runs, tmp_path):
    export(make_trained(), tmp_path / "out")
    first, second = tiny_runs[1:]
    metrics = export(make_trained(1, 2), tmp_path / "out")
    accuracies = [run.history[-1].val_accuracy for run in (first, second)]
    assert metrics["confirmed"]["test_accuracy_mean"] == pytest.approx(sum(accuracies) / 2)
    assert metrics["confirmed"]["n_seeds"] == 2
    assert metrics["weights"]["origin"] == "confirmation"
    assert metrics["weights"]["test_accuracy"] == accuracies[0]
    weights = torch.load(tmp_path / "out" / "model.pt", weights_only=True)
    assert torch.equal(weights["c1.weight"], first.model.state_dict()["c1.weight"])


ALONE = """
import json, runpy, sys
sys.path[:0] = [".", *json.loads(sys.argv.pop(1))]
for name in ("models", "data_utils", "analysis", "sweep", "ray", "optuna", "torchvision"):
    sys.modules[name] = None  # importing it fails
for arguments in (["digit.png", "missing.png", "more", "classes"], ["empty"], ["--help"]):
    sys.argv = ["predict.py", *arguments]
    try:
        runpy.run_path("predict.py", run_name="__main__")
    except SystemExit as end:
        print(end.code)
exec(open("README.md").read().split("```python\\n")[1].split("```")[0])
"""


def test_export_works_without_the_project(make_trained, clean_environment, tmp_path):
    folder, out = make_trained(1), tmp_path / "out"
    export(folder, out)
    image = Image.new("L", (40, 40))
    ImageDraw.Draw(image).line((20, 5, 15, 35), fill=255, width=4)
    image.save(out / "digit.png")
    for name in ("more", "empty", "classes", "classes/7"):
        (out / name).mkdir()
        (out / name / "notes.txt").write_text("")
    image.save(out / "classes" / "7" / "c.png")
    for name in ("b.png", "a.png"):
        image.save(out / "more" / name)
    installed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, json.dumps(installed)],
        cwd=out,
        env=clean_environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    best, _ = load(folder)
    drawn, blank = best.predict([read_digit(out / "digit.png"), np.zeros((28, 28), np.uint8)])
    digit, nothing = np.argmax(drawn), np.argmax(blank)
    assert max(drawn) < 0.9
    shown = f"{digit}  {100 * max(drawn):.2f} %   low confidence"
    *lines, code, no_images, usage = ran.stdout.splitlines()[:7]
    files = ("digit.png", "more/a.png", "more/b.png", "classes/7/c.png")
    assert lines == [f"{file}  {shown}" for file in files]
    assert (code, no_images, usage) == ("2", "2", "usage: predict.py [-h] IMAGE [IMAGE ...]")
    assert ran.stdout.splitlines()[-2:] == ["0", f"tensor([{nothing}])"]
    missing, *_, empty = ran.stderr.splitlines()
    assert missing == "missing.png does not exist"
    assert empty == "predict.py: error: the folder has no images; use PNG or JPEG files"


def test_exported_program_ends_quietly_where_its_output_is_closed(make_trained, tmp_path):
    out = tmp_path / "out"
    export(make_trained(), out)
    Image.linear_gradient("L").save(out / "digit.png")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing) as closed:
        command = [sys.executable, "predict.py", "digit.png"]
        ran = subprocess.run(command, cwd=out, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (ran.returncode, ran.stderr) == (1, b"")


@pytest.mark.parametrize("model", MODELS)
def test_exported_program_agrees_with_the_trained_network(model, make_trained, tmp_path):
    best, summary = load(make_trained())
    network = build_model(model, dropout=0.5, generator=torch.Generator().manual_seed(1)).eval()
    best = dataclasses.replace(best, model=model, network=network)
    write_export(best, summary, tmp_path / "out")
    classify = torch.export.load(tmp_path / "out" / "model.pt2").module()
    images = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)
    for some in (images[:1], images):
        expected = torch.tensor(best.predict(list(some)))
        torch.testing.assert_close(classify(torch.from_numpy(some)), expected)


def test_guide_states_the_confirmed_accuracy_with_its_interval(make_trained, tmp_path):
    best, summary = load(make_trained(1))
    confirmed = {"test_accuracy_mean": 0.99, "test_accuracy_ci95": [0.98, 0.995], "n_seeds": 5}
    write_export(best, summary | {"confirmed": confirmed}, tmp_path / "out")
    guide = (tmp_path / "out" / "README.md").read_text()
    assert "the weights of the confirmation's first seed" in guide
    assert "mean test accuracy, over 5 seeds: 99.00 % (95 % interval 98.00 % to 99.50 %)." in guide


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"notes.txt": "mine"}, "notes.txt"),
        ({"README.md": "mine"}, "README.md"),
        ({"metrics.json": "[]", "model.pt": ""}, "metrics.json"),
        ({"metrics.json": '{"written_by": "sweep export"}', "notes.txt": ""}, "notes.txt"),
    ],
)
def test_export_overwrites_no_other_files(tmp_path, make_trained, files, named):
    out = tmp_path / "out"
    out.mkdir()
    for name, text in files.items():
        (out / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        export(make_trained(), out)
    assert str(caught.value) == (
        f"`--out` must be a new or empty folder, or one that export wrote, but {out} contains "
        f"{named}"
    )


def test_export_to_a_file_or_below_it_is_refused(make_trained, tmp_path):
    (tmp_path / "out").write_text("")
    for out in ("out", "out/below"):
        with pytest.raises(UsageError, match=rf"cannot write to .*{out}: Not a directory"):
            export(make_trained(), tmp_path / out)


def test_export_to_a_full_disk_is_an_error_of_the_storage(make_trained, tmp_path, monkeypatch):
    folder, out = make_trained(), tmp_path / "out"
    monkeypatch.setattr(os, "write", Mock(side_effect=OSError(errno.ENOSPC, "no space")))
    with pytest.raises(StorageError) as caught:
        export(folder, out)
    assert describe_failure(caught.value) == (
        f"storage {out}/model.py: the disk is full: free some space",
        4,
    )
    assert not list(out.iterdir())


def test_export_that_fails_leaves_no_metrics_of_other_weights(make_trained, tmp_path):
    out = tmp_path / "out"
    export(make_trained(), out)
    (out / "README.md").unlink()
    (out / "README.md").mkdir()  # the third file cannot be written
    with pytest.raises(UsageError, match="Is a directory"):
        export(make_trained(1), out)
    assert not (out / "metrics.json").exists()


def test_exported_program_runs_an_own_network_of_any_name_and_precision(make_trained, tmp_path):
    text = b"""from torch import nn
class Net(nn.Linear):
    def forward(self, images):
        return super().forward(images.flatten(1)).bfloat16()
def model(n_classes, width):
    return Net(width * 28, n_classes)
"""
    name = f"model.py:model@{own.register(text)}"
    spec = DatasetSpec(is_digits=False)
    network = build_model(name, shape=spec.network, arguments={"width": 28})
    values = {"dropout": 0.0, "model.width": 28}
    best, summary = load(make_trained())
    best = dataclasses.replace(
        best, model=name, hyperparameters=values, network=network, spec=spec
    )
    write_export(best, summary, tmp_path / "out")
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    command = [sys.executable, "out/predict.py", "a.png"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    (probabilities,) = best.predict([pixels])
    assert sum(probabilities) == pytest.approx(1, abs=1e-6)  # not rounded to 8 bits
    label, percent = np.argmax(probabilities), 100 * max(probabilities)
    assert ran.stdout == f"a.png  {label}  {percent:.2f} %   low confidence\n"


def test_what_an_own_network_prints_stays_out_of_standard_output(capsys):
    text = b"""from torch import nn
class Net(nn.Linear):
    def forward(self, images):
        print("printed")
        return super().forward(images.flatten(1))
def make():
    return Net(784, 10)
"""
    model = f"model.py:make@{own.register(text)}"
    network = build_model(model).eval()
    best = BestModel(1, model, {"dropout": 0.0}, 7, 1, "search", 0.9, network, DatasetSpec())
    best.predict([np.zeros((28, 28), np.uint8)])
    assert program_file(best, network) is not None
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("printed") >= 2
