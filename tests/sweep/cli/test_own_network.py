"""A network of the user's own, as the README shows it, from a run that is killed to an export."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("## Your own network")[2].partition("\n## ")[0]


@pytest.mark.long
def test_network_of_the_readme_survives_a_kill_and_is_exported(
    start_driver, call, tmp_path, monkeypatch
):
    ((_, network), (_, command)) = re.findall(r"```(\w+)\n(.*?)```", CHAPTER, flags=re.DOTALL)
    assert len(network.splitlines()) <= 20
    file = tmp_path / "residual.py"
    file.write_text(network)
    labels = np.arange(201) % 2
    images = np.random.default_rng(0).integers(0, 200, (201, 32, 32, 3), np.uint8)
    images[labels == 1, 16:] += 50
    data = {"x_train": images[:129], "y_train": labels[:129]}  # 108 are not for validation
    np.savez(tmp_path / "halves.npz", **data, x_test=images[129:], y_test=labels[129:])
    words = command.strip().replace("\\\n", " ").replace("./halves", f"{tmp_path}/halves")
    words = words.replace("residual.py", str(file)).replace("--name own", "--name mine")
    words += (
        " --trials 2 --epochs 3 --concurrency 1 --set recipe.batch_size=107 --set scheduler=none"
    )
    shell = ("bash", "-c", f'exec "$1" -m {words}', "bash")
    driver = start_driver(within=shell, start_new_session=True)
    driver.wait_for_record('"val_accuracy"', n=2)
    os.killpg(driver.process.pid, signal.SIGKILL)
    driver.wait()
    before = driver.epochs()
    storage = driver.storage

    file.write_text(network.replace("range(2)", "range(3)"))
    monkeypatch.setenv("SWEEP_STORAGE", str(storage))
    again = ("run", "--resume", "--name", "mine", "--config", storage / "mine" / "config.yaml")
    changed = call(*again, "--set", f"model={file}:Residual", "--storage", storage)
    assert changed.exit_code == 2
    assert "`model`: model.py:Residual with SHA-256" in changed.err

    moved = str((tmp_path / "halves.npz").rename(tmp_path / "moved.npz"))
    resume = (*again, "--dataset", moved, "--json", "--concurrency", "1")
    outcome = start_driver(*resume, storage=storage).wait()
    assert outcome.exit_code == 0, outcome
    assert driver.ledger.config["dataset"] == moved
    after = driver.epochs()
    assert all(after[key][: len(epochs)] == epochs for key, epochs in before.items())
    best = outcome.document
    assert 8 <= best["hyperparameters"]["model.width"] <= 32
    assert best["confirmed"]["n_seeds"] == 4
    assert best["confirmed"]["verdict"]["baseline"].startswith("plain-trial-")

    Image.fromarray(images[200]).save(tmp_path / "one.png")
    predicted = call("predict mine one.png --json --storage", storage)
    exported = call("export mine --out out --storage", storage)
    assert exported.exit_code == 0, exported
    assert (tmp_path / "out" / "model.py").read_text() == network
    alone = subprocess.check_output(
        [sys.executable, "predict.py", "../one.png"], text=True, cwd=tmp_path / "out"
    )
    (prediction,) = predicted.document["predictions"]
    assert alone.split()[1] == prediction["class"]
