import pytest


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("ls --json", "there is no command `ls`; did you mean `sweep list --json`?"),
        ("rm made", "did you mean `sweep delete made`?"),
        ("bset", "there is no command `bset`; did you mean `best`?"),
        ("nosuch", "there is no command `nosuch`; choose from run, resume, "),
        ("--bset", "`sweep` has no option `--bset`; see `sweep --help`"),
        ("delete", "missing argument `NAME`; see `sweep delete --help`"),
        ("run mine", "`sweep run` takes no argument `mine`; did you mean `--name mine`?"),
        ("run quick", "did you mean `--preset quick`?"),
        ("run mine.yaml", "did you mean `--config mine.yaml`?"),
        ("run trials=3", "did you mean `--set trials=3`?"),
        ("run --n-trials 5", "did you mean `--trials 5`?"),
        ("run --lr=0.1", "did you mean `--set recipe.learning_rate=0.1`, which fixes it"),
        ("run --dropout", "did you mean `--set recipe.dropout=…`, which fixes it"),
        ("run --searcher random", "did you mean `--set searcher=random`?"),
        ("run --seeds 9", "did you mean `--set confirm.seeds=9`?"),
        ("run --gpus 1", "did you mean `--set resources.gpu=1`?"),
        ("run --epoch 3", "`sweep run` has no option `--epoch`; did you mean `--epochs`?"),
        ("run --epochs", "option `--epochs` requires an argument; see `sweep run --help`"),
        ("run --config classic", "to use the preset: --preset classic"),
        ("trials made 10", "`sweep trials` takes no argument `10`; see `sweep trials --help`"),
        ("best --dropout 0.3", "`sweep best` has no option `--dropout`; see `sweep best --help`"),
    ],
)
def test_word_of_another_tool_gets_the_right_one(command, meant, call):
    outcome = call(command)
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert meant in outcome.err
