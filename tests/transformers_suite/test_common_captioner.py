"""transformers' common tests of [`EmoCapCLIPForConditionalGeneration`], with several decoders and projectors.

The source distribution holds no `tests/generation`; tests/modeling/test_captioner_generation.py checks generate().
"""

import unittest

import model_contract


class Gpt2CaptionerTest(model_contract.CaptionerContract, unittest.TestCase):
    towers = "gpt2"


class LlamaCaptionerTest(model_contract.CaptionerContract, unittest.TestCase):
    towers = "llama"


class QueryCaptionerTest(model_contract.CaptionerContract, unittest.TestCase):
    towers = "query"
