"""Retrieval against a slow reading of the same rules; constant embeddings are at chance; memory is bounded."""

import base64
import doctest
import io
import itertools
import json

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from emocapclip_hf.eval import nearest as nearest_module
from emocapclip_hf.eval import retrieval
from emocapclip_hf.eval.checkpoint import load_checkpoint
from emocapclip_hf.eval.embed import embed_images
from emocapclip_hf.eval.nearest import nearest
from emocapclip_hf.eval.ranking import KS
from emocapclip_hf.eval.retrieval import Pairs, Texts, run, score_blocks
from emocapclip_hf.zero_shot import encode_texts

WORDS = ("happy", "sad", "angry", "face")


@pytest.fixture
def checkpoint(small_checkpoint_folder):
    return load_checkpoint(str(small_checkpoint_folder))


@pytest.fixture(scope="module")
def captioned():
    """24 faces: captions of which some read the same, one face without; one to three sentences each."""
    draws = np.random.default_rng(0)
    captions = [" ".join(words) for words in itertools.product(WORDS, repeat=2)] + ["happy  happy", "sad sad"] * 4
    pictures = [Image.fromarray(draws.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in captions]
    sentences = [[" ".join(draws.choice(WORDS, 3)) for _ in range(1 + row % 3)] for row in range(len(captions))]
    table = {"id": [f"face {row}" for row in range(len(captions))], "image": pictures}
    made = datasets.Dataset.from_dict(table | {"global_caption": [*captions[:-1], ""], "local_captions": sentences})
    made.info.description = json.dumps({"benchmark": "made", "title": "Made"})
    return made


def slowly(scores, right):
    """R@k, median rank, mAP by going through each ranking; nothing ties here."""
    hits, firsts, precisions = [], [], []
    for row, own in zip(scores, right, strict=True):
        places = sorted(1 + sum(other > row[place] for other in row) for place in own)
        hits.append([places[0] <= k for k in KS])
        firsts.append(places[0])
        precisions.append(np.mean([(number + 1) / place for number, place in enumerate(places)]))
    return [*np.mean(hits, axis=0), np.median(firsts), np.mean(precisions)]


@torch.no_grad()
@pytest.mark.parametrize("scoring", ["global", "local"])
def test_both_levels_both_ways(checkpoint, captioned, scoring, tmp_path):
    result = run(checkpoint, captioned, scoring=scoring)
    names = [*(f"r{k}" for k in KS), "median_rank", "map"]
    images = embed_images(checkpoint.model, checkpoint.processor, captioned).embeds
    captions = [" ".join(caption.split()) for caption in captioned["global_caption"]]
    for prefix, of_rows in (
        ("", [[text] if text else [] for text in captions]),
        ("sentence_", captioned["local_captions"]),
    ):
        texts = list(dict.fromkeys(text for row in of_rows for text in row))
        rows = [row for row, own in enumerate(of_rows) if own]
        encoded = encode_texts(checkpoint.model, checkpoint.processor, texts)
        scores = images[rows] @ encoded.T
        if prefix and scoring == "local":
            scores = embed_images(checkpoint.model, checkpoint.processor, captioned, sentences=encoded).local_scores[
                rows
            ]
        own = [[place for place, text in enumerate(texts) if text in of_rows[row]] for row in rows]
        faces = [[place for place, row in enumerate(rows) if text in of_rows[row]] for text in texts]
        for way, table, right in (("image_to_text", scores, own), ("text_to_image", scores.T, faces)):
            found = [result.metrics[f"{prefix}{way}_{name}"].value for name in names]
            assert found == pytest.approx(slowly(table.tolist(), right)), (prefix, way)
    assert result.details["gallery"]["text_to_image"] == 23 and result.details["gallery"]["image_to_text"] == 16
    assert result.load(result.save(tmp_path)).flat() == result.flat() and result.protocol["scoring"] == scoring


def test_a_model_that_sees_nothing_is_at_chance(checkpoint, captioned):
    with torch.no_grad():
        checkpoint.model.vision_model.post_layernorm.weight.zero_()
        checkpoint.model.vision_model.post_layernorm.bias.fill_(0.3)
        checkpoint.model.text_model.final_layer_norm.weight.zero_()
        checkpoint.model.text_model.final_layer_norm.bias.fill_(-0.2)
    result = run(checkpoint, captioned)
    chances = result.details["chance"]
    assert len(chances) == 12 and chances["text_to_image_r1"] == pytest.approx(
        1 / 16 * sum([5 / 23, 4 / 23, *[1 / 23] * 14])
    )
    for name, chance in chances.items():
        assert result.metrics[name].value == pytest.approx(chance)


def test_examples_hold_pictures_and_say_what_is_right(checkpoint, captioned):
    result = run(checkpoint, captioned, examples=3)
    by_way = {
        way: [e for e in result.details["examples"] if e["way"] == way] for way in ("image_to_text", "text_to_image")
    }
    assert all(len(examples) == 3 for examples in by_way.values())
    first = by_way["image_to_text"][0]
    assert first["query"]["id"] == "face 0" and len(first["answers"]) == 5
    assert [answer["right"] for answer in first["answers"]] == [a["text"] == "happy happy" for a in first["answers"]]
    for example in by_way["text_to_image"]:
        answer = example["answers"][0]
        assert Image.open(io.BytesIO(base64.b64decode(answer["picture"]))).size == (32, 32)
        row = int(answer["id"].split()[1])
        assert answer["right"] == (" ".join(captioned[row]["global_caption"].split()) == example["query"]["text"])
    assert run(checkpoint, captioned, examples=0).details["examples"] == []


@pytest.fixture(params=[1, 7, 40])
def vectors(request, monkeypatch):
    """Queries and a gallery, that are split into tiles of a few rows."""
    monkeypatch.setattr(nearest_module, "QUERIES", request.param)
    monkeypatch.setattr(nearest_module, "GALLERY", request.param)
    draws = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(30, 8, generator=draws), dim=1), F.normalize(
        torch.randn(50, 8, generator=draws), dim=1
    )


