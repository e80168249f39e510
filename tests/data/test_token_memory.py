"""Remembered tokens are those of the tokenizer."""

from __future__ import annotations

import copy

import pytest
import torch

from emocapclip_hf.data.token_memory import TokenMemory

TEXTS = ["The brows are raised.", "", "A wide smile, raised cheeks.", "The brows are raised.", "Joy."]


@pytest.fixture
def tokenizer(processor):
    return copy.deepcopy(processor.tokenizer)


@pytest.mark.parametrize("side", ["right", "left"])
def test_equals_the_tokenizer(tokenizer, side):
    tokenizer.padding_side = side
    memory = TokenMemory(tokenizer)
    for texts in (TEXTS, TEXTS[3:], TEXTS[:1], ["Only the cheeks.", *TEXTS], [""]):
        expected = tokenizer(texts, padding=True, return_tensors="pt")
        found = memory(texts)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_text_is_read_once_while_it_is_remembered(tokenizer):
    read = []

    class Watched:
        padding_side, pad_token_id, init_kwargs = "right", tokenizer.pad_token_id, {}

        def __call__(self, texts, padding):
            read.extend(texts)
            return tokenizer(texts, padding=padding)

    memory = TokenMemory(Watched(), capacity=2)
    for texts in (["a smile"], ["a frown", "a smile", "a frown"], ["a brow"], ["a frown"], ["a smile"]):
        memory(texts)
    assert read == ["a smile", "a frown", "a brow", "a smile"]  # the smile was used least lately when the brow came


def test_more_texts_at_once_than_it_remembers(tokenizer):
    found = TokenMemory(tokenizer, capacity=1)(TEXTS)
    assert torch.equal(found["input_ids"], tokenizer(TEXTS, padding=True, return_tensors="pt")["input_ids"])
