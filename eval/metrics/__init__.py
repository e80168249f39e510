"""The metrics of the field.

`functions` holds them as plain functions, numpy in and float out; each is also an `evaluate` module, which loads from
disk without a network and carries `functions.py` along:

    from emocapclip_hf.eval.metrics.functions import uar
    evaluate.load("eval/metrics/uar.py").compute(predictions=[0, 1], references=[0, 0])
"""
