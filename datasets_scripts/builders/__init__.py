"""A dataset builder for each modality, for the utterances themselves and for minimal pairs.

In: shards of utterances, units or pairs. Out: datasets of rows (`id`, `content` for a modality), ready for
`push_to_hub`.
"""

from ...models.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BUILDERS": ".by_name",
        "get_builder": ".by_name",
        "prepare": ".by_name",
        "stream_contents": ".by_name",
        "unit_contents": ".by_name",
    },
)
