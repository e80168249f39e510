"""`evaluate.load("eval/metrics/action_unit_f1.py")`."""

import datasets
import evaluate

from .functions import action_unit_f1

_DESCRIPTION = """\
The mean over action units of F1. A reference that is nan was not annotated, and does not count.
"""

_ARGUMENTS = """
Args:
    predictions, references: as many of one as of the other.

Returns:
    action_unit_f1: a float.

Example:
    >>> import evaluate
    >>> metric = evaluate.load("eval/metrics/action_unit_f1.py")
    >>> metric.compute(predictions=[[1, 0], [1, 1]], references=[[1, 0], [0, 1]])
    {'action_unit_f1': 0.8333333333333333}
"""


class ActionUnitF1(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_ARGUMENTS,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float64")),
                    "references": datasets.Sequence(datasets.Value("float64")),
                }
            ),
        )

    def _compute(self, predictions, references):
        return {"action_unit_f1": action_unit_f1(predictions, references)}
