"""Importing the package is cheap, and from then on the Auto classes know EmoCapCLIP; fresh interpreters tell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from captioner_zoo import captioner_config, captioner_processor, captioner_with_words
from PIL import Image
from zoo import random_inputs, small_config

from emocapclip_hf import EmoCapCLIPModel

ROOT = Path(__file__).resolve().parents[2]


def python(code, *arguments, cwd, installed=True):
    """What `code` prints in a fresh interpreter, with this package importable or not."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HOME": str(cwd / "hf-home")}
    if installed:
        environment["PYTHONPATH"] = str(ROOT)
    else:
        # The environment may hold an editable install of this package: take its finder away.
        code = f"import sys; sys.modules['emocapclip_hf'] = None\n{code}"
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


LOADS = {
    "nothing but the package": "import emocapclip_hf",
    "the Auto classes first": "from transformers import AutoModel, AutoProcessor; import emocapclip_hf",
    "a base class that imports an Auto class itself": "import emocapclip_hf; from transformers import PreTrainedModel",
    "pipelines": "import emocapclip_hf; from transformers import pipeline",
    "transformers after the package": "import emocapclip_hf, transformers; transformers.ProcessorMixin",
    "training": "import emocapclip_hf; from transformers import Trainer",
    "the modeling room first": "import emocapclip_hf.modeling",
    "the processing room first": "import emocapclip_hf.processing",
    "the package twice": "from emocapclip_hf.registration import register_auto_classes as r; r(); r()",
}


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS.keys())
def test_auto_classes_know_the_model(load, tmp_path):
    EmoCapCLIPModel(small_config()).save_pretrained(tmp_path / "model")
    captioner_config().save_pretrained(tmp_path / "captioner")
    printed = python(
        load + "\nimport sys\n"
        "from transformers import AutoConfig, AutoModel, AutoModelForImageClassification\n"
        "from transformers import AutoModelForImageTextToText, AutoModelForZeroShotImageClassification\n"
        "from transformers import AutoProcessor\n"
        "from transformers.models.auto.processing_auto import PROCESSOR_MAPPING\n"
        "import emocapclip_hf as e\n"
        "config = AutoConfig.from_pretrained(sys.argv[1])\n"
        "assert type(config) is e.EmoCapCLIPConfig\n"
        "assert type(AutoModel.from_config(config)) is e.EmoCapCLIPModel\n"
        "assert type(AutoModelForZeroShotImageClassification.from_config(config)) is e.EmoCapCLIPModel\n"
        "assert type(AutoModelForImageClassification.from_config(config)) is e.EmoCapCLIPForImageClassification\n"
        "assert PROCESSOR_MAPPING[type(config)] is e.EmoCapCLIPProcessor\n"
        "config = AutoConfig.from_pretrained(sys.argv[2])\n"
        "assert type(AutoModelForImageTextToText.from_config(config)) is e.EmoCapCLIPForConditionalGeneration\n"
        "assert PROCESSOR_MAPPING[type(config)] is e.EmoCapCLIPCaptionProcessor\n"
        "print('known')",
        tmp_path / "model",
        tmp_path / "captioner",
        cwd=tmp_path,
    )
    assert printed.endswith("known")


def test_importing_the_package_imports_no_model(tmp_path):
    """What the import costs beside transformers and torch: not one further module (timed in perf/imports.py)."""
    printed = python(
        "import sys, torch, transformers\n"
        "before = set(sys.modules)\n"
        "import emocapclip_hf\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))",
        cwd=tmp_path,
    )
    assert printed == "emocapclip_hf"


@pytest.mark.slow
def test_a_checkpoint_loads_where_the_package_is_not_installed(tmp_path):
    """The code travels with the weights: the same logits from an interpreter that cannot import this package."""
    model = EmoCapCLIPModel(small_config()).eval()
    model.save_pretrained(tmp_path / "model")
    inputs = random_inputs(model.config)
    torch.save(inputs, tmp_path / "inputs.pt")
    printed = python(
        "import sys, torch\n"
        "from transformers import AutoModel, AutoModelForImageClassification\n"
        "from transformers import AutoModelForZeroShotImageClassification\n"
        "inputs = torch.load(sys.argv[2])\n"
        "for auto in (AutoModel, AutoModelForZeroShotImageClassification):\n"
        "    model = auto.from_pretrained(sys.argv[1], trust_remote_code=True).eval()\n"
        "    assert type(model).__module__.startswith('transformers_modules.'), type(model)\n"
        "    with torch.no_grad():\n"
        "        print(model(**inputs).logits_per_image.tolist())\n"
        "model.save_pretrained(sys.argv[1] + '-again')\n"
        "print(type(AutoModel.from_pretrained(sys.argv[1] + '-again', trust_remote_code=True)).__name__)\n"
        "print(type(AutoModelForImageClassification.from_pretrained(sys.argv[1], trust_remote_code=True)).__name__)\n",
        tmp_path / "model",
        tmp_path / "inputs.pt",
        cwd=tmp_path,
        installed=False,
    )
    *logits, again, classifier = printed.splitlines()
    with torch.no_grad():
        expected = model(**inputs).logits_per_image
    for printed_logits in logits:  # another interpreter aligns memory differently, which shows in the last bits
        torch.testing.assert_close(torch.tensor(json.loads(printed_logits)), expected)
    assert (len(logits), again, classifier) == (2, "EmoCapCLIPModel", "EmoCapCLIPForImageClassification")


@pytest.mark.slow
def test_a_captioner_loads_where_the_package_is_not_installed(tmp_path):
    captioner, processor = captioner_with_words(), captioner_processor()
    for part in (captioner, processor):
        part.save_pretrained(tmp_path / "captioner")
    face = tmp_path / "face.png"
    Image.effect_mandelbrot((40, 50), (-2, -1.5, 1, 1.5), 30).convert("RGB").save(face)
    printed = python(
        "import sys\n"
        "from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline\n"
        "for folder in sys.argv[1], sys.argv[1] + '-again':\n"
        "    model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True)\n"
        "    assert type(model).__module__.startswith('transformers_modules.'), type(model)\n"
        "    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)\n"
        "    ids = model.generate(**processor(images=sys.argv[2], return_tensors='pt'), max_new_tokens=6)\n"
        "    print(processor.batch_decode(ids, skip_special_tokens=True)[0])\n"
        "    for part in (model, processor):\n"
        "        part.save_pretrained(sys.argv[1] + '-again')\n"
        "describe = pipeline('image-text-to-text', model=sys.argv[1], trust_remote_code=True)\n"
        "print(describe(sys.argv[2], text='', max_new_tokens=6)[0]['generated_text'])\n",
        tmp_path / "captioner",
        face,
        cwd=tmp_path,
        installed=False,
    )
    ids = captioner.generate(**processor(images=face, return_tensors="pt"), max_new_tokens=6)
    expected = processor.batch_decode(ids, skip_special_tokens=True)[0]
    assert [line.strip() for line in printed.splitlines()] == [expected.strip()] * 3
