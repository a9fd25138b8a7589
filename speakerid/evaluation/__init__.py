"""Decisions and truth → figures. Pure maths on arrays: scores and truth are known, how the scores were made is not.

================================================  ======================================================================
what                                              where
================================================  ======================================================================
ranks, top-k accuracy, CMC, fewer speakers        ``closed_set``: :func:`ranks`, :func:`decisions`,
                                                  :func:`top_k_accuracy`, :func:`cmc_curve`,
                                                  :func:`expected_accuracy_by_size`
confusion matrix, precision and recall,           ``confusion``: :func:`confusion_matrix`, :class:`Confusion`,
worst pairs                                       :class:`SpeakerFigures`, :class:`ConfusedPair`
is this that speaker: the trials                  ``trials``: :class:`DetectionTrials`
ROC and DET points, convex hull                   ``roc``: :class:`Roc`, :func:`probit`
EER, minimum and actual DCF, NIST parameters      ``detection``: :func:`equal_error_rate`,
                                                  :func:`equal_error_threshold`, :func:`minimum_dcf`,
                                                  :func:`actual_dcf`, :class:`DetectionCost`, ``NIST_SRE_…``, ``VOXSRC``
Cllr, minimum Cllr, ratios by PAV                 ``calibration``: :func:`cllr`, :func:`minimum_cllr`,
                                                  :func:`optimal_llrs`
reliability diagram                               ``reliability``: :func:`reliability_curve`,
                                                  :func:`expected_calibration_error`, :func:`posterior`
somebody or nobody: DIR at false-alarm rates,     ``open_set``: :class:`OpenSetTrials`, :class:`OpenSetCurve`
detection EER, thresholds
accuracy by a covariate                           ``curves``: :func:`accuracy_by_bins`, :func:`accuracy_by_value`,
                                                  :func:`quantile_edges`, :class:`Bin`, ``SECONDS_EDGES``
so many of so many, Wilson's interval             ``proportions``: :class:`Proportion`, :func:`wilson_interval`
intervals over speakers and recordings, paired    ``resampling``: :func:`bootstrap`, :func:`paired_bootstrap`,
differences                                       :func:`resampling_weights`, :class:`Bootstrap`, :class:`Difference`
McNemar's test                                    ``significance``: :func:`mcnemar_test`, :class:`McNemar`
a side without trials                             ``checks``: :class:`EmptySideError`, a ValueError
================================================  ======================================================================

Larger scores are better, everywhere. Rates are 0..1. A metric that takes ``weights`` can be resampled: weights say how
often each trial counts.
"""

from speakerid.evaluation.calibration import cllr, minimum_cllr, optimal_llrs
from speakerid.evaluation.checks import EmptySideError
from speakerid.evaluation.closed_set import cmc_curve, decisions, expected_accuracy_by_size, ranks, top_k_accuracy
from speakerid.evaluation.confusion import ConfusedPair, Confusion, SpeakerFigures, confusion_matrix
from speakerid.evaluation.curves import SECONDS_EDGES, Bin, accuracy_by_bins, accuracy_by_value, quantile_edges
from speakerid.evaluation.detection import (
    NIST_SRE_2008,
    NIST_SRE_2010,
    NIST_SRE_2016,
    VOXSRC,
    DetectionCost,
    actual_dcf,
    equal_error_rate,
    equal_error_threshold,
    minimum_dcf,
)
from speakerid.evaluation.open_set import OpenSetCurve, OpenSetTrials
from speakerid.evaluation.proportions import Proportion, wilson_interval
from speakerid.evaluation.reliability import TENTHS, expected_calibration_error, posterior, reliability_curve
from speakerid.evaluation.resampling import Bootstrap, Difference, bootstrap, paired_bootstrap, resampling_weights
from speakerid.evaluation.roc import Roc, probit
from speakerid.evaluation.significance import McNemar, mcnemar_test
from speakerid.evaluation.trials import DetectionTrials

__all__ = [
    "NIST_SRE_2008",
    "NIST_SRE_2010",
    "NIST_SRE_2016",
    "SECONDS_EDGES",
    "TENTHS",
    "VOXSRC",
    "Bin",
    "Bootstrap",
    "ConfusedPair",
    "Confusion",
    "DetectionCost",
    "DetectionTrials",
    "Difference",
    "EmptySideError",
    "McNemar",
    "OpenSetCurve",
    "OpenSetTrials",
    "Proportion",
    "Roc",
    "SpeakerFigures",
    "accuracy_by_bins",
    "accuracy_by_value",
    "actual_dcf",
    "bootstrap",
    "cllr",
    "cmc_curve",
    "confusion_matrix",
    "decisions",
    "equal_error_rate",
    "equal_error_threshold",
    "expected_accuracy_by_size",
    "expected_calibration_error",
    "mcnemar_test",
    "minimum_cllr",
    "minimum_dcf",
    "optimal_llrs",
    "paired_bootstrap",
    "posterior",
    "probit",
    "quantile_edges",
    "ranks",
    "reliability_curve",
    "resampling_weights",
    "top_k_accuracy",
    "wilson_interval",
]
