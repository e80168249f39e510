"""Mining against its definition in loops."""

from itertools import product

import pytest
import torch
from loops import looped_exact, looped_neighbours, random_embeddings, unit

from emocapclip_hf.objective import GlobalLocalObjective, MiningRule, MiningTruth, PositiveMiner
from emocapclip_hf.objective import mining as mining_module
from emocapclip_hf.objective.distributed import RowLayout
from emocapclip_hf.objective.embeddings import Captions
from emocapclip_hf.objective.mining import Candidates, neighbours

OWNERS = [0, 0, 1, 1, 1, 3, 4]  # image 2 has no sentence
IMAGES = 5
LIMITS = [{"threshold": 0.2}, {"top_k": 2}, {"top_fraction": 0.3}, {"threshold": 0.1, "top_k": 3}]


@pytest.mark.parametrize(
    ("limits", "calibration", "mutual", "soft"),
    list(product(LIMITS, ["cosine", "centred"], [False, True], [False, True])),
)
@pytest.mark.parametrize("block_bytes", [1, 2**20])
def test_neighbours(limits, calibration, mutual, soft, block_bytes, monkeypatch):
    monkeypatch.setattr(mining_module, "BLOCK_BYTES", block_bytes)
    vectors = unit(len(OWNERS), 4, generator=torch.Generator().manual_seed(0)) + 0.3  # somewhat collapsed
    rule = MiningRule("text", calibration, mutual=mutual, soft=soft, **limits)
    layout, images = RowLayout((len(OWNERS),)), RowLayout((IMAGES,))
    found = neighbours(vectors, torch.tensor(OWNERS), layout, images, rule)
    for ours, theirs in zip(found, looped_neighbours(vectors, OWNERS, IMAGES, rule), strict=True):
        torch.testing.assert_close(ours, torch.tensor(theirs).double())


@pytest.mark.parametrize(("limits", "mutual"), list(product(LIMITS, [False, True])))
def test_sentences_that_were_not_sampled_find_captions_too(limits, mutual):
    generator = torch.Generator().manual_seed(0)
    vectors = unit(len(OWNERS), 4, generator=generator) + 0.3
    rest = Captions(unit(3, 4, generator=generator) + 0.3, torch.tensor([0, 2, 2]), torch.zeros(3))
    rule = MiningRule("text", mutual=mutual, **limits)
    layout, images = RowLayout((len(OWNERS),)), RowLayout((IMAGES,))
    found = neighbours(vectors, torch.tensor(OWNERS), layout, images, rule, rest)
    expected = looped_neighbours(vectors, OWNERS, IMAGES, rule, rest.embeds, rest.owners.tolist())
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, torch.tensor(theirs).double())
    without = neighbours(vectors, torch.tensor(OWNERS), layout, images, rule)
    assert (found[0] >= without[0]).all() and found[0].sum() > without[0].sum()
    assert found[0][2].any()  # an image of which nothing was sampled


@pytest.mark.parametrize("calibration", ["cosine", "centred"])
def test_what_several_levels_say_together(calibration):
    """Each level's captions are calibrated for themselves; a face's vectors are added, however long each was."""
    views = unit(2, 6, 4, generator=torch.Generator().manual_seed(0)) + 0.3
    views[1] *= 5
    together = torch.zeros(6, 4, dtype=torch.float64)
    for view in views:
        rows = [row / row.norm() for row in view]
        mean = sum(rows) / len(rows) if calibration == "centred" else 0
        together += torch.stack([(row - mean) / (row - mean).norm() for row in rows])
    rule = MiningRule("text", calibration, threshold=0.3, by_level=["global", "summary"])
    layout, owners = RowLayout((6,)), torch.arange(6)
    found, _ = neighbours(views, owners, layout, layout, rule)
    expected, _ = looped_neighbours(together, owners.tolist(), 6, MiningRule("text", "cosine", threshold=0.3))
    torch.testing.assert_close(found, torch.tensor(expected).double())
    for view in views:
        alone, _ = neighbours(view, owners, layout, layout, rule)
        assert not torch.equal(found, alone)


@pytest.mark.parametrize("guided_by", ["text", "image", "cross", "agree"])
def test_which_guide_makes_which_positives(guided_by):
    embeddings = random_embeddings([2, 1, 0, 2])
    candidates = candidates_of(embeddings, "local")
    rule = MiningRule(guided_by, "cosine", threshold=0.1)
    texts, images = embeddings.captions["local"].embeds, embeddings.image
    by_text = torch.tensor(looped_neighbours(texts, candidates.owners.tolist(), 4, rule)[0]).double()
    by_image = torch.tensor(looped_neighbours(images, [0, 1, 2, 3], 4, rule)[0]).double()[:, candidates.owners]
    exact = torch.tensor(looped_exact(embeddings, "local")).double()
    expected = {
        "text": (by_text, by_text),
        "image": (by_image, by_image),
        "cross": (by_text, by_image),
        "agree": (by_text * by_image, by_text * by_image),
    }[guided_by]
    positives = PositiveMiner({"local": rule})("local", candidates, texts, images)
    torch.testing.assert_close(positives.for_images, expected[0].maximum(exact))
    torch.testing.assert_close(positives.for_captions, expected[1].maximum(exact))


