"""A tokenizer of phrases: whatever it is given comes back, in fewer tokens than there are words."""

import pytest

from emocapclip_hf.data.phrase_tokenizer import IMAGE, train_phrase_tokenizer
from emocapclip_hf.data.synthfaces import describe, sample_face

CAPTIONS = [describe(sample_face(seed, "train"), "short").to_paragraph() for seed in range(300)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_phrase_tokenizer(CAPTIONS, vocab_size=800, model_max_length=128)


def test_captions_come_back(tokenizer):
    for caption in CAPTIONS[:50]:
        assert tokenizer.decode(tokenizer(caption)["input_ids"]) == caption


def test_a_caption_is_fewer_tokens_than_words(tokenizer):
    tokens = sum(len(tokenizer(caption)["input_ids"]) for caption in CAPTIONS)
    assert tokens < 0.8 * sum(len(caption.split()) for caption in CAPTIONS)


def test_no_token_goes_on_behind_a_stop(tokenizer):
    tokens = [token for token in tokenizer.get_vocab() if token not in tokenizer.all_special_tokens]
    assert not [token for token in tokens if any(mark in token[:-1] for mark in ".,:;")]


def test_special_tokens_are_read_in_texts_and_left_out_of_captions(tokenizer):
    ids = tokenizer(f"{IMAGE}{IMAGE}<s>The lips")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids)[:3] == [IMAGE, IMAGE, "<s>"]
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "The lips"
    assert tokenizer.eos_token_id not in ids


def test_the_same_captions_give_the_same_tokenizer(tokenizer):
    again = train_phrase_tokenizer(CAPTIONS, vocab_size=800, model_max_length=128)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_saved_and_loaded(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = type(tokenizer).from_pretrained(tmp_path)
    assert loaded(CAPTIONS[0])["input_ids"] == tokenizer(CAPTIONS[0])["input_ids"]
    assert loaded.convert_tokens_to_ids(IMAGE) == tokenizer.convert_tokens_to_ids(IMAGE)


def test_no_captions_is_an_error():
    with pytest.raises(ValueError, match="no captions to train"):
        train_phrase_tokenizer([])
