"""What a task's input gives away without a language model: answers of rules that learn from the same training split.

task + what is read -> [`answers_of_rules`] -> by the rule's name an answer for each example of the test split.
"""

from collections.abc import Mapping

import numpy as np

from ...datasets_scripts.slu import SluTask
from ...datasets_scripts.slu.baselines import bag_of_units, bag_of_words, commonest_entities, gazetteer
from ...metrics.entity_f1.entity_text import format_entities
from ...models.slu.configuration_slu import CLASSIFICATION
from ...models.slu.contents import SPEECH


def answers_of_rules(task: SluTask, kind: str, units: Mapping[str, np.ndarray] | None = None) -> dict[str, list[str]]:
    """
    Answers of each rule that there is for a task and what is read of it.

    Args:
        task ([`SluTask`]): The task, with the examples that are trained and tested on.
        kind (`str`): `"text"` or `"speech"`.
        units (`Mapping[str, np.ndarray]`, *optional*): Of speech, units of the training and test splits by id.

    Returns:
        `dict[str, list[str]]`: Classes, or entities as text, by the rule's name; nothing where the training split has
            one class only.
    """
    if task.kind == CLASSIFICATION:
        if len({example.label for example in task.splits["train"]}) < 2:
            return {}
        sizes = {"": 1, " and pairs of {}": 2}
        if kind == SPEECH:
            bags = {"units" + name.format("units"): bag_of_units(task, units, ngrams=n) for name, n in sizes.items()}
        else:
            bags = {"words" + name.format("words"): bag_of_words(task, ngrams=n) for name, n in sizes.items()}
        return bags
    found = {"the same for all": commonest_entities(task)}
    if kind != SPEECH:
        found["phrases of training"] = gazetteer(task)
    return {name: [format_entities(entities) for entities in answers] for name, answers in found.items()}
