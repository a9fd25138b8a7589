"""Frames against models: scores, and what they decide."""

from speakerid.scoring.adapted import AdaptedStack
from speakerid.scoring.decision import Decision, cohort_scores, decide, relative_scores
from speakerid.scoring.stack import MixtureStack

__all__ = ["AdaptedStack", "Decision", "MixtureStack", "cohort_scores", "decide", "relative_scores"]
