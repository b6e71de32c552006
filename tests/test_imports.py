"""The package's rooms: imports run one way and in no circle, and setup.cfg lists every folder that there is."""

import ast
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "evoslm"
# What each room may import of ours; a path allows what lies below it.
ARROWS = {
    "models": ("models",),
    "metrics": ("metrics", "models.scoring"),
    "datasets_scripts": ("models", "metrics", "datasets_scripts"),
    "training": ("models", "metrics", "datasets_scripts", "pipelines", "training"),
    "spaces": ("models", "metrics", "datasets_scripts", "training", "pipelines", "spaces"),
}


def read_setup() -> tuple[list[str], dict[str, str]]:
    """The packages of setup.cfg, and their folders."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    packages = setup["options"]["packages"].split()
    folders = dict(line.split(" = ") for line in setup["options"]["package_dir"].strip().splitlines())
    return packages, folders


def find_modules() -> dict[str, Path]:
    """The file of each module of the package; a package's is its `__init__.py`."""
    modules = {}
    for package, folder in read_setup()[1].items():
        for path in sorted((ROOT / folder).glob("*.py")):
            modules[package if path.stem == "__init__" else f"{package}.{path.stem}"] = path
    return modules


class Imports(ast.NodeVisitor):
    """What a module imports of ours: at its head, in a function, for type checking alone, or under a lazy name."""

    def __init__(self, name: str, is_package: bool):
        self.parts = name.split(".")[: None if is_package else -1]
        self.found: dict[tuple[str, str | None], int] = {}  # module, name in it -> line
        self.lazy: dict[str, str] = {}  # public name -> module

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, None, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = self._absolute("." * node.level + (node.module or ""))
        for alias in node.names:
            self._add(module, alias.name, node)

    def visit_Call(self, node: ast.Call) -> None:
        if getattr(node.func, "id", None) == "lazy_names":
            for name, module in ast.literal_eval(node.args[1]).items():
                self.lazy[name] = self._absolute(module)
                self._add(self.lazy[name], name, node)
        self.generic_visit(node)

    def _absolute(self, module: str) -> str:
        level = len(module) - len(module.lstrip("."))
        base = self.parts[: len(self.parts) - level + 1] if level else []
        return ".".join([*base, *filter(None, [module.lstrip(".")])])

    def _add(self, module: str, name: str | None, node: ast.AST) -> None:
        if module.split(".")[0] == PACKAGE:
            self.found.setdefault((module, name), node.lineno)


def import_graph(modules: dict[str, Path]) -> dict[str, dict[str, int]]:
    """The modules that each module imports, with the line where it does."""
    imports = {}
    for name, path in modules.items():
        imports[name] = Imports(name, path.stem == "__init__")
        imports[name].visit(ast.parse(path.read_text(encoding="utf-8")))
    graph: dict[str, dict[str, int]] = {name: {} for name in modules}
    for name, own in imports.items():
        for (module, imported), line in own.found.items():
            target = f"{module}.{imported}" if f"{module}.{imported}" in modules else module
            if target == module and module in imports:
                target = imports[module].lazy.get(imported, module)
            graph[name].setdefault(target, line)
    return graph


