"""The captioner's batches and loss."""

import numpy as np
import pytest
import torch
from captioner_zoo import captioner_processor, captioner_with_words

from emocapclip_hf.data.augmentation import FaceAugmentation
from emocapclip_hf.training.captioner import CaptionCollator, CaptionObjective

ROWS = [
    {
        "row": index,
        "image": np.random.default_rng(index).integers(256, size=(36, 36, 3), dtype=np.uint8),
        "global_caption": "The left brows are raised.",
        "local_captions": ["The lips are parted."] * index,
        "summary_caption": "Ultimately, this is joy.",
    }
    for index in range(4)
]


@pytest.fixture(scope="module")
def processor():
    return captioner_processor()


def test_a_batch_is_pictures_and_whole_captions(processor):
    batch = CaptionCollator(processor)(ROWS)
    assert batch["pixel_values"].shape == (4, 3, 32, 32) and batch["row"].tolist() == [0, 1, 2, 3]
    written = [processor.tokenizer.decode(row[row != -100], skip_special_tokens=True) for row in batch["labels"]]
    assert [text.count("lips") for text in written] == [0, 1, 2, 3]
    assert all("joy" in text for text in written)


def test_a_mirrored_picture_changes_sides_in_its_caption():
    processor = captioner_processor()
    processor.tokenizer.add_tokens(["left", "right"])
    collator = CaptionCollator(processor, FaceAugmentation(flip=0.5), seed=3)
    batch = collator(ROWS * 4)
    changes = [collator._draw_change(0, row["row"]) for row in ROWS * 4]
    assert len({change.flip for change in changes}) == 2
    for change, labels in zip(changes, batch["labels"], strict=True):
        text = processor.tokenizer.decode(labels[labels != -100])
        assert ("right" in text, "left" in text) == (change.flip, not change.flip)


def test_the_loss_is_that_of_the_model(processor):
    """The short way, logits of captions alone and no mask, against the model's own loss of the whole sequence."""
    model = captioner_with_words()
    batch = CaptionCollator(processor)(ROWS)
    objective = CaptionObjective()
    output = objective(objective.embedder(model)(batch), step=0)
    inputs = {name: value for name, value in batch.items() if name != "row"}
    whole = model(**inputs)
    torch.testing.assert_close(output.loss, whole.loss)
    targets = batch["labels"][:, 1:]
    hits = (whole.logits[:, :-1].argmax(-1) == targets)[targets != -100].float().mean()
    torch.testing.assert_close(output.token_accuracy, hits)
    assert set(output.scalars()) == {"loss", "token_accuracy"}


def test_every_token_counts_the_same_however_batches_are_cut(processor):
    """Rows alone, weighted by their tokens, give the batch's loss."""
    model, collator, objective = captioner_with_words(), CaptionCollator(processor), CaptionObjective()
    scorer = objective.embedder(model)
    whole = scorer(collator(ROWS))
    parts = [scorer(collator([row])) for row in ROWS]
    for name in ("negative_log_likelihood", "hits", "tokens"):
        torch.testing.assert_close(
            getattr(whole, name), sum(getattr(part, name) for part in parts), atol=1e-4, rtol=1e-5
        )


def test_what_is_not_finite_is_an_error(processor):
    model = captioner_with_words()
    model.get_output_embeddings().weight.data.fill_(float("nan"))
    objective = CaptionObjective()
    with pytest.raises(FloatingPointError, match="not finite at step 7"):
        objective(objective.embedder(model)(CaptionCollator(processor)(ROWS)), step=7)


@pytest.mark.slow
def test_a_few_steps_learn_which_caption_goes_with_which_picture(processor):
    torch.manual_seed(0)
    model, objective = captioner_with_words().train(), CaptionObjective()
    plain = [{**row, "image": np.full((36, 36, 3), 80 * row["row"], dtype=np.uint8)} for row in ROWS]
    scorer, batch = objective.embedder(model), CaptionCollator(processor)(plain)
    optimizer = torch.optim.AdamW(scorer.parameters(), lr=1e-2)
    for step in range(80):
        optimizer.zero_grad()
        output = objective(scorer(batch), step)
        output.loss.backward()
        optimizer.step()
    assert output.token_accuracy > 0.95
    swapped = batch | {"pixel_values": batch["pixel_values"].flip(0)}
    assert objective(scorer(swapped)).loss > 3 * output.loss
