"""What units say: about phones, words and speakers, and how they change when somebody else speaks.

In: units, with the phones or words that were spoken. Out: PNMI, bits, error rates, boundaries and stability.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "BoundaryCounts": ".boundaries",
        "PhoneDiscovery": ".phone_discovery",
        "compare_units": ".quality",
        "map_units": ".phone_discovery",
        "UnitCounts": ".quality",
        "unit_quality": ".quality",
    },
)
