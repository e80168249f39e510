"""What SynthFaces' columns make true, and the measures taken with it."""

import pytest
import torch
from loops import random_embeddings

from emocapclip_hf.objective import MiningTruth
from emocapclip_hf.objective.diagnostics import mining_quality, positive_counts, reduce_fractions, retrieval_accuracy
from emocapclip_hf.objective.distributed import RowLayout
from emocapclip_hf.objective.mining import Candidates, Positives


def unit(au: int, side: str = "both") -> dict:
    return {"au": au, "intensity": 0.7, "side": side}


BATCH = {
    "emotion": ["happiness", "other", "happiness", "other"],
    "action_units": [[unit(6), unit(12)], [unit(12, "left")], [unit(12), unit(25)], []],
    # asserted both-sided smile; asserted left smile, denied parted lips; parted lips; about a beard
    "local_action_units": [[12], [12, -25], [25], [0]],
    "local_sides": [["both"], ["left", ""], ["both"], [""]],
}


def candidates_of(owners: list[int], images: int, keys: list[int] | None = None) -> Candidates:
    """Captions with these owners, all different unless `keys` says otherwise."""
    numbers = torch.tensor(keys or list(range(len(owners))))
    layouts = RowLayout((images,)), RowLayout((len(owners),))
    return Candidates(torch.zeros(len(owners), 1), torch.tensor(owners), numbers, *layouts)


SENTENCES = candidates_of([0, 1, 1, 2, 3], images=4)


def test_local_truth_is_what_the_face_shows():
    pairs = MiningTruth.from_batch(BATCH).pairs("local", SENTENCES)
    expected = [
        # smile, left corner up, lips not parted, lips parted, beard
        [1, 1, 1, 0, 0],  # a smile on both sides is one on the left, too
        [0, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [0, 0, 1, 0, 1],  # only its own image is known to have the beard
    ]
    assert pairs.int().tolist() == expected


def test_captions_that_read_the_same_are_true_of_each_others_images():
    same = candidates_of([0, 1, 1, 2, 3], images=4, keys=[0, 9, 2, 3, 9])  # the fourth image's says the second's
    pairs = MiningTruth.from_batch(BATCH).pairs("local", same)
    assert pairs[1, 4] and pairs[3, 1]


def test_global_truth_is_the_same_emotion_and_other_is_none():
    for level in ("global", "summary"):
        pairs = MiningTruth.from_batch(BATCH).pairs(level, candidates_of([0, 1, 2, 3], images=4))
        assert pairs.int().tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("emotion", [[None, None, "fear"], torch.tensor([torch.nan, torch.nan, 3.0])])
def test_a_missing_emotion_is_true_of_nobody_else(emotion):
    pairs = MiningTruth.from_batch({"emotion": emotion}).pairs("global", candidates_of([0, 1, 2], images=3))
    assert torch.equal(pairs, torch.eye(3, dtype=torch.bool))


def test_truth_without_units_or_emotions():
    assert MiningTruth.from_batch({"emotion": ["fear"]}).pairs("local", SENTENCES) is None
    with pytest.raises(ValueError, match=r"no column emotion.*label_columns"):
        MiningTruth.from_batch({"image": []})


def test_real_rows_agree_with_their_own_sentences():
    synthfaces = pytest.importorskip("emocapclip_hf.data.synthfaces")
    faces = [synthfaces.sample_face(seed, "train") for seed in range(20)]
    traced = [synthfaces.describe_traced(face).local_sentences for face in faces]
    batch = {
        "emotion": [face.emotion for face in faces],
        "action_units": [[{"au": a.au, "side": a.side} for a in face.action_units] for face in faces],
        "local_action_units": [[sentence.action_unit for sentence in sentences] for sentences in traced],
        "local_sides": [[sentence.side for sentence in sentences] for sentences in traced],
    }
    units = torch.tensor([unit for units in batch["local_action_units"] for unit in units])
    owners = torch.arange(20).repeat_interleave(torch.tensor([len(sentences) for sentences in traced]))
    truth, own = MiningTruth.from_batch(batch), owners == torch.arange(20)[:, None]
    pairs = truth.pairs("local", candidates_of(owners.tolist(), images=20))
    nothing_else = candidates_of([0] * len(owners), images=20)  # as if all sentences were the first face's
    assert (truth.pairs("local", nothing_else)[own & (units != 0)]).all()  # a sentence is true of its own face
    assert 0.05 < (pairs & ~own).float().mean() < 0.8


def test_precision_and_recall_count_pairs_beyond_own_ones():
    embeddings = random_embeddings([1, 1, 1])
    captions = embeddings.captions["global"]
    candidates = Candidates(captions.embeds, captions.owners, captions.keys, RowLayout((3,)), RowLayout((3,)))
    mined = torch.tensor([[1.0, 0.4, 0], [1, 1, 0], [0, 0, 1]])
    truth = torch.tensor([[1, 1, 1], [0, 1, 0], [0, 0, 1]]).bool()
    positives = Positives(mined, mined.clone().fill_diagonal_(1) * torch.tensor([1.0, 1, 1]))
    quality = reduce_fractions(mining_quality(positives, candidates, truth))
    assert quality["image_to_text_mining_precision"] == 0.5  # (0, 1) is true, (1, 0) is not
    assert quality["image_to_text_mining_recall"] == 0.5  # (0, 2) was missed
    counts = reduce_fractions(positive_counts(positives, candidates))
    assert counts["positives_per_image"] == counts["positives_per_caption"] == pytest.approx(5 / 3)


def test_retrieval_accuracy_of_both_directions():
    exact = torch.tensor([[1, 1, 0], [0, 0, 1], [0, 0, 0]]).bool()
    logits = torch.tensor([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4], [0.1, 0.0, 0.8]])
    accuracy = reduce_fractions(retrieval_accuracy(logits, exact))
    assert accuracy["image_to_text_accuracy"] == 1  # the third image has no caption, so it is not asked
    assert accuracy["text_to_image_accuracy"] == pytest.approx(1 / 3)


def test_a_collapsed_space_retrieves_nothing():
    accuracy = reduce_fractions(retrieval_accuracy(torch.zeros(4, 4), torch.eye(4).bool()))
    assert accuracy == {"image_to_text_accuracy": 0, "text_to_image_accuracy": 0}
