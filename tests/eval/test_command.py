"""`emocapclip eval`: from the command line to result files, and what it says of mistakes."""

import json

import pytest
from captioner_zoo import captioner_processor, captioner_with_words
from transformers import CLIPConfig, CLIPModel

from emocapclip_hf.cli import main
from emocapclip_hf.eval.command import main as task_main
from emocapclip_hf.eval.results import Result

LABELS = ("happy", "sad", "angry")


@pytest.fixture
def faces_on_disk(tmp_path, pictures):
    """`folder` in a data root: some pictures a label in train and in test."""
    for split in ("train", "test"):
        for number, picture in enumerate(pictures * 3):
            file = tmp_path / "root" / "folder" / split / LABELS[number % 3] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture.save(file)
    return tmp_path / "root"


@pytest.fixture
def evaluate(small_checkpoint_folder, tmp_path):
    def _evaluate(task, *arguments, model=small_checkpoint_folder):
        places = ["--output", tmp_path / "results", "--cache-dir", tmp_path / "cache"]
        return main(["eval", task, *map(str, ["--model", model, *places, *arguments])])

    return _evaluate


@pytest.fixture
def result(tmp_path):
    def _result(pattern="*"):
        (file,) = (tmp_path / "results").glob(f"{pattern}.json")
        return Result.load(file)

    return _result


def test_zero_shot_leaves_a_result_file(evaluate, faces_on_disk, result, capsys, small_checkpoint_folder):
    arguments = ["--benchmark", "folder", "--data-dir", faces_on_disk / "folder"]
    assert evaluate("zero-shot", *arguments, "--scoring", "both", "--prompts", "emocap") == 0
    found = result()
    assert (found.task, found.benchmark, found.n, found.model) == (
        "zero-shot", "folder", 21, str(small_checkpoint_folder),
    )  # fmt: skip
    assert found.prompts["sad"][0] == "This image portrays an expression of sad."
    assert found.versions["torch"] and found.revision and found.fingerprint
    printed = capsys.readouterr().out
    assert f"{found.metrics['uar'].value:8.3f}  uar" in printed and "21 rows" in printed


def test_options_of_the_protocol_are_passed_on(evaluate, result):
    assert evaluate("zero-shot", "--benchmark", "synthfaces-emotion8", "--option", "n=20", "size=32") == 0
    assert result().protocol["options"] == {"n": 20, "size": 32, "seed": 0, "form": "long"}


def test_all_does_what_each_benchmark_is_made_for(evaluate, faces_on_disk, tmp_path):
    assert evaluate("all", "--data-root", faces_on_disk, "--no-few-shot") == 0
    results = [Result.load(path) for path in sorted((tmp_path / "results").glob("*.json"))]
    assert [found.task for found in results] == ["linear-probe", "zero-shot"]
    assert (tmp_path / "results" / "report" / "report.md").is_file()


def test_a_plain_clip_model_goes_through_the_same_command(evaluate, faces_on_disk, tmp_path, processor, result):
    tower = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**tower, "vocab_size": 8, "bos_token_id": 2, "eos_token_id": 3, "max_position_embeddings": 16}
    CLIPModel(
        CLIPConfig(text_config=text, vision_config={**tower, "image_size": 32, "patch_size": 8})
    ).save_pretrained(tmp_path / "plain")
    processor.image_processor.save_pretrained(tmp_path / "plain")
    processor.tokenizer.save_pretrained(tmp_path / "plain")
    arguments = ["--benchmark", "folder", "--data-dir", faces_on_disk / "folder"]
    assert evaluate("zero-shot", *arguments, model=tmp_path / "plain") == 0
    assert result().model == str(tmp_path / "plain")


def test_python_m_takes_the_same_arguments(small_checkpoint_folder, faces_on_disk, tmp_path, result):
    arguments = ["--model", small_checkpoint_folder, "--benchmark", "folder", "--data-root", faces_on_disk]
    places = ["--output", tmp_path / "results", "--cache-dir", tmp_path / "cache"]
    assert task_main("zero-shot", [*map(str, [*arguments, *places])]) == 0
    assert result().benchmark == "folder"


