"""What the report says of where units come from, and of what their frame rate costs Phone-Repeat.

results -> [`describe_source`], [`describe_lost_phones`] -> sentences of the section on speech units.
"""

from ...metrics.tasks import TASKS
from .formatting import percent


def describe_source(encoder: dict | str | None) -> str:
    """A sentence on an encoder with weights or on units from elsewhere; nothing on frame features."""
    if not isinstance(encoder, dict):
        return ""
    rate = f"{encoder['frame_rate']:g} frames a second, which Phone-Repeat has, too. "
    if "layer" in encoder:
        commit = f", {encoder['revision'][:12]}" if encoder.get("revision") else ""
        precision = encoder["precision"]
        return f"Clusters of layer {encoder['layer']} of `{encoder['source']}`{commit}, in {precision}, {rate}"
    made = f" of `{encoder['model']}`" if encoder.get("model") else ""
    maker = f"that `{encoder['source']}` makes{made}" if "callable" in encoder else "of a table of ids"
    return f"Units {maker}, up to {encoder['num_units']:,} different ones, {rate}"


def describe_lost_phones(results: dict) -> str:
    """How many phones have no frame where frames are long, and which pairs are then alike; nothing where none."""
    modality = results["modalities"].get("phone_repeat", {})
    phones, lost = (modality.get(name) or 0 for name in ("train_phones", "train_phones_lost"))
    if not lost:
        return ""
    alike = {task: results["pairs"].get(task, {}).get("alike_in_phone_repeat", 0) for task in results["tasks"]}
    counted = [
        f"{number:,} of {results['pairs'][task]['n']:,} in {TASKS[task].label}" for task, number in alike.items()
    ]
    return (
        f"Frames are longer than many phones, and {percent(lost / phones)} % of the phones of the training split have "
        f"none in Phone-Repeat. Pairs whose sides are alike there count half: {', '.join(counted)}. "
    )
