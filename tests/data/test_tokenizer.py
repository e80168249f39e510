"""The small tokenizer that is trained on captions."""

import io
import warnings

import pytest
import sentencepiece
import torch
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel

from emocapclip_hf.data.caption import EmoCaption
from emocapclip_hf.data.tokenizer import _train_unigram, small_processor, train_tokenizer

REGIONS = ["lips", "brows", "cheeks", "eyelids", "nostrils", "chin", "jaw", "forehead", "gaze", "head"]
CHANGES = ["are raised", "are pulled down", "tighten slightly", "look relaxed", "are drawn together", "part widely"]
TEXTS = [f"The {side} {region} {change}." for side in ("left", "right") for region in REGIONS for change in CHANGES]
CAPTION = EmoCaption("A very happy face.", ["The lips part widely."], "Ultimately, joy.")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, vocab_size=48, model_max_length=30)


@pytest.mark.filterwarnings("ignore:A text of")
def test_special_tokens(tokenizer):
    assert tokenizer.convert_tokens_to_ids(["<pad>", "<unk>", "<s>", "</s>"]) == [0, 1, 2, 3]
    assert (tokenizer.pad_token, tokenizer.unk_token) == ("<pad>", "<unk>")
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (2, 3)
    assert tokenizer.padding_side == "right"
    assert len(tokenizer) == 48
    ids = tokenizer(["The lips part.", "The brows are raised and drawn together."], padding=True)["input_ids"]
    assert [row[0] for row in ids] == [2, 2]
    assert [row[row.index(3) :] for row in ids] == [[3] + [0] * (len(ids[0]) - 1 - ids[0].index(3)), [3]]


@pytest.mark.filterwarnings("ignore:A text of")
def test_long_texts_are_cut_and_still_end(tokenizer):
    for text in TEXTS[0] * 20, "lips " * 300:
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == 30 and ids[-1] == tokenizer.eos_token_id


def test_ids_are_those_of_sentencepiece(tokenizer):
    """The reference is sentencepiece itself, on text that is normalised by hand."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text.lower() for text in TEXTS]), model_writer=model, vocab_size=48,
        hard_vocab_limit=False, character_coverage=1.0, num_threads=1, normalization_rule_name="identity",
        pad_id=0, unk_id=1, bos_id=2, eos_id=3, minloglevel=2,
    )  # fmt: skip
    reference = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    for text in [*TEXTS, "An unseen headline gazes right!", "  THE\tLIPS  \n part ", "ﬁve ½ eyes", "笑顔 lips 😀😀"]:
        plain = " ".join({"ﬁve ½ eyes": "five 1⁄2 eyes"}.get(text, text).lower().split())
        expected = [2, *reference.encode(plain), 3]
        assert tokenizer(text, truncation=False)["input_ids"] == expected, text


def test_training_is_deterministic():
    first, second = (train_tokenizer(iter(TEXTS), vocab_size=48) for _ in range(2))
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


def test_round_trip(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").stat().st_size < 20_000
    loaded = AutoTokenizer.from_pretrained(tmp_path, trust_remote_code=True)
    assert loaded.is_fast and loaded.model_max_length == 30
    assert loaded(TEXTS, padding=True)["input_ids"] == tokenizer(TEXTS, padding=True)["input_ids"]
    assert loaded.decode(loaded(TEXTS[0])["input_ids"], skip_special_tokens=True) == TEXTS[0].lower()


def test_clip_text_tower_pools_at_the_end_token(tokenizer):
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_attention_heads=2, num_hidden_layers=1,
        max_position_embeddings=30, bos_token_id=2, eos_token_id=tokenizer.eos_token_id, pad_token_id=0,
    )  # fmt: skip
    model = CLIPTextModel(config).eval()
    inputs = tokenizer([*TEXTS[:2], "The lips part."], padding=True, return_tensors="pt")
    with torch.no_grad():
        output = model(**inputs)
    ends = (inputs["input_ids"] == tokenizer.eos_token_id).int().argmax(-1)
    torch.testing.assert_close(output.pooler_output, output.last_hidden_state[torch.arange(3), ends])


def test_too_little_text_for_the_vocabulary():
    with pytest.warns(UserWarning, match=r"vocab_size=5000 was lowered to \d+: 120 texts"):
        lowered = train_tokenizer(TEXTS, vocab_size=5000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(train_tokenizer(TEXTS, vocab_size=len(lowered))) == len(lowered)


def test_too_small_a_vocabulary_names_the_smallest():
    with pytest.raises(ValueError, match=r"cannot train 10 pieces .* must be at least (\d+)") as caught:
        train_tokenizer(TEXTS, vocab_size=10)
    smallest = int(str(caught.value).split("at least ")[1].split(":")[0])
    train_tokenizer(TEXTS, vocab_size=smallest)
    with pytest.raises(ValueError, match="cannot train"):
        train_tokenizer(TEXTS, vocab_size=smallest - 1)


def test_long_texts_count_too():
    """sentencepiece leaves out lines of more than 4,192 bytes unless told."""
    pieces = _train_unigram(["zq " * 3000, "a b"], vocab_size=40)
    assert any("zq" in piece for piece, _ in pieces)


@pytest.mark.parametrize(
    ("captions", "error", "message"),
    [
        ([], ValueError, "no captions"),
        (["a face", " "], ValueError, r"captions\[1\] is empty"),
        ("a face", TypeError, "one string"),
        ([3], TypeError, "a int without 'global_caption'"),
    ],
)
def test_bad_captions(captions, error, message):
    with pytest.raises(error, match=message):
        train_tokenizer(captions)


def test_no_room_for_words():
    with pytest.raises(ValueError, match="model_max_length=2 leaves no room"):
        train_tokenizer(TEXTS, model_max_length=2)


@pytest.mark.filterwarnings("ignore:vocab_size")
def test_small_processor():
    processor = small_processor([CAPTION, *TEXTS], image_size=48, model_max_length=30)
    batch = processor(images=[torch.zeros(3, 60, 50, dtype=torch.uint8)], captions=[CAPTION])
    assert batch["pixel_values"].shape == (1, 3, 48, 48)
    assert processor.tokenizer.model_max_length == 30
    assert "ultimately, joy." in processor.decode(batch["summary_input_ids"][0])
