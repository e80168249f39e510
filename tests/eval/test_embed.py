"""Encoding once: against one picture at a time, with a cache, resumed, over two processes, and with faults."""

import json
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
import torch
from small_checkpoint import small_model
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel

from emocapclip_hf.eval import embed
from emocapclip_hf.eval.embed import embed_images, masked_mean


@torch.no_grad()
def one_at_a_time(model, processor, pictures):
    """The slow and obvious way: (pictures, dim)."""
    vectors = []
    for picture in pictures:
        inputs = processor(images=picture, return_tensors="pt")
        vectors.append(F.normalize(model.get_image_features(**inputs).pooler_output[0], dim=0))
    return torch.stack(vectors)


def test_vectors_are_those_of_one_picture_at_a_time(model, processor, faces, pictures):
    embedded = embed_images(model, processor, faces, batch_size=3)
    torch.testing.assert_close(embedded.embeds, one_at_a_time(model, processor, pictures), atol=1e-5, rtol=0)
    assert embedded.rows.tolist() == list(range(len(faces))) and embedded.skipped == []


@torch.no_grad()
def test_patches_are_averaged(model, processor, faces, pictures):
    embedded = embed_images(model, processor, faces, batch_size=3)
    for picture, mean in zip(pictures, embedded.patch_mean, strict=True):
        states = model.get_image_features(**processor(images=picture, return_tensors="pt")).last_hidden_state[0]
        patches = model.vision_model.post_layernorm(states[1:])  # the first is the class token
        torch.testing.assert_close(mean, sum(patches) / len(patches), atol=1e-5, rtol=0)


def test_padding_is_no_patch():
    states, mask = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])
    assert masked_mean(states, mask).tolist() == [[2.0]] and masked_mean(states, None).item() == pytest.approx(13 / 3)


@torch.no_grad()
def test_local_scores_are_the_local_heads(model, processor, faces, pictures):
    sentences = F.normalize(torch.randn(4, 24, generator=torch.Generator().manual_seed(0)), dim=-1)
    embedded = embed_images(model, processor, faces, batch_size=3, sentences=sentences)
    for picture, scores in zip(pictures, embedded.local_scores, strict=True):
        inputs = processor(images=picture, return_tensors="pt")
        patches = model.get_patch_embeds(model.get_image_features(**inputs).last_hidden_state)
        torch.testing.assert_close(scores, model.get_local_scores(patches, sentences)[0], atol=1e-5, rtol=0)


def test_faces_are_cut_to_their_box(model, processor, faces, pictures):
    boxes = [[5.0, 10.0, 30.0, 35.0]] * 6 + [None]
    boxed = faces.add_column("face_box", boxes, feature=datasets.List(datasets.Value("float32"), length=4))
    cut = [picture.crop((5, 10, 30, 35)) for picture in pictures[:6]] + pictures[6:]
    expected = one_at_a_time(model, processor, cut)
    torch.testing.assert_close(embed_images(model, processor, boxed).embeds, expected, atol=1e-5, rtol=0)


@pytest.fixture
def clips(tmp_path, pictures):
    """Two clips of frames: one of 5 that is sampled, and one shorter than what is asked for."""
    paths = [str(tmp_path / f"{number}.png") for number in range(7)]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    return datasets.Dataset.from_dict({"id": ["long", "short"], "frames": [paths[:5], paths[5:]]})


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_clip_is_its_evenly_sampled_frames_pooled(model, processor, clips, pictures, pooling):
    embedded = embed_images(model, processor, clips, frames=3, frame_pooling=pooling, batch_size=4)
    frames = one_at_a_time(model, processor, pictures)
    for vector, chosen in zip(embedded.embeds, ([0, 2, 4], [5, 6, 6]), strict=True):
        pooled = frames[chosen].mean(dim=0) if pooling == "mean" else frames[chosen].amax(dim=0)
        torch.testing.assert_close(vector, F.normalize(pooled, dim=0), atol=1e-5, rtol=0)


def test_another_pooling_is_an_error_that_lists_them(model, processor, clips):
    with pytest.raises(ValueError, match="frame_pooling='median': choose from mean, max"):
        embed_images(model, processor, clips, frame_pooling="median")


