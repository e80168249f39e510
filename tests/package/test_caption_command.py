"""`emocapclip caption`: faces found or not, several in one photograph, what cannot be read, and the picture of why."""

import json
from pathlib import Path

import pytest
from captioner_zoo import captioner_processor, captioner_with_words
from PIL import Image

from emocapclip_hf import EmoCapCLIPConfig
from emocapclip_hf.cli import main
from emocapclip_hf.data.faces.detector import FoundFace


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioner")
    captioner = captioner_with_words(seed=1)
    captioner.generation_config.max_new_tokens = 12
    for part in (captioner, captioner_processor()):
        part.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.effect_mandelbrot((120, 80), (-2, -1.5, 1, 1.5), 30).convert("RGB").save(path)
    return str(path)


def find(monkeypatch, *faces):
    """A detector that finds these boxes in every photograph."""
    detector = lambda picture: [FoundFace(box, 1.0) for box in faces]  # noqa: E731
    monkeypatch.setattr("emocapclip_hf.data.faces.detector.load_detector", lambda model=None: detector)


def test_every_face_of_a_photograph_has_a_caption(model, photo, monkeypatch, capsys):
    find(monkeypatch, (10, 10, 30, 30), (70, 20, 40, 40))
    assert main(["caption", photo, "--model", model, "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["face"], row["box"]) for row in rows] == [(1, [10, 10, 30, 30]), (2, [70, 20, 40, 40])]
    assert all(row["photo"] == photo and row["global_caption"] for row in rows)
    assert set(rows[0]) == {"photo", "face", "box", "global_caption", "local_captions", "summary_caption"}


def test_no_face_says_what_to_do(model, photo, monkeypatch, capsys):
    find(monkeypatch)
    assert main(["caption", photo, "--model", model]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and f"{photo}: no face found" in printed.err and "--no-detect" in printed.err
    assert main(["caption", photo, "--model", model, "--no-detect"]) == 0
    assert capsys.readouterr().out.startswith(photo)


def test_a_file_that_is_no_picture_is_named_and_the_others_go_on(model, photo, tmp_path, capsys):
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    asked = [str(broken), str(tmp_path / "nowhere.png"), photo]
    assert main(["caption", *asked, "--model", model, "--no-detect"]) == 1
    printed = capsys.readouterr()
    assert "broken.png" in printed.err and "nowhere.png" in printed.err and photo in printed.out


def test_faces_of_many_photographs_keep_their_captions(model, photo, tmp_path, monkeypatch, capsys):
    """More than a batch: captions come while photographs are still read."""
    find(monkeypatch, (10, 10, 30, 30), (70, 20, 40, 40))
    copies = [str(tmp_path / f"{number}.png") for number in range(20)]
    for copy in copies:
        Path(copy).write_bytes(Path(photo).read_bytes())
    assert main(["caption", *copies, "--model", model, "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["photo"], row["face"]) for row in rows] == [(copy, face) for copy in copies for face in (1, 2)]


def test_text_has_no_lines_for_levels_that_were_not_written(model, photo, monkeypatch, capsys):
    written = lambda model, processor, images, **options: ("Joy." for image in images)  # noqa: E731
    monkeypatch.setattr("emocapclip_hf.captioning.caption_images", written)
    assert main(["caption", photo, "--model", model, "--no-detect"]) == 0
    assert capsys.readouterr().out == f"{photo}\n  Joy.\n\n"


def test_a_mistake_is_named_with_its_remedy(model, photo, capsys, tmp_path, monkeypatch):
    def complaint(*flags):
        assert main(["caption", photo, "--no-detect", *flags]) == 2
        return capsys.readouterr().err

    monkeypatch.chdir(tmp_path)
    assert "run `make train-captioner`, or name a --model" in complaint()
    assert "there is no folder runs/none/model" in complaint("--model", "runs/none/model")
    assert "error:" in complaint("--model", str(tmp_path))
    EmoCapCLIPConfig().save_pretrained(tmp_path / "encoder")
    assert "is no captioner but a model of type emocapclip" in complaint("--model", str(tmp_path / "encoder"))
    assert "there is no folder nowhere" in complaint("--model", model, "--explain", "nowhere/why.png")


def test_explanations_are_drawn(model, photo, tmp_path, capsys):
    out = tmp_path / "why.png"
    assert main(["caption", photo, "--model", model, "--no-detect", "--explain", str(out)]) == 0
    assert Image.open(out).size[0] > 300
