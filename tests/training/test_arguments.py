"""A YAML file, then flags; what is misspelt is named with what was meant."""

from pathlib import Path

import pytest

from emocapclip_hf.training import parse_arguments

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def written(tmp_path, text):
    (tmp_path / "run.yaml").write_text(text)
    return ["--config", str(tmp_path / "run.yaml")]


def test_flags_override_the_file_which_overrides_the_defaults(tmp_path):
    config = written(tmp_path, "optimisation:\n  learning_rate: 0.5\n  max_steps: 7\nseed: 3\n")
    args = parse_arguments([*config, "--max-steps", "9"])
    assert (args.optimisation.learning_rate, args.optimisation.max_steps, args.run.seed) == (0.5, 9, 3)
    assert args.optimisation.weight_decay == 0.1


def test_model_config_as_json_and_as_yaml(tmp_path):
    config = written(tmp_path, "model:\n  model_config:\n    projection_dim: 16\n")
    assert parse_arguments(config).model.model_config == {"projection_dim": 16}
    assert parse_arguments(["--model-config", '{"projection_dim": 8}']).model.model_config == {"projection_dim": 8}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_configs_that_come_along_are_read(path):
    args = parse_arguments(["--config", str(path)])
    assert args.run.output_dir.startswith("runs/")


class TestBadInput:
    def test_unknown_key(self, tmp_path):
        with pytest.raises(ValueError, match=r"no option 'learning_rat'; did you mean 'learning_rate'"):
            parse_arguments(written(tmp_path, "learning_rat: 1"))

    def test_no_such_file(self):
        with pytest.raises(FileNotFoundError, match=r"no config 'nowhere\.yaml'"):
            parse_arguments(["--config", "nowhere.yaml"])

    def test_unknown_flag(self):
        with pytest.raises(ValueError, match="--learnin-rate"):
            parse_arguments(["--learnin-rate", "1"])
