"""The collator: the processor's inputs, sampled and changed the same way in every worker and order."""

import dataclasses
import pickle

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from emocapclip_hf.data.augmentation import FaceAugmentation
from emocapclip_hf.data.cached_rows import CachedRows
from emocapclip_hf.data.collator import EmoCapCollator, output_size
from emocapclip_hf.data.image_cache import build_image_cache
from emocapclip_hf.data.loading import load_emocap
from emocapclip_hf.data.sides import swap_sides
from emocapclip_hf.data.tokenizer import train_tokenizer
from emocapclip_hf.processing import EmoCapCLIPProcessor

STILL = FaceAugmentation(face=(0, 0, 1, 1), flip=0, brightness=0, contrast=0, saturation=0, grayscale=0, blur=0)


def row(number: int, sentences: int = 6) -> dict:
    picture = np.random.default_rng(number).integers(0, 255, (36, 36, 3), dtype=np.uint8)
    return {
        "row": number,
        "image": picture,
        "global_caption": f"This image portrays face {number}.",
        "local_captions": [f"The left brow is raised {n} times." for n in range(sentences)],
        "summary_caption": "The left side is happy.",
        "emotion": "happiness",
        "valence": number / 8,
        "action_units": [{"au": 12, "side": "left"}, {"au": 6, "side": "both"}],
        "local_sides": ["left", "right", "", "both", "left", "right"][:sentences],
    }


def words(processor, ids) -> list[str]:
    return processor.tokenizer.batch_decode(ids, skip_special_tokens=True)


def equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) if torch.is_tensor(first[name]) else first[name] == second[name]
        for name in first
    )


def test_without_sampling_and_change_it_is_the_processor(processor):
    rows = [row(0, sentences=3), row(1, sentences=0), row(2, sentences=4)]
    batch = EmoCapCollator(processor)(rows)
    expected = processor(images=[each["image"] for each in rows], captions=rows)
    assert batch.pop("row").tolist() == [0, 1, 2]
    assert equal(batch, dict(expected))
    assert batch["local_mask"].tolist() == [[True] * 3 + [False], [False] * 4, [True] * 4]


