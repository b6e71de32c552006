"""The installed package: what `import evoslm` gives, from a checkout and from a wheel."""

import subprocess
import sys

import pytest

import evoslm


def test_importing_the_package_registers_its_models():
    code = "import evoslm; from transformers import AutoConfig; print(AutoConfig.for_model('speech_units').num_units)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "500", result.stderr


def test_folders_of_metrics_are_found_and_unknown_ones_named():
    assert evoslm.metric_path("swuggy").endswith("swuggy")
    with pytest.raises(ValueError, match="choose from .*sblimp"):
        evoslm.metric_path("bleu")
