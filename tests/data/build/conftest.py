"""Films with their faces cut out, made once, and what is true of each face."""

import shutil

import pytest
from films import film_of_truth, truth_of, write_film

from emocapclip_hf.data.build.faces import FaceOptions, run_faces
from emocapclip_hf.data.build.frames import FrameOptions, run_frames
from emocapclip_hf.data.build.sources import find_units


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """Four short films of a few shots each."""
    pytest.importorskip("cv2", reason="the extra `faces`")
    folder = tmp_path_factory.mktemp("made") / "films"
    for number in range(4):
        write_film(folder / f"film-{number}.mkv", [picture for picture, _ in film_of_truth(number)])
    return folder


@pytest.fixture(scope="session")
def faces_once(films, tmp_path_factory):
    out = tmp_path_factory.mktemp("faces")
    run_frames(out, find_units([films]), FrameOptions(per_scene=2))
    run_faces(out, FaceOptions())
    return out


@pytest.fixture
def built_faces(faces_once, tmp_path):
    """An output folder with frames and faces, of its own for each test."""
    shutil.copytree(faces_once, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture(scope="session")
def truth(faces_once) -> dict[str, str]:
    """The digest of each face's picture → its true caption, as JSON."""
    return truth_of(faces_once, lambda film: [face for _, face in film_of_truth(film)])