@pytest.mark.parametrize("k", [1, 9, 50])
def test_the_nearest_in_tiles_are_those_of_the_whole_matrix(vectors, k):
    queries, gallery = vectors
    scores, places = nearest(queries, gallery, k)
    expected = (queries @ gallery.T).topk(k)
    torch.testing.assert_close(scores, expected.values)
    assert torch.equal(places, expected.indices)


def test_the_nearest_by_faiss_are_the_same(monkeypatch):
    pytest.importorskip("faiss", reason="optional: exact search in large galleries")
    monkeypatch.setattr(nearest_module, "FAISS_FROM", 1000)
    draws = torch.Generator().manual_seed(0)
    queries, gallery = torch.randn(5, 16, generator=draws), torch.randn(2000, 16, generator=draws)
    scores, places = nearest(queries, gallery, 10)
    expected = (queries @ gallery.T).topk(10)
    assert torch.equal(places, expected.indices)
    torch.testing.assert_close(scores, expected.values)


def test_only_a_block_of_scores_is_held(monkeypatch):
    monkeypatch.setattr(retrieval, "_BLOCK_BYTES", 4 * 50 * 3)
    queries, gallery = torch.randn(10, 4), torch.randn(50, 4)
    blocks = list(score_blocks(queries, gallery))
    assert [block.shape for block in blocks] == [(3, 50)] * 3 + [(1, 50)]
    np.testing.assert_allclose(np.concatenate(blocks), (queries @ gallery.T).numpy(), atol=1e-6)


def test_bad_input_says_what_is_wrong(checkpoint, captioned):
    with pytest.raises(ValueError, match="choose from global, local"):
        run(checkpoint, captioned, scoring="both")
    with pytest.raises(ValueError, match="Made has no column caption"):
        run(checkpoint, captioned.remove_columns("global_caption"))
    with pytest.raises(ValueError, match="has a caption, so there is nothing"):
        Pairs.of(Texts.collect("caption", [[], [" "]]), [0, 1])
    with pytest.raises(ValueError, match="k=3"):
        nearest(torch.zeros(1, 2), torch.zeros(2, 2), 3)


def test_examples_in_docstrings():
    for module in (retrieval, nearest_module):
        assert doctest.testmod(module).failed == 0
