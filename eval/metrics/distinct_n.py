"""`evaluate.load("eval/metrics/distinct_n.py")`."""

import datasets
import evaluate

from .wording import distinct, words_per_caption

_DESCRIPTION = """\
How varied captions are: the share of different n-grams among all, and the number of words of a caption.
"""

_ARGUMENTS = """
Args:
    predictions: captions.

Returns:
    distinct_1, distinct_2, words: floats.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/distinct_n.py")
    >>> metric.compute(predictions=["the lips part", "the lips part"])
    {'distinct_1': 0.5, 'distinct_2': 0.5, 'words': 3.0}
"""


class DistinctN(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_ARGUMENTS,
            features=datasets.Features({"predictions": datasets.Value("string")}),
        )

    def _compute(self, predictions):
        return {
            "distinct_1": distinct(predictions, 1),
            "distinct_2": distinct(predictions, 2),
            "words": words_per_caption(predictions),
        }