def test_a_damaged_video_is_named(model, processor, tmp_path, clips):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    table = clips.add_column("video", [None, str(tmp_path / "broken.mp4")], feature=datasets.Value("string"))
    with pytest.warns(UserWarning, match=r"1 of 2 rows cannot be read; short: .*broken\.mp4"):
        embedded = embed_images(model, processor, table)
    assert embedded.rows.tolist() == [0]


def test_any_clip_model_is_a_baseline(processor, faces, pictures):
    tower = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(text_config=tower, vision_config={**tower, "image_size": 32, "patch_size": 8})
    plain = CLIPModel(config).eval()
    torch.testing.assert_close(
        embed_images(plain, processor, faces).embeds, one_at_a_time(plain, processor, pictures), atol=1e-5, rtol=0
    )
    with pytest.raises(ValueError, match=r"this CLIPModel has no local head.*--scoring global"):
        embed_images(plain, processor, faces, sentences=torch.ones(1, 512))


# The cache


@pytest.fixture
def count_pictures(monkeypatch):
    """Counts the pictures that any model encodes."""
    counted = []
    encode = embed._Work._encode_batch
    monkeypatch.setattr(
        embed._Work, "_encode_batch", lambda self, batch: counted.append(len(batch.rows)) or encode(self, batch)
    )
    return counted


def test_what_is_in_the_cache_is_not_encoded_again(model, processor, faces, tmp_path, count_pictures):
    first = embed_images(model, processor, faces, cache_dir=tmp_path)
    again = embed_images(small_model(seed=0), processor, faces, cache_dir=tmp_path, batch_size=2)
    assert sum(count_pictures) == 7 and torch.equal(first.embeds, again.embeds)


def test_the_key_knows_weights_pictures_preprocessing_and_frames(model, processor, faces, clips, tmp_path):
    def files(*args, **kwargs):
        embed_images(*args, cache_dir=tmp_path / "cache", **kwargs)
        return len(list((tmp_path / "cache").iterdir()))

    assert files(model, processor, faces) == 1
    assert files(model, processor, faces, frames=3) == 1  # pictures have no frames
    assert files(model, processor, faces.select(range(3))) == 2
    assert files(small_model(seed=1), processor, faces) == 3
    assert files(model.to(torch.bfloat16), processor, faces) == 4
    processor.image_processor.image_mean = [0.5, 0.5, 0.5]
    assert files(model, processor, faces) == 5
    assert files(model, processor, clips, frames=2) == 6
    assert files(model, processor, clips, frames=3) == 7
    assert files(model, processor, clips, frames=3, frame_pooling="max") == 8


def test_what_was_killed_goes_on_after_the_last_whole_shard(model, processor, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "SHARD_ROWS", 2)
    expected = embed_images(model, processor, faces)
    encode, seen = embed._Work._encode_batch, []

    def until_killed(self, batch):
        seen.extend(batch.rows)
        if batch.rows == [4, 5] and seen.count(4) == 1:
            raise KeyboardInterrupt
        return encode(self, batch)

    monkeypatch.setattr(embed._Work, "_encode_batch", until_killed)
    with pytest.raises(KeyboardInterrupt):
        embed_images(model, processor, faces, cache_dir=tmp_path)
    resumed = embed_images(model, processor, faces, cache_dir=tmp_path)
    assert seen == [0, 1, 2, 3, 4, 5, 4, 5, 6]
    assert torch.equal(resumed.embeds, expected.embeds) and torch.equal(resumed.rows, expected.rows)


_RANK = """
import json, sys
from pathlib import Path
import datasets
from emocapclip_hf.eval import embed
from emocapclip_hf.eval.checkpoint import load_checkpoint, process_state

folder, table, out = map(Path, sys.argv[1:])
checkpoint, faces = load_checkpoint(str(folder)), datasets.load_from_disk(table)
embed.SHARD_ROWS = 2
mine, write = [], embed._write
embed._write = lambda file, parts: mine.append(file.name) or write(file, parts)
state = process_state()
plain = embed.embed_images(checkpoint.model, checkpoint.processor, faces)
cached = embed.embed_images(checkpoint.model, checkpoint.processor, faces, cache_dir=out / "cache")
assert (plain.embeds == cached.embeds).all()
if state.process_index == 0:
    embed.PictureBatches._pictures = None  # one process fails; both must stop
try:
    embed.embed_images(checkpoint.model, checkpoint.processor, faces)
    trouble = "none"
except Exception as error:
    trouble = str(error)
answer = {"ranks": state.num_processes, "backend": state.backend, "shards": mine, "trouble": trouble,
          "embeds": plain.embeds.tolist(), "rows": plain.rows.tolist()}
(out / f"{state.process_index}.json").write_text(json.dumps(answer))
"""


