"""From batches to embeddings: which caption belongs to which image, under every reshape."""

import pytest
import torch
from processes import IMAGES, shared_batch, shared_model
from torch.nn import functional as F
from zoo import random_inputs, random_texts, small_config

from emocapclip_hf import EmoCapCLIPModel
from emocapclip_hf.objective import Embedder, Embeddings, GlobalLocalObjective, ObjectiveOptions
from emocapclip_hf.objective.embeddings import caption_keys, present_captions
from emocapclip_hf.objective.guides import split_batch


def test_every_sentence_keeps_its_image():
    """Ids that say image and sentence survive flattening, masking, chunking and joining."""
    images, sentences, length = 5, 3, 4
    number = torch.arange(images)[:, None] * 10 + torch.arange(sentences)  # (images, sentences)
    mask = torch.ones(images, sentences, dtype=torch.bool)
    mask[1, 1:] = mask[2] = False
    batch = {"local_input_ids": number[..., None].expand(-1, -1, length), "local_mask": mask}
    ids, owners, attention_mask = present_captions(batch, "local")
    assert ids[:, 0].tolist() == [0, 1, 2, 10, 30, 31, 32, 40, 41, 42]
    assert owners.tolist() == [0, 0, 0, 1, 3, 3, 3, 4, 4, 4] and attention_mask is None


def test_embeds_what_the_model_embeds():
    model, batch = shared_model().eval(), shared_batch()
    embeddings = Embedder(model)(batch)
    inputs = {
        name: batch[name] for name in batch if "guide" not in name and name not in ("emotion", "active", "asserted")
    }
    output = model(**inputs)
    torch.testing.assert_close(embeddings.image, output.image_embeds)
    torch.testing.assert_close(embeddings.patches, output.patch_embeds)
    torch.testing.assert_close(embeddings.captions["global"].embeds, output.text_embeds)
    torch.testing.assert_close(embeddings.captions["summary"].embeds, output.summary_embeds)
    torch.testing.assert_close(embeddings.captions["local"].embeds, output.local_text_embeds[output.local_mask])
    torch.testing.assert_close(
        embeddings.captions["local"].embeds @ embeddings.scoring.local_query,
        model.local_head.queries(embeddings.captions["local"].embeds),
    )


@pytest.mark.parametrize("new", [0, 5])
def test_unsampled_sentences_that_another_face_has_sampled_are_not_read_again(new):
    model, batch = shared_model().eval(), shared_batch()
    ids, mask = batch["unsampled_input_ids"], batch["unsampled_attention_mask"]
    places = batch["unsampled_mask"].nonzero()[:new]
    for number, (image, sentence) in enumerate(places):
        length = int(mask[image, sentence].sum())
        ids[image, sentence, :length] = ids[image, sentence, :length].flip(0)
        ids[image, sentence, 0] = number + 3
    read = []
    hook = model.text_model.register_forward_pre_hook(lambda _, args, kwargs: read.append(kwargs), with_kwargs=True)
    embedder = Embedder(model, levels=["local"])
    embeddings = embedder(batch)
    hook.remove()
    texts = sum(len(call["input_ids"]) for call in read)
    assert texts == len(embeddings.captions["local"].keys.unique()) + new
    input_ids, owners, attention_mask = present_captions(batch, "unsampled")
    expected = F.normalize(model.get_text_features(input_ids, attention_mask).pooler_output, dim=-1)
    torch.testing.assert_close(embeddings.unsampled.embeds, expected)
    assert not embeddings.unsampled.embeds.requires_grad
    assert torch.equal(embeddings.unsampled.owners, owners)
    assert torch.equal(embeddings.unsampled.keys, caption_keys(input_ids, attention_mask))


@pytest.mark.parametrize("towers", ["clip", "siglip2", "convnextv2"])
def test_own_positives_give_the_loss_of_the_model(towers):
    torch.manual_seed(0)
    config = small_config(towers, global_loss_weight=2.0, local_loss_weight=0.5)
    model, batch = EmoCapCLIPModel(config).eval(), random_inputs(config, 5, 3)
    objective = GlobalLocalObjective(ObjectiveOptions(2.0, 1.0, 0.5))
    ours, models = objective(objective.embedder(model)(batch)), model(**batch, return_loss=True)
    for name in ("loss", "global_loss", "summary_loss", "local_loss"):
        torch.testing.assert_close(getattr(ours, name), getattr(models, name), rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing():
    """What stands in padded sentences is never read: not as a row, not as a column."""
    model, batch = shared_model(), shared_batch()
    objective = GlobalLocalObjective()
    expected = objective(objective.embedder(model)(batch)).scalars()
    padded = ~batch["local_mask"]
    batch["local_input_ids"][padded] = random_texts(int(padded.sum()), seed=9)[0]
    batch["local_attention_mask"][padded] = 1
    assert objective(objective.embedder(model)(batch)).scalars() == expected
    batch["local_mask"] = torch.ones_like(padded)
    assert objective(objective.embedder(model)(batch)).scalars() != expected


def test_chunks_join_to_the_whole():
    embedder, batch = Embedder(shared_model()), shared_batch()
    whole, parts = embedder(batch), [embedder(chunk) for chunk in split_batch(batch, 4)]
    joined = Embeddings.cat(parts)
    for name, tensor in whole.tensors().items():
        torch.testing.assert_close(joined.tensors()[name], tensor, msg=name)
    for level, captions in whole.captions.items():
        assert torch.equal(joined.captions[level].owners, captions.owners), level
        assert torch.equal(joined.captions[level].keys, captions.keys), level
    assert len(joined.image) == IMAGES


def test_keys_are_equal_for_equal_captions_only():
    ids, mask = random_texts(200, length=12)
    longer = F.pad(ids, (0, 5), value=1)
    keys = caption_keys(ids, mask)
    assert torch.equal(keys, caption_keys(longer, F.pad(mask, (0, 5))))  # padded further, as on another process
    assert torch.equal(keys, caption_keys(F.pad(ids, (3, 0), value=1), F.pad(mask, (3, 0))))
    assert len(keys.unique()) == len({tuple(row[m.bool()].tolist()) for row, m in zip(ids, mask, strict=True)})
    swapped = ids.clone()
    swapped[:, [1, 2]] = swapped[:, [2, 1]]
    moved = (swapped != ids).any(dim=1)
    assert (caption_keys(swapped, mask)[moved] != keys[moved]).all()


def test_temperatures_are_held_below_their_maximum_and_can_come_back():
    model, batch = shared_model(), shared_batch()
    model.logit_scale.data.fill_(9.0)
    scoring = Embedder(model, max_temperature=50.0)(batch).scoring
    assert scoring.scale.item() == pytest.approx(50) and model.logit_scale.exp().item() == pytest.approx(50)
    scoring.scale.backward()
    assert model.logit_scale.grad.item() == pytest.approx(50)


def test_a_level_that_the_batch_lacks():
    batch = shared_batch()
    del batch["summary_input_ids"]
    with pytest.raises(ValueError, match="no summary_input_ids, which the summary level needs"):
        Embedder(shared_model())(batch)
    assert set(Embedder(shared_model(), ["global", "local"])(batch).captions) == {"global", "local"}


def test_the_local_level_needs_the_local_head():
    model = shared_model(use_local_head=False)
    with pytest.raises(ValueError, match="use_local_head=True"):
        Embedder(model)
    objective = GlobalLocalObjective(ObjectiveOptions(local_weight=0))
    objective(objective.embedder(model)(shared_batch())).loss.backward()
