"""Samples to features: framing, mel filter bank, cepstra, derivatives, speech activity, normalisation."""

from speakerid.frontend.extract import extract_features, extract_static
from speakerid.frontend.features import Features, StaticFeatures, finish

__all__ = ["Features", "StaticFeatures", "extract_features", "extract_static", "finish"]
