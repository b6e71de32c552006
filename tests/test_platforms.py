"""What the package may not take for granted, since systems differ in it: encodings, names of files, line ends."""

import ast
import re
import subprocess

import pytest
from test_imports import ROOT, find_modules

OTHERS = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "docs" / "extensions").glob("*.py")]
MODE = re.compile(r"[rwxab+t]+")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def without_encoding(code: str) -> list[str]:
    """Calls that read or write a text file in an encoding that depends on the system."""
    return [ast.unparse(node) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and _depends(node)]


def _depends(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    given = {word.arg: word.value for word in node.keywords}
    if "encoding" in given:
        return False
    if name in ("read_text", "write_text"):
        return isinstance(node.func, ast.Attribute) and len(node.args) == (name == "write_text")
    if name != "open":
        return False
    modes = node.args[isinstance(node.func, ast.Name) :]  # of a path's method the first, else the second
    mode = given.get("mode", modes[0] if modes else ast.Constant("r"))
    return isinstance(mode, ast.Constant) and MODE.fullmatch(str(mode.value)) is not None and "b" not in mode.value


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.read_text()", True),
        ("path.write_text(text)", True),
        ("open(path)", True),
        ("open(path, mode='w')", True),
        ("path.open('a')", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.write_text(text, 'utf-8')", False),
        ("path.open('rb')", False),
        ("open(path, 'wb')", False),
        ("model.read_text(line)", False),
        ("logs.open('stats.json', 'wt')", False),
        ("Image.open(file)", False),
    ],
)
def test_calls_that_depend_on_the_systems_encoding_are_found(code, found):
    assert bool(without_encoding(code)) == found


def test_texts_are_read_and_written_in_a_named_encoding():
    found = {}
    for path in [*find_modules().values(), *OTHERS]:
        if calls := without_encoding(path.read_text(encoding="utf-8")):
            found[path.relative_to(ROOT).as_posix()] = calls
    assert found == {}


def test_names_of_files_are_possible_on_every_system():
    names = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False, encoding="utf-8"
    ).stdout.split("\0")[:-1]
    if not names:
        pytest.skip("not a checkout of git")
    parts = {part for name in names for part in name.split("/")}
    assert [part for part in parts if re.search(r'[<>:"\\|?*]|[. ]$', part) or RESERVED.fullmatch(part)] == []
    assert len({name.lower() for name in names}) == len(names)
