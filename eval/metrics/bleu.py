"""`evaluate.load("eval/metrics/bleu.py")`."""

import datasets
import evaluate

from .wording import bleu

_DESCRIPTION = """\
Corpus BLEU-4 of sacrebleu, from 0 to 1.
"""

_ARGUMENTS = """
Args:
    predictions: captions.
    references: as many; each a text, or a list of texts.

Returns:
    bleu: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/bleu.py")
    >>> texts = ["the lips are slightly parted", "both of the brows are raised"]
    >>> round(metric.compute(predictions=texts, references=texts)["bleu"], 3)
    1.0
"""


class Bleu(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_ARGUMENTS,
            features=[
                datasets.Features({"predictions": text, "references": text}),
                datasets.Features({"predictions": text, "references": datasets.Sequence(text)}),
            ],
        )

    def _compute(self, predictions, references):
        return {"bleu": bleu(predictions, references)}
