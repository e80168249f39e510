"""`evaluate.load("eval/metrics/cider_d.py")`."""

import datasets
import evaluate

from .wording import cider_d

_DESCRIPTION = """\
CIDEr-D: the mean agreement of n-grams, rare ones counting more; identical texts score 10.
"""

_ARGUMENTS = """
Args:
    predictions: captions.
    references: as many; each a text, or a list of texts.

Returns:
    cider_d: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/cider_d.py")
    >>> texts = ["the lips are slightly parted", "both of the brows are raised"]
    >>> round(metric.compute(predictions=texts, references=texts)["cider_d"], 3)
    10.0
"""


class CiderD(evaluate.Metric):
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
        return {"cider_d": float(cider_d(predictions, references).mean())}
