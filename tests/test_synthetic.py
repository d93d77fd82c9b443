import subprocess
import sys
from pathlib import Path

from analysis.records.confirmation import read_confirmation
from analysis.records.ledger import read_ledger
from analysis.records.predictions import load_images, load_predictions
from analysis.results.comparison import compare_arms
from analysis.storage.folder import LocalFolder

SCRIPT = Path(__file__).with_name("synthetic.py")


def test_synthetic_sweep_is_like_a_real_one(tmp_path: Path) -> None:
    given = ["made", "--trials", "60", "--seeds", "4", "--running", "1", "--top-k", "2"]
    subprocess.run([sys.executable, SCRIPT, tmp_path, *given], check=True)
    folder = LocalFolder(tmp_path / "made")
    ledger = read_ledger(folder)
    assert len(ledger.trials) == 60
    assert [len(ledger.in_state("RUNNING")), ledger.ended] == [1, None]
    assert len(ledger.in_state("STOPPED")) > 30
    assert ledger.in_state("FAILED")
    times = [record.time for record in ledger.records]
    assert min(times) > ledger.created.time

    confirmation = read_confirmation(folder)
    assert confirmation is not None
    assert [arm.role for arm in confirmation.arms.values()] == ["finalist"] * 2 + ["baseline"] * 3
    shown = load_images(folder)
    for arm in confirmation.arms:
        for seed, accuracy in confirmation.test_accuracies(arm).items():
            predictions = load_predictions(folder, arm, seed)
            assert predictions is not None
            assert predictions.correct.mean() == accuracy
            wrong = (~predictions.correct).nonzero()[0]
            assert set(wrong) <= set(shown.indices)
    assert len(compare_arms(confirmation)) == 6
