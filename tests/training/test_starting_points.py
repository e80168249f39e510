"""Training starts from another model's checkpoint with that model's own logits."""

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    Siglip2Config,
    Siglip2Model,
    SiglipConfig,
    SiglipModel,
)

from emocapclip_hf.training.starting_points import KNOWN_CLIPS, as_emocapclip, clip_config, load_starting_point

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {**TOWER, "vocab_size": 100, "bos_token_id": 2, "eos_token_id": 1}
PATCHES = {"image_size": 32, "patch_size": 8}


def clip():
    text = {**TEXT, "eos_token_id": 99}
    return CLIPModel(CLIPConfig(vision_config={**TOWER, **PATCHES}, text_config=text, projection_dim=24))


def siglip():
    text = {**TEXT, "projection_size": 32, "max_position_embeddings": 8}
    return SiglipModel(SiglipConfig(vision_config={**TOWER, **PATCHES}, text_config=text))


def siglip2():
    text = {**TEXT, "projection_size": 32, "max_position_embeddings": 8}
    vision = {**TOWER, "num_patches": 16, "patch_size": 8}
    return Siglip2Model(Siglip2Config(vision_config=vision, text_config=text))


def inputs(name):
    ids = torch.randint(3, 99, (3, 8))
    ids[:, -1] = 99 if name == "clip" else 1
    if name != "siglip2":
        return {"input_ids": ids, "pixel_values": torch.randn(2, 3, 32, 32)}
    mask = torch.ones(2, 16, dtype=torch.int64)
    return {
        "input_ids": ids,
        "pixel_values": torch.randn(2, 16, 192),
        "pixel_attention_mask": mask,
        "spatial_shapes": torch.tensor([[4, 4], [2, 8]]),
    }


@pytest.mark.parametrize("make", [clip, siglip, siglip2])
@torch.no_grad()
def test_the_logits_are_the_checkpoints_own(make, tmp_path):
    torch.manual_seed(0)
    theirs = make().eval()
    theirs.logit_scale.fill_(2.0)
    theirs.save_pretrained(tmp_path)
    ours = load_starting_point(str(tmp_path), eos_token_id=99 if make is clip else 1).eval()
    batch = inputs(make.__name__)
    assert torch.allclose(ours(**batch).logits_per_image, theirs(**batch).logits_per_image, atol=1e-5)
    assert ours.config.to_dict()["projection_dim"] == as_emocapclip(clip_config(str(tmp_path))).projection_dim


def test_known_architectures_have_the_size_of_the_published_models():
    with torch.device("meta"):
        sizes = {
            name: sum(parameter.numel() for parameter in _model_of(name).parameters()) / 1e6 for name in KNOWN_CLIPS
        }
    assert sizes["openai/clip-vit-base-patch32"] == pytest.approx(151.3, abs=0.1)
    assert sizes["openai/clip-vit-base-patch16"] == pytest.approx(149.6, abs=0.1)
    assert sizes["google/siglip2-base-patch16-naflex"] == pytest.approx(375, abs=1)


def _model_of(name):
    config = clip_config(name)
    return {"clip": CLIPModel, "siglip2": Siglip2Model}[config.model_type](config)


def test_what_is_neither_here_nor_known_is_named():
    with pytest.raises(FileNotFoundError, match=r"somebody/clip is not on this machine.*hf download somebody/clip"):
        clip_config("somebody/clip")
