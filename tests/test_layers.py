import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "data_utils", "sweep", "analysis")
TOP_LEVEL = {"README.md", "pyproject.toml", "tests", *PACKAGES}

# What each package may import beside the standard library and itself.
ALLOWED = {
    "models": {"torch"},
    "data_utils": {"torch", "torchvision", "numpy", "platformdirs", "PIL"},
    "analysis": {
        "numpy",
        "pandas",
        "scipy",
        "matplotlib",
        "msgspec",
        "optuna",
        "pyarrow",
        "jinja2",
        "PIL",
        "yaml",
    },
}


def _imports(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            yield node.module


def _files(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    return files


def _importers(package: str, imported: str) -> set[str]:
    """The files of a package, relative to the root, that import a top-level module."""
    return {
        str(path.relative_to(ROOT))
        for path in _files(package)
        if imported in {name.partition(".")[0] for name in _imports(path)}
    }


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_ground_floor_imports_only_what_its_room_may(package: str) -> None:
    allowed = ALLOWED[package] | set(sys.stdlib_module_names) | {package}
    for path in _files(package):
        tops = {name.partition(".")[0] for name in _imports(path)}
        assert tops <= allowed, f"{path} imports {tops - allowed}"


def test_ray_is_imported_in_tuning_alone() -> None:
    importers = _importers("sweep", "ray")
    assert importers
    assert all(path.startswith("sweep/tuning/") for path in importers)


def test_training_imports_nothing_of_tuning() -> None:
    for path in _files("sweep/training"):
        names = [name for name in _imports(path) if name.startswith("sweep.tuning")]
        assert not names, f"{path} imports {names}"


def test_optuna_is_imported_in_tuning_analysis_and_the_dashboard_alone() -> None:
    importers = _importers("sweep", "optuna")
    assert importers
    assert all(
        path.startswith("sweep/tuning/") or path.endswith("/dashboard.py") for path in importers
    )


def test_sweep_is_imported_by_none_of_the_others() -> None:
    for package in ALLOWED:
        assert not _importers(package, "sweep")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with one finished sweep that never ran."""
    storage = tmp_path_factory.mktemp("storage")
    script = Path(__file__).with_name("synthetic.py")
    given = ["made", "--trials", "8", "--epochs", "4"]
    subprocess.run([sys.executable, script, storage, *given], check=True)
    return storage


def _run_and_list_modules(code: str, cwd: Path) -> set[str]:
    """The top-level modules that are loaded once `code` has run, which must succeed."""
    code += "\nimport sys\nprint('LOADED', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, check=True
    )
    return set(done.stdout.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("package", ["sweep", "analysis", "sweep.cli", "sweep.config"])
def test_importing_a_package_loads_neither_ray_nor_torch(package: str, tmp_path: Path) -> None:
    loaded = _run_and_list_modules(f"import {package}", tmp_path)
    assert package.partition(".")[0] in loaded
    assert not loaded & {"ray", "torch"}


def test_driver_of_a_sweep_does_not_wait_for_torch(tmp_path: Path) -> None:
    loaded = _run_and_list_modules("import sweep.driver.search, sweep.driver.confirm", tmp_path)
    assert "ray" in loaded
    assert "torch" not in loaded


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["trials"],
        ["best"],
        ["best", "--json"],
        ["preset", "quick"],
    ],
    ids=" ".join,
)
def test_command_that_only_looks_loads_neither_ray_nor_torch(
    arguments: list[str], storage: Path
) -> None:
    code = f"""
import os, sys
os.environ["SWEEP_STORAGE"] = {str(storage)!r}
sys.argv = ["sweep", *{arguments!r}]
from sweep.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    loaded = _run_and_list_modules(code, storage)
    assert "sweep" in loaded
    assert not loaded & {"ray", "torch"}
    if "--help" in arguments:  # to answer at once
        assert not loaded & {"numpy", "pandas", "matplotlib", "scipy", "optuna"}


def test_top_level_holds_nothing_else() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not in a git checkout")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    entries = {name.partition("/")[0] for name in listed.stdout.split("\0") if name}
    assert {entry for entry in entries if not entry.startswith(".")} == TOP_LEVEL