def test_targets_are_distributions():
    embeddings = random_embeddings([2, 1, 0, 3])
    rule = MiningRule("text", top_k=2, soft=True)
    candidates = candidates_of(embeddings, "local")
    positives = PositiveMiner({"local": rule})("local", candidates, embeddings.captions["local"].embeds)
    for_images, for_captions, image_count = positives.targets()
    torch.testing.assert_close(for_images.sum(dim=1), torch.tensor([1.0, 1, 0, 1]).double())
    torch.testing.assert_close(for_captions.sum(dim=1), torch.ones(6).double())
    assert image_count == 3
    assert (for_images > 0).sum() > 6 and (for_images[candidates.own] > 0).all()


def test_own_and_identical_captions_are_always_positive_and_nothing_else_before_warm_up():
    embeddings = random_embeddings([2, 1, 1])
    captions = embeddings.captions["local"]
    captions.keys[3] = captions.keys[0]
    exact = torch.tensor(looped_exact(embeddings, "local")).double()
    assert exact[0, 3] == exact[2, 0] == 1 and exact.sum() == 6
    candidates = candidates_of(embeddings, "local")
    everything = MiningRule("text", threshold=-1.0, warmup_steps=10)
    nothing = MiningRule("text", threshold=2.0)
    texts = captions.embeds
    assert torch.equal(PositiveMiner()("local", candidates).for_images, exact)
    assert torch.equal(PositiveMiner({"local": nothing})("local", candidates, texts).for_captions, exact)
    assert torch.equal(PositiveMiner({"local": everything})("local", candidates, texts, step=9).for_images, exact)
    assert PositiveMiner({"local": everything})("local", candidates, texts, step=10).for_images.min() == 1


def test_a_collapsed_space_does_not_make_everything_positive():
    """Cosines of .99 between unrelated captions: an absolute threshold takes all, centring finds the related ones."""
    generator = torch.Generator().manual_seed(0)
    topics = torch.arange(12) % 4
    signal = unit(4, 32, generator=generator)[topics] + 0.3 * unit(12, 32, generator=generator)
    collapsed = 10 * unit(1, 32, generator=generator) + signal
    layout = RowLayout((12,))
    related = (topics[:, None] == topics).double()
    by_cosine, _ = neighbours(collapsed, torch.arange(12), layout, layout, MiningRule("text", "cosine", threshold=0.9))
    by_centred, _ = neighbours(
        collapsed, torch.arange(12), layout, layout, MiningRule("text", "centred", threshold=0.5)
    )
    assert by_cosine.min() == 1
    assert torch.equal(by_centred, related)


def test_the_oracle_takes_its_positives_from_the_truth():
    embeddings = random_embeddings([1, 1, 1])
    miner = PositiveMiner({"global": MiningRule("truth")})
    truth = MiningTruth(torch.tensor([5, 6, 5]))
    output = GlobalLocalObjective(miner=miner)(embeddings, truth=truth)
    quality = {name: value.item() for name, value in output.diagnostics.items() if "global" in name}
    assert quality["global_image_to_text_mining_precision"] == quality["global_text_to_image_mining_recall"] == 1
    assert quality["global_positives_per_image"] == pytest.approx(5 / 3)
    with pytest.raises(ValueError, match="guided_by='truth'"):
        GlobalLocalObjective(miner=miner)(embeddings)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"guided_by": "magic"}, "magic.*agree"),
        ({"guided_by": "text"}, "no limit"),
        ({"guided_by": "text", "calibration": "raw", "top_k": 1}, "raw.*centred"),
        ({"guided_by": "text", "top_k": 0}, "top_k is 0"),
        ({"by_level": ["summary", "local"]}, "'local'.*global or summary or both"),
        ({"guided_by": "text", "top_fraction": 2.0}, "top_fraction is 2.0"),
    ],
)
def test_rules_that_cannot_be(rule, message):
    with pytest.raises(ValueError, match=message):
        MiningRule(**rule)


def test_rules_take_over_in_order():
    rules = [MiningRule("text", top_k=1), MiningRule("text", top_k=2, warmup_steps=5)]
    miner = PositiveMiner({"local": rules})
    assert [miner.rule("local", step) for step in (0, 4, 5)] == [rules[0], rules[0], rules[1]]
    assert PositiveMiner({"local": rules[1]}).rule("local", 4).guided_by == "none"
    with pytest.raises(ValueError, match=r"warmup_steps \[5, 0\]; they must increase"):
        PositiveMiner({"local": rules[::-1]})


def test_a_level_that_does_not_exist():
    with pytest.raises(ValueError, match=r"'locale'.*global, summary, local"):
        PositiveMiner({"locale": MiningRule()})


def candidates_of(embeddings, level: str) -> Candidates:
    captions = embeddings.captions[level]
    images, rows = RowLayout((len(embeddings.image),)), RowLayout((len(captions.keys),))
    return Candidates(captions.embeds, captions.owners, captions.keys, images, rows)