def test_one_of_several_models_fails_and_the_others_go_on(
    evaluate, faces_on_disk, small_checkpoint_folder, result, capsys
):
    arguments = ["--benchmark", "folder", "--data-root", faces_on_disk, small_checkpoint_folder]
    assert evaluate("zero-shot", *arguments[:-1], "--model", "no/such/place", small_checkpoint_folder) == 1
    assert "there is no folder no/such/place" in capsys.readouterr().err
    assert result().model == str(small_checkpoint_folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zero-shot"], "name a --benchmark, or give a --data-root"),
        (["all", "--data-root", "{empty}"], "is named after a benchmark; expected some of rafdb"),
        (["zero-shot", "--benchmark", "rafbd"], "did you mean 'rafdb'"),
        (["zero-shot", "--benchmark", "rafdb"], "RAF-DB needs a local copy"),
        (["zero-shot", "--benchmark", "affectnet-8", "--data-dir", "{empty}", "--split", "test"],
         "the test split of AffectNet-8 has no labels"),
        (["zero-shot", "--benchmark", "synthfaces", "--option", "n=8"], "SynthFaces has no labels"),
        (["zero-shot", "--benchmark", "synthfaces-emotion8", "--option", "n"], "--option n: expected NAME=VALUE"),
        (["zero-shot", "--benchmark", "synthfaces-emotion8", "--prompts", "emocup"], "did you mean 'emocap'"),
        (["linear-probe", "--benchmark", "folder", "--split", "test"], "leave out --split test"),
        (["linear-probe", "--benchmark", "sfew", "--data-dir", "{empty}"], "SFEW"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_remedy(arguments, message, evaluate, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    task, *more = (argument.format(empty=tmp_path / "empty") for argument in arguments)
    assert evaluate(task, *more) == 2
    assert message in capsys.readouterr().err


def test_missing_pictures_are_counted_and_strict_stops(evaluate, faces_on_disk, capsys, result):
    (faces_on_disk / "folder/test/sad/1.png").write_bytes(b"damaged")
    arguments = ["--benchmark", "folder", "--data-root", faces_on_disk]
    with pytest.warns(UserWarning, match=r"1 of 21 rows cannot be read; test/sad/1\.png"):
        assert evaluate("zero-shot", *arguments) == 0
    assert result().n == 20 and result().skipped[0][0] == "test/sad/1.png"
    assert evaluate("zero-shot", *arguments, "--strict") == 2
    assert "1 of 21 rows cannot be read" in capsys.readouterr().err


def test_a_result_file_that_is_none_is_named(tmp_path):
    (tmp_path / "other.json").write_text(json.dumps({"metrics": {"uar": 1}}))
    with pytest.raises(ValueError, match=r"other\.json is no result of an evaluation"):
        Result.load(tmp_path / "other.json")


@pytest.fixture(scope="module")
def captioner_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioner")
    captioner = captioner_with_words()
    captioner.generation_config.max_new_tokens = 5
    for part in (captioner, captioner_processor()):
        part.save_pretrained(folder)
    return folder


@pytest.fixture
def faba(tmp_path, pictures):
    """Two rows with emotions and one of the train split, in FABA's layout."""
    for split, labels in (("eval", ("Anger", "Fear")), ("train", ("Joy",))):
        folder = tmp_path / "faba" / "faba-emotion" / split
        folder.mkdir(parents=True)
        entries = []
        for number, label in enumerate(labels):
            pictures[number].save(folder / f"{number}.png")
            entry = {"image": f"FABAInstruct/{split}/{number}.png", "label": label, "gpt4": f"A face of {label}."}
            entries.append(entry | {"conversations": [{"from": "gpt", "value": "A face of fear."}]})
        (folder / f"{split}_emotion_anno.json").write_text(json.dumps(entries))
    return tmp_path / "faba"


def test_captioning_leaves_result_files(evaluate, captioner_folder, faba, tmp_path, capsys):
    words = {name: [name] for name in ("happiness", "sadness", "surprise", "anger", "neutral", "disgust", "fear")}
    (tmp_path / "words.json").write_text(json.dumps(words))
    arguments = ["--benchmark", "faba-emotion", "--data-root", faba, "--keywords", tmp_path / "words.json"]
    assert evaluate("captioning", *arguments, "--baselines", "--num-beams", 2, model=captioner_folder) == 0
    found = {(each := Result.load(path)).task: each for path in (tmp_path / "results").glob("*.json")}
    assert set(found) == {"captioning", "captioning-constant-baseline"}
    own, constant = found.values() if next(iter(found)) == "captioning" else reversed(found.values())
    assert (own.benchmark, own.n, own.model) == ("faba-emotion", 2, str(captioner_folder))
    assert own.protocol["encoding"] == {"dtype": "float32", "prompt": "", "num_beams": 2}
    assert own.protocol["captioning"]["keyword_accuracy"].endswith("keywords: words.json")
    assert constant.metrics["keyword_accuracy"].value == constant.metrics["emotion_accuracy"].value == 0.5
    assert "captioning-constant-baseline on faba-emotion, 2 rows" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "results")]) == 0
    assert "faba-emotion (keywords: words.json)" in (tmp_path / "results/report/report.md").read_text()


