"""A small checkpoint to evaluate, and tables of small pictures."""

import datasets
import numpy as np
import pytest
from PIL import Image
from small_checkpoint import small_model, small_processor

datasets.disable_progress_bars()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="session")
def small_checkpoint_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    small_model(seed=0).save_pretrained(folder)
    small_processor().save_pretrained(folder)
    return folder


@pytest.fixture
def model():
    return small_model(seed=0)


@pytest.fixture
def processor():
    return small_processor()


@pytest.fixture(scope="session")
def pictures():
    """Pictures of several sizes, no two alike."""
    sizes = [(40 + 3 * number, 50) for number in range(7)]
    return [
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8))
        for number, (height, width) in enumerate(sizes)
    ]


@pytest.fixture
def faces(pictures):
    """A table of them, with ids."""
    return datasets.Dataset.from_dict(
        {"id": [f"face-{number}" for number in range(len(pictures))], "image": pictures},
        features=datasets.Features({"id": datasets.Value("string"), "image": datasets.Image()}),
    )
