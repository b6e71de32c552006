"""The page on which one hears what models of text, phones and speech units make of the same prompt.

In: the folder of a finished run, or ids of released models. Out: [`build_demo`], a page with named API endpoints, and
[`launch_demo`], which serves it.
"""

from ...models.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"build_demo": ".layout", "launch_demo": ".serving"})
