"""An extension of Griffe: reads this package's lazy names, and docstrings in the Hugging Face form.

`lazy_names(__name__, {"prepare": ".builders"})` -> aliases, so that the reference says `evoslm.prepare`. A docstring's
"name (`str`, *optional*, defaults to `x`):" -> Google's "name (str):" (the signature shows the default);
"[`Name`]" -> a link where the reference has that name, else code.
"""

import ast
import re

import griffe

PACKAGE = "evoslm"
_ARGUMENT = re.compile(r"^(?P<name>\s*\*{0,2}\w+) \((?P<type>.+)\):(?=\s|$)", re.MULTILINE)
_RESULT = re.compile(r"(?P<head>^\s*(?:Returns|Raises|Yields):\n)(?P<body>(?:\s*\n|[ ]{4,}.*\n?)+)", re.MULTILINE)
_RESULT_TYPE = re.compile(r"^(?P<indent>\s*)(?P<type>(?:\[`~?[\w.]+`\]|`[^`]+`)[^:\n]*?):(?=\s|$)", re.MULTILINE)
_REFERENCE = re.compile(r"\[`~?(?P<name>[\w.]+)`\](?!\[|\()")
_DEFAULT = re.compile(r"(?:^|, )(?:\*optional\*|defaults to).*$")


class HuggingFaceDocstrings(griffe.Extension):
    """Docstrings as Griffe reads them, and lazy names as aliases."""

    def __init__(self) -> None:
        super().__init__()
        self.public: set[str] = set()

    def on_module_instance(self, *, node: ast.AST, mod: griffe.Module, **kwargs) -> None:
        """Add an alias for each lazy name of a package."""
        if not isinstance(node, ast.Module):
            return
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "lazy_names":
                for name, module in ast.literal_eval(call.args[1]).items():
                    mod.set_member(name, griffe.Alias(name, f"{absolute(module, mod)}.{name}"))
                    if mod.path == PACKAGE:
                        self.public.add(name)

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        """Rewrite an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = self.rewrite(obj.docstring.value)

    def rewrite(self, text: str) -> str:
        """A docstring in Google's form."""
        text = _ARGUMENT.sub(_google_argument, text)
        text = _RESULT.sub(lambda match: match["head"] + _RESULT_TYPE.sub(_plain_result, match["body"]), text)
        return _REFERENCE.sub(self._link, text)

    def _link(self, match: re.Match) -> str:
        name = match["name"].removeprefix(f"{PACKAGE}.")
        first = name.split(".")[0]
        if first in self.public:  # a method may be inherited, and not stand in the reference: the class does
            return f"[`{name}`][{PACKAGE}.{first}]"
        return f"`{name}`"


def absolute(module: str, package: griffe.Module) -> str:
    """The path of a module that is named relative to a package."""
    names = module.lstrip(".")
    parts = package.path.split(".")
    parts = parts[: len(parts) - (len(module) - len(names)) + 1]
    return ".".join([*parts, names] if names else parts)


def plain(annotation: str) -> str:
    """A type without marks of Markdown and without its default."""
    return _REFERENCE.sub(lambda match: match["name"], _DEFAULT.sub("", annotation)).replace("`", "")


def _google_argument(match: re.Match) -> str:
    annotation = plain(match["type"])
    return f"{match['name']} ({annotation}):" if annotation else f"{match['name']}:"


def _plain_result(match: re.Match) -> str:
    return f"{match['indent']}{plain(match['type'])}:"