def find_circle(graph: dict[str, dict[str, int]]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; empty where there is none."""
    done, path = set(), []

    def visit(name: str) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in graph:
            return []
        path.append(name)
        for target in graph[name]:
            if circle := visit(target):
                return circle
        done.add(path.pop())
        return []

    return next(filter(None, map(visit, graph)), [])


def forbidden_arrows(graph: dict[str, dict[str, int]], modules: dict[str, Path]) -> list[str]:
    """Imports against the order of the rooms, one line each."""
    wrong = []
    for name, targets in graph.items():
        room = name.removeprefix(f"{PACKAGE}.").split(".")[0]
        if room not in ARROWS:  # what joins the rooms lies beside them, and may have all
            continue
        for target, line in targets.items():
            inside = target.removeprefix(f"{PACKAGE}.")
            allowed = ARROWS[room] if target != PACKAGE else (PACKAGE,)
            if not any(inside == path or inside.startswith(f"{path}.") for path in allowed):
                wrong.append(f"{modules[name].relative_to(ROOT)}:{line} imports {target}, which {room} may not")
    return wrong


def graph_of(tmp_path: Path, **sources: str) -> tuple[dict[str, dict[str, int]], dict[str, Path]]:
    """The import graph of made-up modules; two underscores stand for a dot."""
    modules = {}
    for name, source in sources.items():
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        modules[f"{PACKAGE}.{name.replace('__', '.')}"] = path
    return import_graph(modules), modules


def test_no_module_imports_itself_by_way_of_others():
    modules = find_modules()
    graph = import_graph(modules)
    circle = find_circle(graph)
    steps = [
        f"{modules[name].relative_to(ROOT)}:{graph[name][target]} imports {target}"
        for name, target in zip(circle, circle[1:])
    ]
    assert not circle, "modules import each other in a circle:\n" + "\n".join(steps)


def test_imports_run_from_models_to_rows_to_runs_to_spaces():
    modules = find_modules()
    wrong = forbidden_arrows(import_graph(modules), modules)
    assert not wrong, "imports against the order of the rooms:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "second",
    [
        "from .a import x",
        "def f():\n    from . import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import evoslm.models.a",
        "from ..models.a import x",
        "__getattr__, __dir__, __all__ = lazy_names(__name__, {'x': '.a'})",
    ],
)
def test_a_circle_is_found_however_it_is_closed(tmp_path, second):
    graph, _ = graph_of(tmp_path, models__a="from .b import y", models__b=second)
    assert sorted(set(find_circle(graph))) == ["evoslm.models.a", "evoslm.models.b"]


@pytest.mark.parametrize(
    ("importer", "source", "is_allowed"),
    [
        ("datasets_scripts__x", "from ..models.files import write_json", True),
        ("datasets_scripts__x", "from ..training.run.stage import Stage", False),
        ("models__x", "def f():\n    from ..datasets_scripts.text.words import words_of", False),
        ("models__x", "from ..metrics.pair_accuracy import accuracies", False),
        ("metrics__x", "from ..models.scoring import score_pairs", True),
        ("metrics__x", "from evoslm.models.files import read_json", False),
        ("training__x", "from ..metrics.pair_accuracy import accuracies", True),
        ("training__x", "from ..spaces.speech_continuation import app", False),
    ],
)
def test_an_arrow_is_allowed_in_one_direction(tmp_path, monkeypatch, importer, source, is_allowed):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    wrong = forbidden_arrows(*graph_of(tmp_path, **{importer: source}))
    assert len(wrong) == (not is_allowed), wrong


def test_setup_lists_every_folder_with_files_and_no_other():
    packages, folders = read_setup()
    found = set()
    for room in (PACKAGE, *ARROWS):
        files = (path for path in (ROOT / room).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        found.update(path.parent.relative_to(ROOT).as_posix() for path in files)
    assert sorted(packages) == sorted(folders) == sorted(set(packages)), "packages and package_dir differ"
    assert set(folders.values()) == found, f"not in both: {sorted(found.symmetric_difference(folders.values()))}"
    for package, folder in folders.items():
        assert package == (PACKAGE if folder == PACKAGE else f"{PACKAGE}.{folder.replace('/', '.')}")


@pytest.mark.parametrize("folder", [folder for folder in read_setup()[1].values() if folder != PACKAGE])
def test_a_room_says_what_goes_in_and_what_comes_out(folder):
    path = ROOT / folder / "__init__.py"
    assert path.is_file(), f"{folder} has no __init__.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert "In: " in docstring and "Out: " in docstring, f"{path} does not say what goes in and what comes out"


def test_no_two_files_of_tests_have_one_name():
    # pytest imports them by name alone, and only a run of all of them would find two.
    names = [path.name for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    assert sorted({name for name in names if names.count(name) > 1}) == []
