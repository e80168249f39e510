"""generate(): the same captions with and without a cache, alone and in a batch, however padded."""

import pytest
import torch
from captioner_zoo import IMAGE, PAD, prompts, small_captioner
from zoo import EOS, VOCAB_SIZE

NEW = 8


@pytest.fixture(params=["gpt2", "llama", "opt", "query", "siglip2", "convnextv2"], scope="module")
def captioner(request):
    return small_captioner(request.param)


def generated(captioner, inputs, **options):
    options = {"do_sample": False, "max_new_tokens": NEW, "eos_token_id": None, "pad_token_id": PAD, **options}
    return captioner.generate(**inputs, **options)[:, inputs["input_ids"].shape[1] :]


def row(inputs, index):
    return {name: values[index : index + 1] for name, values in inputs.items()}


@torch.no_grad()
def greedy_by_hand(captioner, inputs):
    """The slow reference: the whole sequence anew for every token."""
    ids = inputs["input_ids"]
    for _ in range(NEW):
        mask = torch.ones_like(ids)
        logits = captioner(**inputs | {"input_ids": ids, "attention_mask": mask}, use_cache=False).logits[:, -1]
        logits[:, IMAGE] = -torch.inf
        ids = torch.cat([ids, logits.argmax(dim=-1, keepdim=True)], dim=1)
    return ids[:, inputs["input_ids"].shape[1] :]


def test_cache_or_not_or_by_hand(captioner):
    inputs = prompts(captioner.config)
    expected = greedy_by_hand(captioner, inputs)
    assert torch.equal(generated(captioner, inputs), expected)
    assert torch.equal(generated(captioner, inputs, use_cache=False), expected)
    assert len(expected.unique(dim=0)) > 1, "the pictures make no difference"


def test_a_batch_is_its_rows(captioner):
    inputs = prompts(captioner.config)
    together = generated(captioner, inputs)
    for index in range(3):
        assert torch.equal(generated(captioner, row(inputs, index)), together[index : index + 1])


def test_padding_on_the_left_changes_nothing(captioner):
    inputs = prompts(captioner.config)
    expected = generated(captioner, inputs)
    pad = torch.full((3, 4), PAD)
    padded = inputs | {
        "input_ids": torch.cat([pad, inputs["input_ids"]], dim=1),
        "attention_mask": torch.cat([torch.zeros_like(pad), inputs["attention_mask"]], dim=1),
    }
    assert torch.equal(generated(captioner, padded), expected)


def test_as_many_beams_as_words_find_the_best_caption():
    captioner = small_captioner()
    inputs = prompts(captioner.config)
    options = {"num_beams": VOCAB_SIZE, "max_new_tokens": 2, "num_return_sequences": 2}
    found = generated(captioner, inputs, **options)
    assert found.shape == (6, 2)
    assert torch.equal(generated(captioner, inputs, use_cache=False, **options), found)
    assert found[::2].tolist() == [best_pair(captioner, row(inputs, index)) for index in range(3)]


@torch.no_grad()
def best_pair(captioner, inputs):
    """The two words that together are the likeliest, by trying all."""
    words = torch.arange(VOCAB_SIZE)[:, None]
    ids = torch.cat([inputs["input_ids"].expand(VOCAB_SIZE, -1), words], dim=1)
    pixels = inputs["pixel_values"].expand(VOCAB_SIZE, -1, -1, -1)
    words_after = ids.clone()
    ids[:, -1][IMAGE] = PAD  # as a second picture it would have no patches
    logits = captioner(input_ids=ids, pixel_values=pixels).logits[:, -2:].log_softmax(dim=-1)
    first, second = logits[:, 0, :].diagonal(), logits[:, 1, :]  # (words,), (words, words)
    both = first[:, None] + second
    both[IMAGE] = both[:, IMAGE] = -torch.inf
    best = int(both.argmax())
    return [int(words_after[best // VOCAB_SIZE, -1]), best % VOCAB_SIZE]


def test_sampling_is_a_matter_of_the_seed(captioner):
    inputs = prompts(captioner.config)
    samples = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        samples.append(generated(captioner, inputs, do_sample=True, num_return_sequences=2))
    assert samples[0].shape == (6, NEW)
    assert torch.equal(samples[0], samples[1]) and not torch.equal(samples[0], samples[2])


def test_stops_at_the_end_token_and_pads():
    captioner = small_captioner()
    inputs = prompts(captioner.config)
    captioner.get_output_embeddings().weight.data[EOS] *= 0
    free = generated(captioner, inputs)
    end = int(free[0, 2])  # a token that the first caption comes to
    stopped = generated(captioner, inputs, eos_token_id=end)
    for caption, whole in zip(stopped.tolist(), free.tolist(), strict=True):
        until = whole.index(end) + 1 if end in whole else NEW
        assert caption[:until] == whole[:until]
        assert set(caption[until:]) <= {PAD}


def test_goes_on_from_a_cache():
    """Words that are added to what a cache holds, picture and all."""
    captioner = small_captioner()
    inputs = prompts(captioner.config)
    greedy = {"do_sample": False, "eos_token_id": None}
    first = captioner.generate(**inputs, max_new_tokens=4, return_dict_in_generate=True, **greedy)
    ids = first.sequences
    more = captioner.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=first.past_key_values,
        max_new_tokens=NEW - 4, **greedy,
    )  # fmt: skip
    assert torch.equal(more[:, inputs["input_ids"].shape[1] :], generated(captioner, inputs))


def test_words_without_a_picture():
    captioner = small_captioner()
    ids = torch.tensor([[5, 6, 7]])
    assert IMAGE not in ids
    options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None}
    expected = captioner.language_model.generate(ids, suppress_tokens=[IMAGE], **options)
    assert torch.equal(captioner.generate(input_ids=ids, **options), expected)
