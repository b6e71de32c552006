"""The snippets of README and docs: what they are, and whether one that is too long to run could run.

page -> [`read_snippets`] -> [`Snippet`]s, which run (`run_snippets.py`) unless an HTML comment `<!-- long -->` stands
before the fence -> of a long one, [`check_commands`] and what [`dry_runs`] gives to run, or [`PythonChecker`]: an
`AssertionError`, or nothing.
"""

import ast
import builtins
import importlib
import inspect
import os
import re
import shlex
import types
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from evoslm.training.arguments.command_flags import find_command
from evoslm.training.arguments.parsing import parse_command

ROOT = Path(__file__).parents[2]
LONG = "long"
CHECKED = ("bash", "python")
NOT_CODE = ("bibtex", "ini", "json", "text", "yaml")
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[\w+-]*)[^\n`]*\n(?P<code>.*?)^ *(?P=fence) *$", re.M | re.S
)
_MARK = re.compile(r"<!-- *(\w+) *-->\s*\Z")
_FILE = re.compile(
    r"(?<![\w/.<-])((?:evoslm|models|datasets_scripts|metrics|training|spaces|tests|benchmarks)/[\w/.-]*\w/?)(?![\w<*-])"
)
_FLAG = re.compile(r"(?<![\w-])--([a-z]\w*)")
_LAUNCHERS = ("torchrun", "accelerate", "deepspeed")
_LAUNCHED = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
"""What a launcher tells the processes that it starts."""
_INLINE = re.compile(r"(?<!`)`((?:evoslm|make) [^`]+)`(?!`)")


@dataclass(frozen=True)
class Snippet:
    """One fence of a page, its line, and what it is marked as."""

    page: str
    line: int
    language: str
    code: str
    mark: str | None

    @property
    def name(self) -> str:
        """As a compiler would name it."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README and all pages of docs/."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def cards() -> list[Path]:
    """The cards of metrics and Spaces, which are published by themselves."""
    return sorted(path for room in ("metrics", "spaces") for path in (ROOT / room).glob("*/README.md"))


def read_snippets(page: Path) -> list[Snippet]:
    """The fences of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        mark = _MARK.search(before)
        code = inspect.cleandoc("\n" + match["code"]) + "\n" if match["indent"] else match["code"]
        name = page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name
        found.append(Snippet(name, before.count("\n") + 1, match["language"], code, mark and mark[1]))
    return found


