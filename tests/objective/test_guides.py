"""Guides: a teacher that follows slowly, texts encoded by anything, columns computed beforehand."""

import pytest
import torch
from processes import shared_batch, shared_model

from emocapclip_hf.objective import (
    EmaGuide,
    Embedder,
    FrozenGuide,
    GlobalLocalObjective,
    MiningRule,
    ObjectiveOptions,
    PositiveMiner,
)


def test_the_teacher_is_the_moving_average():
    embedder = Embedder(shared_model())
    guide = EmaGuide(embedder, decay=0.75, chunk_size=4)
    before = embedder.model.visual_projection.weight.detach().clone()
    with torch.no_grad():
        for step in (1, 2):
            embedder.model.visual_projection.weight += step
            guide.update(embedder)
    # a_1 = .75 w + .25 (w + 1), a_2 = .75 a_1 + .25 (w + 3)
    torch.testing.assert_close(guide.teacher.model.visual_projection.weight, before + 0.75 * 0.25 + 0.25 * 3)


def test_at_the_beginning_the_teacher_follows_quickly():
    embedder = Embedder(shared_model())
    guide = EmaGuide(embedder, decay=0.75)
    before = embedder.model.visual_projection.weight.detach().clone()
    with torch.no_grad():
        embedder.model.visual_projection.weight += 1
    guide.update(embedder, step=0)
    torch.testing.assert_close(guide.teacher.model.visual_projection.weight, before + 0.9)
    guide.update(embedder, step=1000)
    torch.testing.assert_close(guide.teacher.model.visual_projection.weight, before + 0.75 * 0.9 + 0.25)


def test_the_teacher_embeds_without_gradient_or_dropout():
    embedder, batch = Embedder(shared_model()), shared_batch()
    guide = EmaGuide(embedder, chunk_size=4).train()
    seen, own = guide(batch), embedder.eval()(batch)
    assert not guide.teacher.training and seen.patches is None
    assert not any(tensor.requires_grad for tensor in seen.tensors().values())
    torch.testing.assert_close(seen.captions["local"].embeds, own.captions["local"].embeds)
    torch.testing.assert_close(seen.image, own.image)


def test_the_teacher_is_saved_and_loaded():
    embedder = Embedder(shared_model())
    guide, other = EmaGuide(embedder), EmaGuide(embedder)
    with torch.no_grad():
        embedder.model.text_projection.weight += 1
    guide.update(embedder)
    other.load_state_dict(guide.state_dict())
    assert torch.equal(other.teacher.model.text_projection.weight, guide.teacher.model.text_projection.weight)


def test_any_text_encoder_sees_each_distinct_text_once():
    batch = shared_batch()
    images, sentences = batch["local_mask"].shape
    batch |= {
        "global_caption": [f"face {i % 3}" for i in range(images)],
        "summary_caption": [f"so, {i % 2}" for i in range(images)],
        "local_captions": [[f"{i}.{k}" for k in range(sentences) if batch["local_mask"][i, k]] for i in range(images)],
    }
    calls = []

    def encode(texts):
        calls.append(texts)
        return torch.tensor([[float(text[-1]), 1.0] for text in texts])

    seen = FrozenGuide(encode)(batch)
    assert calls[0] == ["face 0", "face 1", "face 2"] and calls[1] == ["so, 0", "so, 1"]
    assert seen.captions["global"].embeds[:, 0].tolist() == [i % 3 for i in range(images)]
    assert seen.captions["local"].embeds[:, 0].tolist() == batch["local_mask"].nonzero()[:, 1].tolist()
    assert seen.image is None


def test_columns_come_padded_or_as_lists():
    batch = shared_batch()
    padded = FrozenGuide()(batch).captions["local"].embeds
    rows = [
        vectors[mask].tolist() for vectors, mask in zip(batch["local_guide_embeds"], batch["local_mask"], strict=True)
    ]
    listed = FrozenGuide()(batch | {"local_guide_embeds": rows}).captions["local"].embeds
    torch.testing.assert_close(listed.double(), padded)


def test_a_guide_without_what_the_rule_needs():
    batch = shared_batch()
    objective = GlobalLocalObjective(
        ObjectiveOptions(summary_weight=0), PositiveMiner({"global": MiningRule("text", by_level="summary", top_k=1)})
    )
    embeddings = objective.embedder(shared_model())(batch)
    with pytest.raises(ValueError, match="compares captions of the summary level, which is off"):
        objective(embeddings)
    assert objective(embeddings, guide=FrozenGuide()(batch)).loss.isfinite()
    with pytest.raises(ValueError, match=r"global_guide_embeds.*label_columns"):
        FrozenGuide()({"input_ids": batch["input_ids"]})
    with pytest.raises(ValueError, match="local_guide_embeds has 2 entries"):
        FrozenGuide()(batch | {"local_guide_embeds": [[[1.0]], [[2.0]]]})
    with pytest.raises(ValueError, match="decay is 1"):
        EmaGuide(Embedder(shared_model()), decay=1.0)


def test_where_a_guide_is_silent_the_model_guides():
    batch = shared_batch()
    rules = {level: MiningRule("cross", top_k=1) for level in ("global", "summary", "local")}
    objective = GlobalLocalObjective(miner=PositiveMiner(rules))
    embeddings = objective.embedder(shared_model())(batch)
    seen = FrozenGuide()({name: batch[name] for name in batch if "guide" not in name or name.startswith("summary")})
    own, mixed = objective(embeddings), objective(embeddings, guide=seen)
    assert mixed.global_loss == own.global_loss and mixed.local_loss == own.local_loss
    assert mixed.summary_loss != own.summary_loss


def test_a_guide_of_another_batch():
    batch = shared_batch()
    objective = GlobalLocalObjective(miner=PositiveMiner({"global": MiningRule("text", top_k=1)}))
    embedder = objective.embedder(shared_model())
    fewer = {name: value[:4] for name, value in batch.items()}
    with pytest.raises(ValueError, match="guide has 4 global captions where the batch has 11"):
        objective(embedder(batch), guide=embedder(fewer))
