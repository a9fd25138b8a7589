"""Gaussian mixtures: density, sufficient statistics, initialisation, EM. Pure maths on arrays.

The lecture's symbols, and what they are called here:

=========  ==============================================  =======================================
π_k        weight of component k                           ``GaussianMixture.weights`` (K,)
μ_k        its mean                                        ``GaussianMixture.means`` (K, d)
σ²_k       its variances (diagonal of Σ_k)                 ``GaussianMixture.variances`` (K, d)
r_nk       responsibility of k for frame n                 :func:`responsibilities` (n, K)
N_k        Σ_n r_nk, the frames that k answers for         ``SufficientStatistics.zeroth`` (K,)
=========  ==============================================  =======================================

Model, statistics and update are three things: :func:`accumulate` reads frames with a model and gives statistics, which
add; :func:`maximum_likelihood_update` reads statistics and gives a model; :func:`train` repeats the two.
"""

from speakerid.mixtures.density import component_log_densities, frame_log_likelihoods, responsibilities
from speakerid.mixtures.em import TrainingRecord, train, train_each
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.initialisation import initialise_by_kmeans, initialise_by_splitting, single_gaussian
from speakerid.mixtures.maximum_likelihood import UpdateReport, maximum_likelihood_update, variance_floor
from speakerid.mixtures.statistics import SufficientStatistics, accumulate

__all__ = [
    "GaussianMixture",
    "SufficientStatistics",
    "TrainingRecord",
    "UpdateReport",
    "accumulate",
    "component_log_densities",
    "frame_log_likelihoods",
    "initialise_by_kmeans",
    "initialise_by_splitting",
    "maximum_likelihood_update",
    "responsibilities",
    "single_gaussian",
    "train",
    "train_each",
    "variance_floor",
]
