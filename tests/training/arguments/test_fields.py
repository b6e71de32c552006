"""A field is described once, in its class's docstring, and says what values it may have."""

import ast
import inspect
import re
from dataclasses import MISSING, fields, replace

import pytest

from evoslm.training.arguments.command_flags import COMMANDS
from evoslm.training.arguments.fields import check_values, describe_arguments, first_sentence
from evoslm.training.arguments.study import CorpusArguments, PretrainArguments, RunArguments
from evoslm.training.unit_report.measuring import UnitReportArguments

GROUPS = list(dict.fromkeys(group for command in COMMANDS.values() for group in command.groups()))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_every_field_has_an_entry_in_the_docstring_and_every_entry_a_field(group):
    assert list(describe_arguments(group)) == [item.name for item in fields(group)]
    assert all(describe_arguments(group).values())


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_the_docstring_names_the_defaults(group):
    described = {name: ast.literal_eval(text) for name, text in _entries_with_defaults(group)}
    made = {item.name: item.default_factory() for item in fields(group) if item.default_factory is not MISSING}
    made |= {item.name: item.default for item in fields(group) if item.default not in (MISSING, None)}
    # What a long list is by default is said in words.
    in_words = ("modalities", "points", "perturbations")
    assert described == {name: value for name, value in made.items() if name not in in_words}


def _entries_with_defaults(group):
    for line in inspect.getdoc(group).splitlines():
        if found := re.match(r"^ {4}(\w+) \(.*defaults to (.+?)\):", line):
            yield found[1], found[2].strip("`")


def test_a_description_is_its_entry_on_one_line():
    about = describe_arguments(PretrainArguments)["epochs"]
    assert about == (
        'Passes over the training split (with `train_until="converged"` the most that are made before the decay).'
    )
    assert first_sentence("One of .txt files. `Two` follows.") == "One of .txt files."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (CorpusArguments(voices="three"), "--voices is 'three'; choose from one, many."),
        (UnitReportArguments(normalizations=["none", "room"]), "--normalizations is 'room'; choose from none, "),
        (CorpusArguments(max_words=0), "--max_words is 0; it must be at least 1."),
        (CorpusArguments(max_skipped_fraction=1.5), "--max_skipped_fraction is 1.5; it must be at most 1."),
        (PretrainArguments(epochs=0.0), "--epochs is 0.0; it must be above 0."),
        (RunArguments(num_proc=0), "--num_proc is 0; it must be at least 1."),
    ],
)
def test_a_value_that_cannot_be_is_named_with_those_that_can(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_values(arguments)


def test_what_is_not_given_is_let_through():
    check_values(replace(RunArguments(), num_proc=None))
