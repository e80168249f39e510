"""A saved processor carries its code, and loads where this package cannot be imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, Siglip2ImageProcessorPil

import emocapclip_hf
from emocapclip_hf.processing import EmoCapCLIPProcessor

CODE = {path.name for path in (Path(emocapclip_hf.__path__[-1]) / "processing").glob("*_emocapclip.py")}
CODE -= {"caption_processing_emocapclip.py"}  # travels with captioners

ELSEWHERE = """
import json, sys
from pathlib import Path
sys.modules["emocapclip_hf"] = None  # cannot be imported, also where the environment has it installed
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer

def inputs(folder):
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    caption = {"global_caption": "a face", "local_captions": ["lips up"], "summary_caption": "joy"}
    batch = processor(images=[Image.new("RGB", (40, 40), "red")], captions=[caption])
    return processor, {name: values.tolist() for name, values in batch.items()}

folder, again = sys.argv[1:]
processor, first = inputs(folder)
processor.save_pretrained(again)
_, second = inputs(again)
tokenizer = AutoTokenizer.from_pretrained(again, trust_remote_code=True)
label = tokenizer(["the happy face " * 100, "sad"], padding=True, return_tensors="pt")["input_ids"]
AutoImageProcessor.from_pretrained(again)
print(json.dumps({"first": first, "same": first == second, "label": list(label.shape)}))
"""


def test_files(processor, tmp_path):
    before = processor.to_dict()
    processor.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.glob("*.py")} == CODE
    config = json.loads((tmp_path / "processor_config.json").read_text())
    assert config["auto_map"] == {"AutoProcessor": "processing_emocapclip.EmoCapCLIPProcessor"}
    assert config["image_processor"]["image_processor_type"] == "CLIPImageProcessor"  # of either backend
    tokenizer_config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert tokenizer_config["auto_map"] == {
        "AutoProcessor": "processing_emocapclip.EmoCapCLIPProcessor",
        "AutoTokenizer": ["tokenization_emocapclip.EmoCapCLIPTokenizer", None],
    }
    assert "auto_map" not in before and "auto_map" not in processor.to_dict()


def test_the_code_imports_nothing_of_ours_and_stays_flat():
    for name in CODE:
        text = (Path(emocapclip_hf.__path__[-1]) / "processing" / name).read_text()
        assert "import emocapclip_hf" not in text and "from emocapclip_hf" not in text and "from .." not in text


def test_round_trip_here(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    for loaded in (
        AutoProcessor.from_pretrained(tmp_path),  # `import emocapclip_hf` made the Auto classes know it
        AutoProcessor.from_pretrained(tmp_path, trust_remote_code=True),
        EmoCapCLIPProcessor.from_pretrained(tmp_path),
    ):
        assert loaded.tokenizer.fits_context
        assert loaded.image_processor.to_dict() == processor.image_processor.to_dict()
        assert loaded(text="a happy face")["input_ids"] == processor(text="a happy face")["input_ids"]


@pytest.mark.parametrize("saved_as", ["CLIPImageProcessor", "CLIPImageProcessorPil"])
def test_image_processor_of_either_backend(processor, tmp_path, saved_as):
    """What was saved with torchvision loads without, and the other way round."""
    processor.save_pretrained(tmp_path)
    path = tmp_path / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"]["image_processor_type"] = saved_as
    path.write_text(json.dumps(config))
    assert AutoImageProcessor.from_pretrained(tmp_path).crop_size == processor.image_processor.crop_size


@pytest.mark.slow
@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_where_the_package_cannot_be_imported(family, request, image_processor, tmp_path):
    if family == "siglip":
        processor = EmoCapCLIPProcessor(image_processor, request.getfixturevalue("siglip_tokenizer"))
    else:
        processor = request.getfixturevalue("processor")
    processor.save_pretrained(tmp_path / "first")
    done = subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, tmp_path / "first", tmp_path / "again"],
        env={"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    elsewhere = json.loads(done.stdout)
    assert elsewhere["same"]
    assert elsewhere["label"] == [2, processor.tokenizer.model_max_length]
    assert "was cut to the" in done.stderr
    caption = {"global_caption": "a face", "local_captions": ["lips up"], "summary_caption": "joy"}
    here = processor(images=[Image.new("RGB", (40, 40), "red")], captions=[caption])
    assert elsewhere["first"] == {name: values.tolist() for name, values in here.items()}


def test_naflex_round_trip(clip_tokenizer, tmp_path):
    EmoCapCLIPProcessor(Siglip2ImageProcessorPil(patch_size=8), clip_tokenizer).save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path, trust_remote_code=True)
    assert loaded.image_processor.patch_size == 8
