"""`evaluate.load("eval/metrics/rouge_l.py")`."""

import datasets
import evaluate

from .wording import rouge_l

_DESCRIPTION = """\
ROUGE-L of rouge-score: the mean F-measure of the longest common subsequence of words.
"""

_ARGUMENTS = """
Args:
    predictions: captions.
    references: as many; each a text, or a list of texts.

Returns:
    rouge_l: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/rouge_l.py")
    >>> texts = ["the lips are slightly parted", "both of the brows are raised"]
    >>> round(metric.compute(predictions=texts, references=texts)["rouge_l"], 3)
    1.0
"""


class RougeL(evaluate.Metric):
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
        return {"rouge_l": float(rouge_l(predictions, references).mean())}
