"""The table in CONTRIBUTING.md of the common tests that are skipped, and why."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

CONTRIBUTING = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
BEGIN, END = "<!-- skipped: begin -->", "<!-- skipped: end -->"

OTHER_TASKS = r"test_pipeline_(?!image_classification|zero_shot_image)"
# What the suites say, and what it means here.
MEANING = {
    r"attribute not present in|video_processor|feature_extractor": "The processor has no such part: it samples clips "
    "itself, and takes no sound",
    r"chat template|_get_num_multimodal_tokens|librosa|Torchcodec": "For processors of chat models",
    r"not in MODEL_MAPPING": "AutoModel has no captioner; AutoModelForImageTextToText has",
    r"No (decoder-only|sequence-to-sequence) language modeling head": "It is no language model",
    r"not an encoder-decoder": "It is no encoder-decoder",
    r"no `base_model_class`": "No tower has rotary positions",
    r"sparse experts|output_router_logits|grouped_mm": "No tower has experts",
    r"TP plan": "No tower has a tensor-parallel plan",
    r"sliding window": "No tower has sliding windows",
    r"`inputs_embeds`": "The towers take ids and pixels, not embeddings",
    r"does not have position embeddings": "Of its own; the text tower's are stretched by `stretch_text_positions`",
    r"`?test_resize_embeddings`? is set": "The classifier has no text tower",
    r"both a non-text modality tower and a language": "The classifier has no text tower",
    r"does not support SDPA": "For models of one tower; the same test for composite models is run",
    r"don't support sdpa": "transformers' ConvNeXt V2 has no attention",
    r"_keep_in_fp32_modules": "No module must stay in float32",
    r"conversions? found": "The checkpoint's names are the model's own",
    r"differentiable loss was available": "The vision tower names no one weight as its input embeddings",
    r"does not support output_attentions": "transformers' ConvNeXt V2 has no attention; a captioner takes "
    "`output_attentions` among its keywords",
    r"does not (support|output) attentions": "transformers' ConvNeXt V2 has no attention",
    r"requires (accelerator|multiple accelerators|MPS)": "Needs an accelerator",
    r"requires (deepspeed|the kernels library|Flash Attention)": "Needs a library that `make install` does not bring",
}


class Skip(NamedTuple):
    reason: str
    test: str
    test_class: str


def meaning(test: str, reason: str) -> str:
    """The reason in our words where the suite's say little or speak of something else."""
    if re.match(OTHER_TASKS, test):
        return "No model of ours serves this task"
    return next((ours for theirs, ours in MEANING.items() if re.search(theirs, reason)), reason)


def table(skips: Iterable[Skip], classes: Iterable[str]) -> str:
    """A row for each reason and group of classes: reason, tests, where."""
    classes_of_test = defaultdict(set)
    for skip in skips:
        classes_of_test[skip.reason, skip.test].add(skip.test_class)
    tests = defaultdict(set)
    for (reason, test), where in classes_of_test.items():
        tests[reason, _summary(where, set(classes))].add(test)
    rows = [
        f"| {reason} | {where} | {', '.join(f'`{test}`' for test in sorted(names))} |"
        for (reason, where), names in sorted(tests.items())
    ]
    return "\n".join(["| Reason | Where | Tests |", "|---|---|---|", *rows])


def _summary(where: set[str], classes: set[str]) -> str:
    """`*ModelTest` for all classes of that kind, else their names."""
    parts = []
    for kind in ("ModelTest", "ClassifierTest", "CaptionerTest", "PipelinesTest", "ProcessorTest"):
        of_kind = {name for name in classes if name.endswith(kind)}
        skipped = where & of_kind
        parts += [f"*{kind}"] if len(of_kind) > 1 and skipped == of_kind else sorted(skipped)
    return ", ".join(parts)


def write(text: str, version: str, file: Path = CONTRIBUTING) -> None:
    """Put a table between the marks in `file`, with the version of transformers it was made with."""
    before, _, after = _split(file)
    file.write_text(f"{before}{BEGIN}\nWith transformers {version}:\n\n{text}\n{END}{after}")


def version(file: Path = CONTRIBUTING) -> str | None:
    """The version of transformers that the table in `file` was made with."""
    made_with = re.search(r"^With transformers (.+):$", _split(file)[1], re.MULTILINE)
    return made_with and made_with[1]


def undocumented(skips: Iterable[Skip], file: Path = CONTRIBUTING) -> list[Skip]:
    """Skips that the table in `file` does not list with this reason."""
    _, text, _ = _split(file)
    listed = defaultdict(set)
    for row in re.findall(r"^\|.*`.*\|$", text, re.MULTILINE):
        reason, _, tests = (cell.strip() for cell in row.strip("|").split("|"))
        listed[reason] |= set(re.findall(r"`(\w+)`", tests))
    return sorted({skip for skip in skips if skip.test not in listed[skip.reason]})


def _split(file: Path) -> tuple[str, str, str]:
    text = file.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{file.name} must hold {BEGIN} and {END} once each, around the table of skipped tests")
    before, rest = text.split(BEGIN)
    return before, *rest.split(END)
