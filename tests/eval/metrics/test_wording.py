"""Wording metrics against slow and obvious versions, and as `evaluate` modules without a network."""

import math
import re
from itertools import pairwise
from pathlib import Path

import evaluate
import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from emocapclip_hf.data.synthfaces import describe, sample_face
from emocapclip_hf.eval.metrics import wording

METRICS = Path(wording.__file__).parent
FACES = [sample_face(seed, "train") for seed in range(6)]
REFERENCES = [describe(face, "short").to_paragraph() for face in FACES]
CAPTIONS = [REFERENCES[0], *REFERENCES[:-1]]  # the first is right, the others belong to the face before


def words(text):
    return "".join(c if c.isalnum() or c in "-'" else " " for c in text.lower()).split()


def grams(text, n):
    listed = words(text)
    return [tuple(listed[i : i + n]) for i in range(len(listed) - n + 1)]


def slow_cider_d(caption, references, corpus):
    """Formula by formula: g over all n-grams of the corpus, clipped product, length penalty."""
    total = 0.0
    for reference in references:
        for n in (1, 2, 3, 4):
            holders = [{gram for each in row for gram in grams(each, n)} for row in corpus]
            vectors = []
            for text in (caption, reference):
                frequencies = {}
                for gram in set(grams(text, n)):
                    holding = sum(gram in held for held in holders)
                    frequencies[gram] = grams(text, n).count(gram) * math.log(len(corpus) / max(1, holding))
                vectors.append(frequencies)
            one, two = vectors
            product = sum(min(one[g], two[g]) * two[g] for g in one if g in two)
            norms = [math.sqrt(sum(v * v for v in vector.values())) for vector in vectors]
            apart = len(words(caption)) - len(words(reference))
            if norms[0] * norms[1]:
                total += product / (norms[0] * norms[1]) * math.exp(-(apart**2) / 72) / 4
    return 10 * total / len(references)


def test_cider_d_by_its_formula():
    rows = [[reference, CAPTIONS[index]] for index, reference in enumerate(REFERENCES)]
    found = wording.cider_d(CAPTIONS, rows)
    expected = [slow_cider_d(caption, row, rows) for caption, row in zip(CAPTIONS, rows, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    alone = wording.cider_d(CAPTIONS, REFERENCES)
    assert alone[0] == pytest.approx(10) and alone[0] > 2 * alone[1:].max()


def longest_common_subsequence(one, two):
    table = np.zeros((len(one) + 1, len(two) + 1), dtype=int)
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


def test_rouge_l_of_the_nearest_reference():
    rows = [[REFERENCES[3], reference] for reference in REFERENCES]
    expected = []
    for caption, row in zip(CAPTIONS, rows, strict=True):
        scores = []
        for reference in row:
            one, two = (re.findall("[a-z0-9]+", text.lower())
                        for text in (caption, reference))  # fmt: skip
            common = longest_common_subsequence(one, two)
            scores.append(2 * common / (len(one) + len(two)))
        expected.append(max(scores))
    np.testing.assert_allclose(wording.rouge_l(CAPTIONS, rows), expected, rtol=1e-9)


def test_bleu_of_one_caption_by_hand():
    caption, reference = "the lips are slightly parted here", "the lips are slightly parted there"
    precisions = [5 / 6, 4 / 5, 3 / 4, 2 / 3]
    assert wording.bleu([caption], [reference]) == pytest.approx(math.prod(precisions) ** 0.25)
    assert wording.bleu([caption], [["something else", caption]]) == 1


def test_variety_by_hand():
    captions = ["The lips part.", "The brows rise."]
    assert wording.distinct(captions, 1) == 5 / 6 and wording.distinct(captions, 2) == 1
    pairs = [pair for caption in CAPTIONS for pair in pairwise(words(caption))]
    assert wording.distinct(CAPTIONS, 2) == len(set(pairs)) / len(pairs)
    assert wording.words_per_caption(captions) == 3 and wording.distinct([""], 2) == 0


@pytest.mark.parametrize("name", ["bleu", "rouge_l", "cider_d"])
def test_as_evaluate_modules(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    metric = evaluate.load(str(METRICS / f"{name}.py"))
    expected = float(np.mean(getattr(wording, name)(CAPTIONS, REFERENCES)))
    assert metric.compute(predictions=CAPTIONS, references=REFERENCES)[name] == pytest.approx(expected)
    several = metric.compute(predictions=CAPTIONS, references=[[text] for text in REFERENCES])
    assert several[name] == pytest.approx(expected)


def test_variety_as_an_evaluate_module():
    found = evaluate.load(str(METRICS / "distinct_n.py")).compute(predictions=CAPTIONS)
    assert found["distinct_2"] == pytest.approx(wording.distinct(CAPTIONS, 2))


def test_bert_score_by_its_formula(tmp_path):
    """Greedy matching of tokens both ways, with a small encoder from its config."""
    torch.manual_seed(0)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "lips", "brows", "are", "parted", "raised"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    model = BertModel(BertConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)).eval()
    tokenizer.save_pretrained(tmp_path / "encoder")
    model.save_pretrained(tmp_path / "encoder")
    caption, reference = "lips are parted", "brows are raised"
    with torch.no_grad():
        one, two = (model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0][1:-1]
                    for text in (caption, reference))  # fmt: skip
    cosines = [[torch.cosine_similarity(a, b, dim=0).item() for b in two] for a in one]
    precision, recall = np.mean([max(row) for row in cosines]), np.mean([max(c) for c in zip(*cosines, strict=True)])
    found = wording.bert_score([caption, caption], [reference, caption], tmp_path / "encoder")
    np.testing.assert_allclose(found, [2 * precision * recall / (precision + recall), 1], rtol=1e-5)


def test_meteor_is_left_out_where_its_data_is_missing(monkeypatch, tmp_path):
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    assert not wording.meteor_available()


@pytest.mark.parametrize("references", [[], ["one"], [["one"], []]])
def test_rows_that_do_not_match(references):
    with pytest.raises(ValueError, match="references"):
        wording.cider_d(["a", "b"], references)
