"""Reports: what the tables say, which pictures there are, and that they show what the results hold."""

import base64
import csv
import doctest
import io

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from emocapclip_hf.cli import main
from emocapclip_hf.eval import report
from emocapclip_hf.eval.charts import draw_confusions, draw_per_class, draw_radar
from emocapclip_hf.eval.report import read_results, short_names, write_report
from emocapclip_hf.eval.results import Metric, Result
from emocapclip_hf.eval.retrieval_sheet import draw_examples

OURS, THEIRS = "runs/synthfaces/model", "openai/clip-vit-base-patch32"
LABELS = ["anger", "fear", "joy"]


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


def zero_shot(model, benchmark, uar, prompts="simple"):
    return Result(
        "zero-shot",
        benchmark,
        {"war": Metric(uar + 0.05, 0.1, 0.9), "uar": Metric(uar, uar - 0.02, uar + 0.02), "ece": Metric(1 - uar)},
        n=3068,
        model=model,
        revision="0123456789abcdef",
        protocol={"split": "test", "prompt_set": prompts, "scoring": "global", "warnings": ["Synthetic faces."]},
        details={
            "labels": LABELS,
            "confusion": [[8, 2, 0], [1, 9, 0], [5, 5, 0]],
            "recall": dict.fromkeys(LABELS, uar),
        },
        command="emocapclip eval zero-shot",
    )


def retrieval(model):
    answers = [{"text": "A smile.", "score": 0.5, "right": True}, {"text": "A frown.", "score": 0.4, "right": False}]
    faces = [
        {"id": "a", "picture": picture(), "score": 0.5, "right": False},
        {"id": "b.mp4", "score": 0.2, "right": True},
    ]
    examples = [
        {"way": "image_to_text", "query": {"id": "a", "picture": picture()}, "answers": answers},
        {"way": "text_to_image", "query": {"text": "A smile."}, "answers": faces},
    ]
    metrics = {"image_to_text_r1": Metric(0.1), "image_to_text_median_rank": Metric(31.5, 28.0, 35.0)}
    return Result("retrieval", "mafw-captions", metrics, n=10, model=model, details={"examples": examples})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The report of two models on three benchmarks."""
    folder = tmp_path_factory.mktemp("results")
    for model, uar in ((OURS, 0.6), (THEIRS, 0.4)):
        for benchmark in ("rafdb", "affectnet-7"):
            zero_shot(model, benchmark, uar).save(folder)
        retrieval(model).save(folder)
    return write_report(folder)


def plain(model, task="choice", metric="accuracy"):
    """A result that nothing is drawn of."""
    return Result(task, "facexbench", {metric: Metric(0.5)}, n=100, model=model)


def lines(path):
    return path.read_text().splitlines()


def test_models_stand_side_by_side(written):
    text = lines(written)
    assert "| benchmark | n | metric | clip-vit-base-patch32 | synthfaces |" in text
    assert "| rafdb | 3,068 | uar | 0.400 [0.380, 0.420] | **0.600** [0.580, 0.620] |" in text
    assert "|  |  | ece | 0.600 | **0.400** |" in text  # small is good
    assert "|  |  | image_to_text_median_rank | **31.5** [28.0, 35.0] | **31.5** [28.0, 35.0] |" in text
    assert text.index("## Zero-shot") < text.index("## Retrieval")
    assert [line.split()[1] for line in text if line.startswith("| rafdb") or line.startswith("| affectnet")] == [
        "rafdb",
        "affectnet-7",
    ]  # in the order of the paper's figure
    assert any("revision 0123456789ab" in line and "Synthetic faces." in line for line in text)


def test_every_metric_is_in_the_csv(written):
    with (written.parent / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (2 * 3 + 2)
    one = next(
        row for row in rows if row["benchmark"] == "rafdb" and row["metric"] == "uar" and row["model"] == "synthfaces"
    )
    assert (float(one["value"]), float(one["low"]), one["n"], one["task"]) == (0.6, 0.58, "3068", "zero-shot")


def test_every_picture_that_the_report_shows_is_there(written):
    shown = [line.split("(")[1].rstrip(")") for line in lines(written) if line.startswith("![")]
    assert sorted(shown) == sorted(file.name for file in written.parent.glob("*.png"))
    assert {"radar.png", "zero-shot-rafdb-confusion.png", "zero-shot-rafdb-recall.png"} < set(shown)
    assert sum("examples" in name for name in shown) == 2
    for name in shown:
        with Image.open(written.parent / name) as drawn:
            assert min(drawn.size) > 300 and len(drawn.convert("RGB").getcolors(10**6)) > 10


def test_two_spokes_make_no_radar(tmp_path):
    for task in ("choice", "own"):
        plain(OURS, task).save(tmp_path)
    assert "radar" not in write_report(tmp_path).read_text()
    plain(OURS, "another").save(tmp_path)
    assert "![All tasks](radar.png)" in write_report(tmp_path).read_text()


def test_settings_are_told_apart_where_there_are_several(tmp_path):
    for prompts in ("simple", "emocap"):
        result = zero_shot(OURS, "rafdb", 0.5, prompts)
        result.details = {"recall": result.details["recall"]}
        result.save(tmp_path)
    text = write_report(tmp_path).read_text()
    assert "| rafdb (simple) |" in text and "| rafdb (emocap) |" in text
    assert (tmp_path / "report" / "zero-shot-rafdb-emocap-recall.png").is_file()


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, kept open to be looked into."""
    figures = []
    monkeypatch.setattr(plt, "close", figures.append)
    yield figures
    monkeypatch.undo()
    plt.close("all")


