"""What an installation needs is installed with it: imports at the head of a module are of packages in setup.cfg."""

import ast
import re
import sys
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
FOLDERS = ("evoslm", "models", "datasets_scripts", "metrics", "training")
# Modules that need more than a study does, which does not import them, and the extra that they come with.
WITH_EXTRA = {"training/scale/steps.py": "scale", "models/scoring/harness.py": "harness"}


def requirements(section, key):
    """Names of distributions, as they are compared."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    return {canonical(re.match(r"[\w.-]+", line)[0]) for line in config[section][key].split("\n") if line}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imports_at_the_head(tree):
    """Top names of the absolute imports that run when a module is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]
        elif not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            yield from imports_at_the_head(node)


def third_party_modules():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name == "app.py" or path.is_symlink():  # a Space has requirements of its own
                continue
            beside = {other.stem for other in path.parent.glob("*.py")} | {"evoslm"}
            found = set(imports_at_the_head(ast.parse(path.read_text(encoding="utf-8"))))
            yield path.relative_to(ROOT).as_posix(), found - beside - set(sys.stdlib_module_names)


def test_every_import_at_the_head_of_a_module_is_required():
    distributions, required = packages_distributions(), requirements("options", "install_requires")
    seen = set()
    for path, modules in third_party_modules():
        extra = requirements("options.extras_require", WITH_EXTRA[path]) if path in WITH_EXTRA else set()
        for module in modules:
            seen.add(module)
            assert {canonical(name) for name in distributions.get(module, [module])} & (required | extra), (
                f"{path}: {module}"
            )
    assert seen >= {"torch", "datasets", "pyarrow"}


@pytest.mark.parametrize("extra", ["dev", "bench"])
def test_what_only_tests_and_benchmarks_need_is_no_part_of_a_study(extra):
    assert not requirements("options", "install_requires") & requirements("options.extras_require", extra)


def pinned_names():
    return {canonical(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().split()}


def test_what_is_pinned_and_tested_can_be_installed_on_the_oldest_python():
    """A pin that needs a later one makes the set-up of a fresh machine fail, such as on Debian 12 with its 3.11.2."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    oldest = re.fullmatch(r">=(3\.\d+)", config["options"]["python_requires"])[1] + ".0"
    refused, seen = {}, 0
    for name in pinned_names():
        try:
            needed = metadata(name)["Requires-Python"]
        except PackageNotFoundError:  # of an extra that the tests do without
            continue
        seen += 1
        if needed and not SpecifierSet(needed).contains(oldest):
            refused[name] = needed
    assert seen > 100 and refused == {}


def test_versions_of_all_requirements_are_pinned_for_a_fresh_machine():
    pinned = pinned_names()
    needed = requirements("options", "install_requires")
    for extra in ("dev", "bench", "ray"):
        needed |= requirements("options.extras_require", extra)
    assert needed <= pinned, needed - pinned
