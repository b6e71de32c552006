"""A finished run as repositories of the Hub: models, datasets, metrics and the demo, with their cards.

In: a run's folder and a namespace. Out: a folder per repository, allowed files alone, and those pushed.
"""

from ...models.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "ReleaseChoice": ".choice",
        "ReleaseNames": ".names",
        "ReleaseRepository": ".repository",
        "prepare_release": ".preparation",
        "push_release": ".push",
    },
)
