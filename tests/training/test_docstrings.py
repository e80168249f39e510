"""The examples in docstrings of the training room do what they say."""

import doctest
from importlib import import_module

import pytest

MODULES = ("arguments", "batches", "checkpoints", "guides", "parameter_groups", "state", "trainer", "updates")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = import_module(f"emocapclip_hf.training.{name}")
    failed, tried = doctest.testmod(module)
    assert tried and not failed
