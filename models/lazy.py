"""Public names of a package that are imported when they are asked for, so that `import evoslm` takes no seconds."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: dict[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """
    Make a package's `__getattr__`, `__dir__` and `__all__`.

    Args:
        package (`str`): The package's `__name__`.
        modules (`dict[str, str]`): Where each public name is defined, relative to the package.

    Returns:
        `tuple[Callable, Callable, list[str]]`: The three, in this order.
    """

    def __getattr__(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name], package), name)

    return __getattr__, lambda: sorted(modules), list(modules)