def inline_commands(page: Path) -> list[str]:
    """Commands in the prose of a page."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(match[1].split()) for match in _INLINE.finditer(prose)]


def named_files(page: Path) -> list[str]:
    """Files and folders of the checkout that a page names."""
    return [match[1].rstrip(".") for match in _FILE.finditer(page.read_text(encoding="utf-8"))]


def named_flags(page: Path) -> set[str]:
    """Flags in the prose of a page, without their dashes."""
    return set(_FLAG.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))))


def split_commands(code: str) -> list[list[str]]:
    """The commands of a bash snippet, as words, without comments and line breaks."""
    lines = code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def without_launcher(words: list[str]) -> list[str]:
    """`evoslm` and its arguments, of a command that starts it by that name, by its module or by a launcher."""
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    program = Path(words[0]).name
    if program == "evoslm":
        return ["evoslm", *words[1:]]
    if "evoslm.training.cli" in words:
        place = words.index("evoslm.training.cli")
        _check_launcher([program, *words[1:place], "evoslm.training.cli"])
        return ["evoslm", *words[place + 1 :]]
    return [program, *words[1:]]


def check_commands(snippet: Snippet, folder: Path) -> None:
    """
    Whether the commands of a snippet could run: programs, flags, values and the files that they read.

    Args:
        snippet ([`Snippet`]): Of bash.
        folder (`Path`): Where it would run, with a finished run as `runs/laptop`.
    """
    for words in split_commands(snippet.code):
        program, *arguments = without_launcher(words)
        if program == "evoslm":
            launched = _LAUNCHED if Path(words[0]).name in _LAUNCHERS else {}
            with patch.dict(os.environ, launched):
                _check_evoslm(arguments, folder)
        elif program == "make":
            targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
            assert set(arguments) <= set(targets), f"no target {arguments}"
        elif program == "pip":
            _check_pip(arguments)
        elif program == "python" and arguments[0] == "-m":
            own = (ROOT / arguments[1] / "__main__.py").is_file()  # run from a checkout, as the benchmarks are
            assert own or importlib.util.find_spec(arguments[1]), f"no module {arguments[1]}"
        else:
            raise AssertionError(
                f"{program} is no program that is known here: run it, or teach {__file__} to check it"
            )


def dry_runs(code: str) -> list[list[str]]:
    """
    The commands of a bash snippet that can be asked what they would do.

    Args:
        code (`str`): Of bash.

    Returns:
        `list[list[str]]`: Their words after `evoslm`, with `--dry_run`. One that a launcher starts is none of them,
        since it is several processes.
    """
    found = []
    for words in split_commands(code):
        program, *arguments = without_launcher(words)
        if program == "evoslm" and Path(words[0]).name == "evoslm" and find_command(arguments[0]).takes("dry_run"):
            found.append(arguments if "--dry_run" in arguments else [*arguments, "--dry_run"])
    return found


def check_inline(command: str) -> None:
    """Whether a command in the prose, which may be a part of one, has its name and its flags right."""
    program, *arguments = shlex.split(command)
    if program == "make":
        return check_commands(Snippet("", 0, "bash", command, LONG), ROOT)
    if not arguments or arguments[0].startswith("-") or arguments[0] in ("COMMAND", "..."):
        return None
    chosen = find_command(arguments[0])
    for word in arguments[1:]:
        flag = word.removeprefix("--").split("=")[0].rstrip(",;")
        if word.startswith("--") and flag not in ("help", "help_all"):
            assert chosen.takes(flag), f"`{command}`: no flag --{flag}"


class PythonChecker:
    """
    Reads the Python snippets of one page in order without running them: imports must resolve, attributes of what was
    imported must exist, its functions and methods of its instances must take the arguments that they are given, and
    every name must be known.
    """

    def __init__(self):
        self.names: dict[str, object] = dict.fromkeys(dir(builtins), _UNKNOWN)

    def check(self, snippet: Snippet) -> None:
        """Check the next snippet of the page."""
        tree = compile(snippet.code, snippet.name, "exec", ast.PyCF_ONLY_AST)
        compile(tree, snippet.name, "exec")
        for node in ast.walk(tree):
            self._define(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self.names[node.targets[0].id] = self._instance(node.value)
        for node in ast.walk(tree):
            where = f"{snippet.page}:{snippet.line + getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Name):
                assert node.id in self.names, f"{where}: nothing here is called {node.id}"
            elif isinstance(node, ast.Attribute):
                self._resolve(node, where)
            elif isinstance(node, ast.Call):
                self._check_call(node, where)

    def _define(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = importlib.import_module(alias.name)
                top = module if alias.asname else importlib.import_module(alias.name.split(".")[0])
                self.names[alias.asname or alias.name.split(".")[0]] = top
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                self.names[alias.asname or alias.name] = _member(module, alias.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self.names[node.id] = _UNKNOWN
        elif isinstance(node, ast.arg):
            self.names[node.arg] = _UNKNOWN
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            self.names[node.name] = _UNKNOWN

    def _instance(self, node: ast.expr) -> object:
        """What `Class(...)` and `Class.from_pretrained(...)` give, if the class is known not to give another's."""
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr == "from_pretrained":
            called = called.value
        made = self.names.get(called.id) if isinstance(called, ast.Name) else None
        of_several = isinstance(made, type) and made.__name__.startswith("Auto")
        return _Instance(made) if isinstance(made, type) and not of_several else _UNKNOWN

    def _resolve(self, node: ast.expr, where: str) -> object:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, _UNKNOWN)
        if not isinstance(node, ast.Attribute):
            return _UNKNOWN
        owner = self._resolve(node.value, where)
        if isinstance(owner, _Instance):  # what `__init__` gives it is not known
            method = getattr(owner.kind, node.attr, None)
            return method.__get__(object()) if inspect.isfunction(method) else _UNKNOWN
        if not isinstance(owner, (type, types.ModuleType)):
            return _UNKNOWN
        assert hasattr(owner, node.attr), f"{where}: {ast.unparse(node)} does not exist"
        return getattr(owner, node.attr)

    def _check_call(self, node: ast.Call, where: str) -> None:
        called = self._resolve(node.func, where)
        if isinstance(called, _Instance):
            method = inspect.getattr_static(called.kind, "__call__", None)
            called = method.__get__(object()) if inspect.isfunction(method) else _UNKNOWN
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        if called is _UNKNOWN or not callable(called) or starred or any(word.arg is None for word in node.keywords):
            return
        try:
            signature = inspect.signature(called)
        except (TypeError, ValueError):  # built into the interpreter
            return
        try:
            signature.bind(*[None] * len(node.args), **dict.fromkeys(word.arg for word in node.keywords))
        except TypeError as error:
            raise AssertionError(f"{where}: {ast.unparse(node.func)}: {error}") from None


_UNKNOWN = object()


@dataclass(frozen=True)
class _Instance:
    kind: type


def _member(module: types.ModuleType, name: str) -> object:
    if hasattr(module, name):
        return getattr(module, name)
    return importlib.import_module(f"{module.__name__}.{name}")


def _check_evoslm(arguments: list[str], folder: Path) -> None:
    command = find_command(arguments[0])
    parse_command(arguments[1:], command)
    for flag, word in zip(["", *arguments], arguments):
        path = Path(word)
        if path.parts[:2] == ("runs", "laptop") and path.parts[2:3] != ("joint",) and flag != "--output_dir":
            assert (folder / path).exists(), f"a run has no {path}"


def _check_pip(arguments: list[str]) -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert arguments[0] == "install"
    for extras in re.findall(r"\[([\w,-]+)\]", " ".join(arguments)):
        for extra in extras.split(","):
            assert extra in setup["options.extras_require"], f"no extra {extra}"
    if "-c" in arguments:
        assert (ROOT / arguments[arguments.index("-c") + 1]).is_file()


def _check_launcher(words: list[str]) -> None:
    """Whether a launcher takes its own flags, and has the file that it is configured by."""
    program, *arguments = words
    if program == "torchrun":
        from torch.distributed.run import get_args_parser

        get_args_parser().parse_args(arguments)
    elif program == "accelerate":
        from accelerate.commands.launch import launch_command_parser

        assert arguments[0] == "launch"
        parsed = launch_command_parser().parse_args(arguments[1:])
        assert parsed.config_file is None or (ROOT / parsed.config_file).is_file(), parsed.config_file
    elif program == "deepspeed":
        launcher = importlib.import_module("deepspeed.launcher.runner")
        launcher.parse_args(arguments)
    else:
        assert program == "python" and arguments[0] == "-m", f"{program} is no launcher that is known here"
