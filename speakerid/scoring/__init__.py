"""Frames against models: scores, and what they decide."""

from speakerid.scoring.decision import Decision, cohort_scores, decide, relative_scores
from speakerid.scoring.stack import MixtureStack

__all__ = ["Decision", "MixtureStack", "cohort_scores", "decide", "relative_scores"]
