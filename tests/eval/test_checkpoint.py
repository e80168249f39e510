"""Loading what is to be evaluated: EmoCapCLIP, and baselines of other makes."""

import pytest
import torch
from small_checkpoint import WORDS, small_model
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from emocapclip_hf.eval.checkpoint import load_checkpoint, model_fingerprint, preprocessing_fingerprint
from emocapclip_hf.zero_shot import encode_images, encode_texts

TOWER = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 2}
TEXT = {**TOWER, "vocab_size": len(WORDS), "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
VISION = {**TOWER, "image_size": 32, "patch_size": 8}
TEXTS = ["happy face", "sad", "a very very angry face"]


def saved(folder, model, image_processor, processor):
    """A checkpoint as others publish it, with a tokenizer that knows nothing of ours; SigLIP's makes no mask."""
    model.save_pretrained(folder)
    image_processor.save_pretrained(folder)
    tokenizer = processor.tokenizer
    names = ["input_ids"] if isinstance(model, SiglipModel) else ["input_ids", "attention_mask"]
    special = {"pad_token": "[PAD]", "eos_token": "[EOS]", "model_input_names": names}
    plain = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, **special)
    plain.save_pretrained(folder)
    return str(folder)


@torch.no_grad()
@pytest.mark.parametrize("make", ["clip", "siglip"])
def test_baselines_embed_as_they_do_themselves(make, processor, pictures, tmp_path):
    torch.manual_seed(0)
    if make == "clip":
        model = CLIPModel(CLIPConfig(text_config={**TEXT, "max_position_embeddings": 16}, vision_config=VISION)).eval()
        image_processor = processor.image_processor
    else:
        text = {**TEXT, "max_position_embeddings": 9, "projection_size": 32}
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=VISION)).eval()
        image_processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    checkpoint = load_checkpoint(saved(tmp_path, model, image_processor, processor))
    assert type(checkpoint.model) is type(model)
    pixels = image_processor(pictures, return_tensors="pt")
    expected = F.normalize(model.get_image_features(**pixels).pooler_output, dim=-1)
    found = torch.cat(list(encode_images(checkpoint.model, checkpoint.processor, pictures)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)

    padding = {"padding": "max_length", "max_length": 9} if make == "siglip" else {}
    for text, vector in zip(TEXTS, encode_texts(checkpoint.model, checkpoint.processor, TEXTS), strict=True):
        ids = processor.tokenizer(text, return_tensors="pt", **padding)["input_ids"]
        torch.testing.assert_close(
            vector, F.normalize(model.get_text_features(input_ids=ids).pooler_output[0], dim=0), atol=1e-5, rtol=0
        )


def test_half_precision_is_a_choice(small_checkpoint_folder):
    assert load_checkpoint(str(small_checkpoint_folder), dtype="bfloat16").model.dtype == torch.bfloat16


def test_the_revision_of_a_folder_is_what_its_weights_are(small_checkpoint_folder, tmp_path):
    revision = load_checkpoint(str(small_checkpoint_folder)).revision
    small_model(seed=0).save_pretrained(tmp_path / "copy")
    assert revision == model_fingerprint(small_model(seed=0)) != model_fingerprint(small_model(seed=1))


def test_preprocessing_has_a_name_too(processor):
    before = preprocessing_fingerprint(processor)
    processor.image_processor.do_resize = False
    assert preprocessing_fingerprint(processor) != before


def test_a_model_without_texts_is_refused(tmp_path):
    CLIPVisionModel(CLIPVisionConfig(**VISION)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"is a CLIPVisionModel, which has no get_image_features: only models of"):
        load_checkpoint(str(tmp_path))


def test_a_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # after `make train` it is there
    with pytest.raises(FileNotFoundError, match="there is no folder runs/synthfaces/model"):
        load_checkpoint("runs/synthfaces/model")