@pytest.mark.slow
def test_two_processes_share_the_work_and_both_have_all(model, processor, faces, small_checkpoint_folder, tmp_path):
    faces.save_to_disk(tmp_path / "faces")
    (tmp_path / "rank.py").write_text(_RANK)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [tmp_path / "rank.py", small_checkpoint_folder, tmp_path / "faces", tmp_path]
    run = subprocess.run([*launch, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    answers = [json.loads(Path(tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    expected = embed_images(model, processor, faces)
    for answer in answers:
        assert answer["ranks"] == 2 and answer["backend"] == "gloo"
        torch.testing.assert_close(torch.tensor(answer["embeds"]), expected.embeds, atol=1e-5, rtol=0)
        assert answer["rows"] == list(range(7))
    first, second = (set(answer["shards"]) for answer in answers)
    assert len(first) == len(second) == 2 and not first & second
    assert "another process stopped" in answers[1]["trouble"] and "not callable" in answers[0]["trouble"]


# Faults


@pytest.fixture
def damaged(tmp_path, pictures):
    """Seven files; the second is missing, the third empty, the fourth cut short."""
    paths = [str(tmp_path / f"{number}.png") for number in range(7)]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    Path(paths[1]).unlink()
    Path(paths[2]).write_bytes(b"")
    Path(paths[3]).write_bytes(Path(paths[3]).read_bytes()[:2000])
    ids = [f"face-{number}" for number in range(7)]
    return datasets.Dataset.from_dict({"id": ids, "image": paths}).cast_column("image", datasets.Image())


def test_missing_and_damaged_pictures_are_counted_named_and_survived(model, processor, damaged, pictures):
    with pytest.warns(
        UserWarning, match=r"3 of 7 rows cannot be read; face-1: no image file .*; face-2: .*zero bytes"
    ):
        embedded = embed_images(model, processor, damaged, batch_size=2)
    assert embedded.rows.tolist() == [0, 4, 5, 6]
    assert [name for name, _ in embedded.skipped] == ["face-1", "face-2", "face-3"]
    kept = [pictures[row] for row in embedded.rows]
    torch.testing.assert_close(embedded.embeds, one_at_a_time(model, processor, kept), atol=1e-5, rtol=0)


def test_strict_stops_at_them_also_when_they_are_in_the_cache(model, processor, damaged, tmp_path):
    with pytest.warns(UserWarning, match="3 of 7 rows"):
        embed_images(model, processor, damaged, cache_dir=tmp_path / "cache")
    with pytest.raises(ValueError, match=r"3 of 7 rows cannot be read.*--strict"):
        embed_images(model, processor, damaged, cache_dir=tmp_path / "cache", strict=True)


def test_a_dataset_without_one_whole_picture(model, processor, damaged):
    with pytest.raises(ValueError, match="none of 3 pictures can be read; face-1"):
        embed_images(model, processor, damaged.select([1, 2, 3]))


def test_a_box_beside_the_picture(model, processor, faces):
    boxes = [[500.0, 0.0, 600.0, 20.0]] + [None] * 6
    boxed = faces.add_column("face_box", boxes, feature=datasets.List(datasets.Value("float32"), length=4))
    with pytest.warns(UserWarning, match="face-0: the face box .* lies outside"):
        assert len(embed_images(model, processor, boxed)) == 6


def test_vectors_that_are_not_finite_name_their_rows(model, processor, faces, monkeypatch):
    encode = model.get_image_features

    def poisoned(**inputs):
        outputs = encode(**inputs)
        outputs.pooler_output[1] = float("nan")
        return outputs

    monkeypatch.setattr(model, "get_image_features", poisoned)
    with pytest.raises(FloatingPointError, match="NaN or infinite vectors for face-1: its weights"):
        embed_images(model, processor, faces)


def test_two_rows_of_one_name(model, processor, faces):
    twice = datasets.concatenate_datasets([faces, faces.select([2])])
    with pytest.raises(ValueError, match="1 ids stand for more than one row, first 'face-2'"):
        embed_images(model, processor, twice)


def test_training_mode_is_refused(model, processor, faces):
    with pytest.raises(ValueError, match=r"model\.eval\(\)"):
        embed_images(model.train(), processor, faces)
