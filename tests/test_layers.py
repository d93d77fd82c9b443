"""The layers of the code, as its imports show them."""

import ast
import graphlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import synthetic
from analysis.storage.local_folder import LocalFolder

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "data_utils", "sweep", "analysis")
TOP_LEVEL = {"README.md", "pyproject.toml", "tests", *PACKAGES}

# What the ground floor may import beside the standard library and itself.
GROUND = {
    "models": {"torch"},
    "data_utils": {"torch", "torchvision", "numpy", "platformdirs", "PIL"},
    "analysis": {
        "numpy",
        "pandas",
        "scipy",
        "matplotlib",
        "optuna",
        "obstore",
        "boto3",
        "botocore",
        "msgspec",
        "yaml",
        "jinja2",
        "markupsafe",
        "PIL",
    },
}

# What each package in `sweep` may import of the others. Nothing is above `cli`.
SWEEP = {
    "config": set(),
    "training": {"config"},
    "tuning": {"config", "training"},
    "screen": {"config"},
    "driver": {"config", "training", "tuning", "screen"},
    "results": {"config", "training", "tuning"},
    "api": {"config", "training", "tuning", "screen", "driver", "results"},
    "cli": {"config", "training", "tuning", "screen", "driver", "results", "api"},
}


def _files(*packages: str) -> list[Path]:
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    assert files
    return files


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(path): path for path in _files(*PACKAGES)}


def _imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


@pytest.mark.parametrize("package", GROUND)
def test_ground_floor_imports_only_its_own_libraries(package):
    allowed = GROUND[package] | set(sys.stdlib_module_names) | {package, "typing_extensions"}
    for path in _files(package):
        tops = {name.partition(".")[0] for name in _imports(path)}
        assert tops <= allowed, f"{path} imports {tops - allowed}"


@pytest.mark.parametrize("layer", SWEEP)
def test_no_layer_of_sweep_imports_one_above_it(layer):
    for path in _files(f"sweep/{layer}"):
        layers = {name.split(".")[1] for name in _imports(path) if name.startswith("sweep.")}
        above = (layers & SWEEP.keys()) - SWEEP[layer] - {layer}
        assert not above, f"{path} imports {above}"


def test_each_package_of_sweep_is_a_layer_and_its_other_files_are_below_them():
    assert {path.parent.name for path in ROOT.glob("sweep/*/__init__.py")} == SWEEP.keys()
    for path in {*ROOT.glob("sweep/*.py")} - {*ROOT.glob("sweep/__*__.py")}:
        layers = {name.split(".")[1] for name in _imports(path) if name.startswith("sweep.")}
        assert layers & SWEEP.keys() <= {"config"}, f"{path} imports {layers}"


def test_no_files_import_each_other():
    graph = {module: set(_imports(path)) & MODULES.keys() for module, path in MODULES.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


def test_ray_is_imported_in_tuning_alone_and_its_private_names_in_one_file():
    imports = {path: {f"{name}." for name in _imports(path)} for path in _files("sweep")}
    importers = [p for p, names in imports.items() if any(n.startswith("ray.") for n in names)]
    assert {path.parent.name for path in importers} == {"tuning"}
    private = {path.name for path in importers if "._private" in path.read_text()}
    assert private == {"ray_private.py"}


def test_tests_put_nothing_before_the_packages():
    # An editable installation is searched last: a folder of the same name would hide a package.
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    for folder in options["pythonpath"]:
        hidden = {path.stem for path in (ROOT / folder).iterdir()} & set(PACKAGES)
        assert not hidden, f"{folder} hides {hidden}"


def _run_and_list_modules(code: str, cwd: Path) -> set[str]:
    """Return the modules that are loaded once `code` has run, which must succeed."""
    code += "\nimport sys\nprint('LOADED', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, check=True
    )
    return set(done.stdout.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize(
    ("code", "expected", "heavy"),
    [
        (
            "import sweep, analysis, sweep.cli, sweep.config, models.registry",
            {"sweep", "analysis", "models"},
            {"ray", "torch"},
        ),
        (
            "import sweep; sweep.open",
            {"sweep"},
            {"ray", "torch", "pandas", "matplotlib", "optuna"},
        ),
        (
            "import analysis.results.comparison, analysis.results.cost, analysis.results.verdict,"
            " analysis.results.selection, analysis.records.ledger, analysis.records.sweeps",
            {"analysis"},
            {"ray", "torch", "pandas", "scipy.stats"},
        ),
        ("import sweep.driver.search, sweep.driver.confirm", {"ray"}, {"torch"}),
    ],
)
def test_import_loads_nothing_heavy(code, expected, heavy, tmp_path):
    loaded = _run_and_list_modules(code, tmp_path)
    assert expected <= loaded
    assert not loaded & heavy


COMPLETE = "run --resume --search-only --trials 8 --epochs 4"


@pytest.mark.parametrize("command", ["--help", "run --help", "list", "trials", "best", COMPLETE])
def test_command_that_only_looks_loads_neither_ray_nor_torch(command, tmp_path):
    arguments, folder = command.split(), LocalFolder(tmp_path / "made")
    synthetic.write_search(folder, synthetic.Search(n_trials=8, epochs=4))
    folder.write("report.html", b"")
    code = f"""
import os, sys
os.environ["SWEEP_STORAGE"] = {str(tmp_path)!r}
sys.argv = ["sweep", *{arguments!r}]
from sweep.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    loaded = _run_and_list_modules(code, tmp_path)
    assert "sweep" in loaded
    assert not loaded & {"ray", "torch"}
    if "--help" in arguments:  # to answer at once
        assert not loaded & {"numpy", "pandas", "matplotlib", "scipy", "optuna"}
    assert arguments != ["--help"] or "pydantic" not in loaded


def test_top_level_holds_nothing_else():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not in a git checkout")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    entries = {name.partition("/")[0] for name in listed.stdout.split("\0") if name}
    assert {entry for entry in entries if not entry.startswith(".")} == TOP_LEVEL