def test_python_m_captions_too(captioner_folder, faba, tmp_path, result):
    arguments = ["--model", captioner_folder, "--benchmark", "faba-emotion", "--data-root", faba]
    assert task_main("captioning", [*map(str, [*arguments, "--output", tmp_path / "results"])]) == 0
    assert result().protocol["captioning"]["keyword_accuracy"].endswith("keywords: ours")


def test_all_gives_each_model_its_own_tasks(evaluate, captioner_folder, small_checkpoint_folder, faba, tmp_path):
    models = ["--model", captioner_folder, small_checkpoint_folder]
    assert evaluate("all", "--data-root", faba, *models) == 1  # a linear probe finds no labels in FABA's train split
    results = [Result.load(path) for path in (tmp_path / "results").glob("*.json")]
    kinds = {str(captioner_folder): {"captioning"}, str(small_checkpoint_folder): {"zero-shot", "retrieval"}}
    assert {found.model: {each.task for each in results if each.model == found.model} for found in results} == kinds


@pytest.mark.parametrize(
    ("task", "flags", "model", "message"),
    [
        ("zero-shot", [], "captioner", "which writes and does nothing else: `captioning`, not `zero-shot`"),
        ("captioning", [], "encoder", "EmoCapCLIPModel writes no captions: `captioning` takes a captioner"),
        ("captioning", ["--baselines", "--split", "train"], "captioner", "rows scored must be others: --split test"),
        ("captioning", ["--encoder", "{captioner}"], "captioner", "is a captioner, which embeds no text"),
        ("captioning", ["--keywords", "{captioner}/config.json"], "captioner", "has no table of keywords"),
        ("captioning", ["--option", "n=1"], "captioner", "has no option 'n'"),
    ],
)  # fmt: skip
def test_mistakes_of_captioning(
    task, flags, model, message, evaluate, captioner_folder, small_checkpoint_folder, faba, capsys
):
    flags = [flag.format(captioner=captioner_folder) for flag in flags]
    folder = captioner_folder if model == "captioner" else small_checkpoint_folder
    assert evaluate(task, "--benchmark", "faba-emotion", "--data-root", faba, *flags, model=folder) == 2
    assert message in capsys.readouterr().err


def test_a_captioner_and_benchmarks_without_captions(evaluate, captioner_folder, faces_on_disk, capsys):
    assert evaluate("all", "--data-root", faces_on_disk, model=captioner_folder) == 2
    assert "none of folder has captions, which a captioner is evaluated by" in capsys.readouterr().err
