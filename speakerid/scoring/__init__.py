"""Frames against models: scores, and what they decide."""

from speakerid.scoring.adapted import AdaptedStack
from speakerid.scoring.calibration import Calibration, CalibrationData, expected_ratios, fit_calibration, posteriors
from speakerid.scoring.compensation import Compensated, compensated
from speakerid.scoring.decision import Decision, Rule, cohort_scores, decide, refuses, relative_scores
from speakerid.scoring.stack import MixtureStack
from speakerid.scoring.voices import Turn, several_voices

__all__ = [
    "AdaptedStack",
    "Calibration",
    "CalibrationData",
    "Compensated",
    "Decision",
    "MixtureStack",
    "Rule",
    "Turn",
    "cohort_scores",
    "compensated",
    "decide",
    "expected_ratios",
    "fit_calibration",
    "posteriors",
    "refuses",
    "relative_scores",
    "several_voices",
]