def test_the_radar_shows_each_value_on_its_spoke(drawn, tmp_path):
    spokes = {
        "a": {"x": Metric(0.2), "y": Metric(0.3)},
        "b": {"x": Metric(0.4)},
        "c": {"x": Metric(0.6), "y": Metric(0.5)},
    }
    draw_radar(spokes, tmp_path / "radar.png")
    x, y = (line.get_ydata() for line in drawn[0].axes[0].get_lines())
    assert x.tolist() == [0.2, 0.4, 0.6, 0.2] and np.array_equal(y, [0.3, np.nan, 0.5, 0.3], equal_nan=True)
    written = [text.get_text() for text in drawn[0].axes[0].texts]
    assert written == ["a", "b", "c"]


def test_confusions_are_shares_of_the_true_class(drawn, tmp_path):
    details = {"labels": LABELS, "confusion": [[8, 2, 0], [1, 9, 0], [0, 0, 0]]}
    draw_confusions({"ours": details}, tmp_path / "confusion.png")
    numbers = [text.get_text() for text in drawn[0].axes[0].texts]
    assert numbers == ["80", "20", "0", "10", "90", "0", "0", "0", "0"]


def test_a_bar_for_each_label_and_model(drawn, tmp_path):
    values = {"ours": {"anger": 0.5, "joy": 0.75}, "theirs": {"anger": 0.25, "joy": float("nan")}}
    draw_per_class(values, "Recall", tmp_path / "recall.png")
    lengths = [bar.get_width() for bar in drawn[0].axes[0].patches]
    assert lengths[:3] == [0.5, 0.75, 0.25] and np.isnan(lengths[3])


def test_examples_of_one_way_only(tmp_path):
    examples = retrieval(OURS).details["examples"]
    for number in (0, 1):
        assert draw_examples([examples[number]], tmp_path / f"{number}.png").stat().st_size > 1000


def test_what_is_no_result_is_named_and_left_out(tmp_path, capsys):
    plain(OURS).save(tmp_path)
    (tmp_path / "metrics.json").write_text('{"a": 1}')
    (tmp_path / "broken.json").write_text("{")
    assert len(read_results(tmp_path)) == 1
    told = capsys.readouterr().err
    assert "metrics.json is left out" in told and "broken.json is left out" in told


def test_the_command(tmp_path, capsys):
    folder, out = tmp_path / "results", tmp_path / "out"
    for model in (OURS, THEIRS):
        plain(model).save(folder)
    assert main(["report", str(folder), "--output", str(out), "--model", OURS, THEIRS]) == 0
    assert capsys.readouterr().out.strip() == str(out / "report.md")
    assert "| facexbench | 100 | accuracy | **0.500** | **0.500** |" in lines(out / "report.md")
    assert "| benchmark | n | metric | synthfaces | clip-vit-base-patch32 |" in lines(out / "report.md")
    assert main(["report", str(folder), "--model", "someone/else"]) == 2
    assert "no results of someone/else; there are results of" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    out.joinpath("results.csv").unlink()
    assert main(["report", str(out)]) == 2
    assert "holds no result files" in capsys.readouterr().err


def test_names_are_as_short_as_they_may_be():
    assert doctest.testmod(report).failed == 0
    assert list(short_names(["a/run/model", "b/run/model"]).values()) == ["a/run", "b/run"]
    assert list(short_names(["model"]).values()) == ["model"]
