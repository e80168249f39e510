"""Texts encoded once and without padding, against each encoded as it comes."""

import torch

from emocapclip_hf.objective.distinct_texts import FEW, Texts, encode_distinct
from emocapclip_hf.objective.embeddings import caption_keys


def random_texts(count: int, longest: int, generator: torch.Generator) -> Texts:
    lengths = torch.randint(1, longest + 1, (count,), generator=generator)
    lengths[0] = longest
    mask = (torch.arange(longest) < lengths[:, None]).long()
    ids = torch.randint(1, 4, (count, longest), generator=generator) * mask
    return Texts(ids, mask, caption_keys(ids, mask))


def test_each_text_gets_its_own_vector_and_repetitions_add_their_gradients():
    generator = torch.Generator().manual_seed(0)
    sets = [random_texts(50, 6, generator), random_texts(40, 3, generator), random_texts(2 * FEW, 9, generator)]
    table = torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    position = torch.arange(1, 10)[:, None]
    seen = []

    def encode(input_ids, attention_mask):
        seen.append(attention_mask)
        return (table[input_ids] * position[: input_ids.shape[1]] * attention_mask[..., None]).sum(dim=1)

    found = encode_distinct(encode, sets)
    weights = [torch.randn(len(some.keys), 5, generator=generator, dtype=torch.float64) for some in sets]
    sum((one * weight).sum() for one, weight in zip(found, weights, strict=True)).backward()
    ours, table.grad = table.grad, None
    texts = {tuple(row[mask.bool()].tolist()) for some in sets for row, mask in zip(*some[:2], strict=True)}
    assert sum(len(mask) for mask in seen) == len(texts) < sum(len(some.keys) for some in sets)
    tokens = sum(mask.numel() for mask in seen)
    assert tokens < 1.4 * sum(mask.sum() for mask in seen)

    plain = [encode(*some[:2]) for some in sets]
    for one, other in zip(found, plain, strict=True):
        torch.testing.assert_close(one, other)
    sum((one * weight).sum() for one, weight in zip(plain, weights, strict=True)).backward()
    torch.testing.assert_close(ours, table.grad)


def test_few_texts_go_together():
    texts = random_texts(5, 7, torch.Generator().manual_seed(0))
    calls = []
    encode_distinct(lambda ids, mask: calls.append(ids) or ids.float(), [texts])
    assert len(calls) == 1