def test_pictures_of_the_models_size_are_only_normalised(processor):
    pictures = np.random.default_rng(0).integers(0, 256, (3, *output_size(processor.image_processor), 3), np.uint8)
    rows = [row(number) | {"image": picture} for number, picture in enumerate(pictures)]
    expected = processor(images=list(pictures), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(EmoCapCollator(processor)(rows)["pixel_values"], expected, rtol=0, atol=1e-6)


def test_the_fast_pixels_are_the_processors(processor):
    """Of a picture that fills the square and is changed by nothing."""
    picture = np.random.default_rng(0).integers(0, 255, (37, 37, 3), dtype=np.uint8)
    rows = [row(0) | {"image": picture}, row(1) | {"image": Image.fromarray(picture)}]
    fast = EmoCapCollator(processor, augmentation=STILL)(rows)["pixel_values"]
    plain = EmoCapCollator(processor)(rows)["pixel_values"]
    assert fast.shape == plain.shape == (2, 3, 32, 32)
    assert (fast - plain).abs().max() < 0.03  # two steps of 1/255, by the model's deviation


def test_siglip2_gets_patches(processor):
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    image_processor = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    siglip = EmoCapCLIPProcessor(image_processor, processor.tokenizer)
    assert output_size(image_processor) == (32, 32)
    fast = EmoCapCollator(siglip, augmentation=STILL)([row(0), row(1)])
    plain = EmoCapCollator(siglip)([row(0), row(1)])
    assert fast["spatial_shapes"].tolist() == plain["spatial_shapes"].tolist() == [[4, 4], [4, 4]]
    assert (fast["pixel_values"] - plain["pixel_values"]).abs().max() < 0.03


def test_a_tokenizer_that_pads_to_full_length_does(processor):
    tokenizer = train_tokenizer(["The left brow is raised.", "This image portrays face."] * 3, 28, model_max_length=40)
    tokenizer.init_kwargs["padding"] = "max_length"
    batch = EmoCapCollator(EmoCapCLIPProcessor(processor.image_processor, tokenizer))([row(0)])
    assert batch["input_ids"].shape == (1, 40)
    assert batch["local_input_ids"].shape == (1, 4, 40)


def test_sentences_are_sampled_anew_each_epoch_in_their_order(processor):
    collator = EmoCapCollator(processor, sentences_per_caption=2)
    seen = set()
    for epoch in range(40):
        collator.set_epoch(epoch)
        ids = collator([row(5)])["local_input_ids"][0]
        numbers = [int(text.split()[-2]) for text in words(processor, ids)]
        assert len(numbers) == 2
        assert numbers == sorted(set(numbers))
        seen.add(tuple(numbers))
        assert torch.equal(collator([row(5)])["local_input_ids"][0], ids), "the same again in the same epoch"
    assert {number for pair in seen for number in pair} == set(range(6))
    assert len(seen) > 8


def test_another_seed_samples_and_changes_otherwise(processor):
    batches = [EmoCapCollator(processor, 2, FaceAugmentation(), seed)([row(n) for n in range(8)]) for seed in (0, 1)]
    assert not torch.equal(batches[0]["local_input_ids"], batches[1]["local_input_ids"])
    assert not torch.equal(batches[0]["pixel_values"], batches[1]["pixel_values"])


def test_a_batch_is_the_sum_of_its_rows(processor):
    """Neither the neighbours in the batch nor their order matter to a row."""
    collator = EmoCapCollator(processor, 2, FaceAugmentation())
    rows = [row(n) for n in range(6)]
    batch, reverse = collator(rows), collator(rows[::-1])
    assert torch.equal(batch["pixel_values"], reverse["pixel_values"].flip(0))
    for n in range(6):
        assert torch.equal(collator([rows[n]])["pixel_values"][0], batch["pixel_values"][n])
        assert words(processor, batch["local_input_ids"][n]) == words(processor, reverse["local_input_ids"][5 - n])


def test_flips_swap_sides_in_all_texts_and_labels(processor):
    labels = ("action_units", "local_sides", "emotion", "local_captions", "summary_caption")
    straight = EmoCapCollator(processor, 6, STILL, label_columns=labels)([row(0)])
    flipped = EmoCapCollator(processor, 6, dataclasses.replace(STILL, flip=1.0), label_columns=labels)([row(0)])
    assert torch.equal(flipped["pixel_values"], straight["pixel_values"].flip(-1))
    assert words(processor, flipped["summary_input_ids"]) == ["the right side is happy."]
    assert [text.lower() for text in flipped["summary_caption"]] == ["the right side is happy."]
    assert flipped["local_captions"] == [[swap_sides(text) for text in straight["local_captions"][0]]]
    texts = words(processor, straight["local_input_ids"][0])
    assert words(processor, flipped["local_input_ids"][0]) == [swap_sides(text) for text in texts] != texts
    assert flipped["local_sides"] == [["right", "left", "", "both", "right", "left"]]
    assert flipped["action_units"] == [[{"au": 12, "side": "right"}, {"au": 6, "side": "both"}]]
    assert flipped["emotion"] == straight["emotion"] == ["happiness"]


def test_a_picture_and_its_texts_are_flipped_together(processor):
    """A row whose left half is white says so; in every epoch the text must be true of the pixels."""
    half = np.zeros((36, 36, 3), np.uint8)
    half[:, :18] = 255
    collator = EmoCapCollator(processor, augmentation=FaceAugmentation(blur=0))
    said = set()
    for epoch in range(20):
        collator.set_epoch(epoch)
        batch = collator([row(0) | {"image": half, "global_caption": "The left side is raised."}])
        (text,) = words(processor, batch["input_ids"])
        pixels = batch["pixel_values"][0]
        brighter = "left" if pixels[:, :, :8].mean() > pixels[:, :, 24:].mean() else "right"
        assert text == f"the {brighter} side is raised."
        said.add(brighter)
    assert said == {"left", "right"}


def test_labels_are_stacked_or_listed_and_sampled_with_their_sentences(processor):
    labels = ("valence", "emotion", "local_sides")
    collator = EmoCapCollator(processor, 2, label_columns=labels)
    rows = [row(0), row(1) | {"valence": None}]
    batch = collator(rows)
    assert batch["valence"][0] == 0
    assert batch["valence"][1].isnan()
    assert batch["emotion"] == ["happiness", "happiness"]
    for index in range(2):
        numbers = [int(text.split()[-2]) for text in words(processor, batch["local_input_ids"][index])]
        assert batch["local_sides"][index] == [rows[index]["local_sides"][n] for n in numbers]


def test_a_missing_summary_is_stood_in_for_by_the_global_sentence(processor):
    batch = EmoCapCollator(processor)([row(3) | {"summary_caption": ""}])
    assert torch.equal(batch["summary_input_ids"], batch["input_ids"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sentences_per_caption": 0}, "at least 1, got 0"),
        ({"seed": -1}, "must not be negative, got -1"),
        ({"augmentation": STILL, "label_columns": ["regions"]}, "regions are boxes in the unchanged picture"),
    ],
)
def test_wrong_options_are_refused(options, message, processor):
    with pytest.raises(ValueError, match=message):
        EmoCapCollator(processor, **options)


@pytest.fixture
def cached_rows(jsonl_faces, tmp_path):
    table = load_emocap(jsonl_faces, "all")
    return CachedRows(table, build_image_cache(table, 36, tmp_path / "cache"), ["emotion", "action_units"])


def epochs(rows, collator, epochs=2, **options) -> list[dict]:
    """Batches of some epochs, from workers that live on."""
    loader = DataLoader(rows, batch_size=5, collate_fn=collator, **options)
    batches = []
    for epoch in range(epochs):
        collator.set_epoch(epoch)
        batches += list(loader)
    return batches


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_the_same_batches_from_any_number_of_workers(cached_rows, processor, context):
    def collator():
        return EmoCapCollator(processor, 1, FaceAugmentation(), label_columns=["emotion", "action_units"])

    expected = epochs(cached_rows, collator())
    assert not torch.equal(expected[0]["pixel_values"], expected[3]["pixel_values"]), "the epochs differ"
    for workers in (1, 2) if context == "fork" else (1,):
        options = {"num_workers": workers, "persistent_workers": True, "multiprocessing_context": context}
        batches = epochs(cached_rows, collator(), **options)
        assert all(equal(*pair) for pair in zip(batches, expected, strict=True))


def test_the_same_batches_from_a_stream(jsonl_faces, processor):
    stream = load_emocap(jsonl_faces, "all", streaming=True)
    first, again = (
        epochs(stream, EmoCapCollator(processor, 1, FaceAugmentation()), num_workers=workers) for workers in (0, 1)
    )
    assert all(equal(*pair) for pair in zip(first, again, strict=True))
    assert sum(len(batch["row"]) for batch in first) == 2 * 12


def test_cached_rows_hold_the_right_picture_and_text(cached_rows, faces):
    assert len(cached_rows) == 12
    each = cached_rows[7]
    assert each["row"] == 7
    assert each["global_caption"] == faces[7]["global_caption"]
    assert each["action_units"] == faces[7]["action_units"]
    assert np.array_equal(each["image"], cached_rows.cache.pixels[7])
    assert [r["row"] for r in cached_rows.__getitems__([4, 2, 9])] == [4, 2, 9]
    assert "valence" not in each


def test_cached_rows_leave_out_bad_pictures(jsonl_faces, tmp_path, faces):
    (jsonl_faces.parent / "img" / "003.png").write_bytes(b"no picture")
    table = load_emocap(jsonl_faces, "all")
    cache = build_image_cache(table, 36, tmp_path / "cache", max_bad_fraction=0.1)
    rows = CachedRows(table, cache)
    assert len(rows) == 11
    assert [rows[index]["row"] for index in range(11)] == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert rows[3]["global_caption"] == faces[4]["global_caption"]


def test_a_cache_of_another_table_is_refused(cached_rows, jsonl_faces):
    table = load_emocap(jsonl_faces, "all").select(range(3))
    with pytest.raises(ValueError, match="the cache holds 12 pictures, the dataset 3 rows"):
        CachedRows(table, cached_rows.cache)
    with pytest.raises(ValueError, match=r"no label columns \['mood'\] in the dataset; it has"):
        CachedRows(load_emocap(jsonl_faces, "all"), cached_rows.cache, ["mood"])


def test_a_collator_can_be_pickled(processor):
    collator = EmoCapCollator(processor, 2, FaceAugmentation())
    collator.set_epoch(7)
    assert equal(pickle.loads(pickle.dumps(collator))([row(0)]), collator([row(0)]))


def test_synthfaces_sentences_stay_true_under_flips(processor, tmp_path):
    """SynthFaces names the side of each sentence: after a flip, texts and labels must agree as before."""
    from emocapclip_hf.data.synthfaces import synthfaces_dataset

    table = synthfaces_dataset("train", n=40, size=32, cache_dir=tmp_path, workers=1)
    assert isinstance(table, datasets.Dataset)
    collator = EmoCapCollator(processor, 20, dataclasses.replace(STILL, flip=1.0), label_columns=["local_sides"])
    flipped = collator([row(n) | {**table[n], "row": n} for n in range(40)])["local_sides"]
    sided = 0
    for n in range(40):
        assert flipped[n] == [{"left": "right", "right": "left"}.get(s, s) for s in table[n]["local_sides"]]
        for text, before, after in zip(table[n]["local_captions"], table[n]["local_sides"], flipped[n], strict=True):
            if before in ("left", "right"):
                sided += 1
                assert before in text.lower()
                assert after in swap_sides(text).lower()
    assert sided > 5
