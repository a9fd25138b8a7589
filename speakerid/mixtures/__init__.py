"""Gaussian mixtures: density, sufficient statistics, initialisation, EM, choice of K. Pure maths on arrays.

The lecture's symbols, and what they are called here:

=========  ==============================================  =======================================================
K, d       components, features                            ``GaussianMixture.n_components``, ``.n_features``
π_k        weight of component k                           ``GaussianMixture.weights`` (K,)
μ_k        its mean                                        ``GaussianMixture.means`` (K, d)
Σ_k        its covariance                                  ``GaussianMixture.covariances``, in the shape of their
                                                           ``covariance_type``: diagonal, spherical, tied or full
r_nk       responsibility of k for frame n                 :func:`responsibilities` (n, K)
N_k        Σ_n r_nk, the frames that k answers for         ``SufficientStatistics.zeroth`` (K,)
log L      log-likelihood Σ_n log p(x_n)                   :func:`frame_log_likelihoods` (n,), to be summed
p          free parameters                                 ``GaussianMixture.n_parameters``
=========  ==============================================  =======================================================

Model, statistics and update are three things: :func:`accumulate` reads frames with a model and gives statistics, which
add; :func:`maximum_likelihood_update` and, with a world model, :func:`maximum_a_posteriori_update` read statistics and
give a model; :func:`train` repeats the two, from
:func:`initialise`, until the likelihood stands still. :class:`MixtureEstimator` is all of it with the habits of
scikit-learn.
"""

from speakerid.mixtures.covariances import COVARIANCE_TYPES, CovarianceType
from speakerid.mixtures.criteria import aic, bic, recording_folds
from speakerid.mixtures.density import component_log_densities, frame_log_likelihoods, responsibilities
from speakerid.mixtures.em import TrainingRecord
from speakerid.mixtures.estimator import MixtureEstimator
from speakerid.mixtures.gaussian_mixture import GaussianMixture
from speakerid.mixtures.initialisation import initialise, split_components
from speakerid.mixtures.maximum_a_posteriori import Part, adapt_each, maximum_a_posteriori_update
from speakerid.mixtures.maximum_likelihood import UpdateReport, maximum_likelihood_update
from speakerid.mixtures.sampling import sample
from speakerid.mixtures.scikit_learn import from_scikit_learn, to_scikit_learn
from speakerid.mixtures.statistics import SufficientStatistics, accumulate
from speakerid.mixtures.training import train, train_each

__all__ = [
    "COVARIANCE_TYPES",
    "CovarianceType",
    "GaussianMixture",
    "MixtureEstimator",
    "Part",
    "SufficientStatistics",
    "TrainingRecord",
    "UpdateReport",
    "accumulate",
    "adapt_each",
    "aic",
    "bic",
    "component_log_densities",
    "frame_log_likelihoods",
    "from_scikit_learn",
    "initialise",
    "maximum_a_posteriori_update",
    "maximum_likelihood_update",
    "recording_folds",
    "responsibilities",
    "sample",
    "split_components",
    "to_scikit_learn",
    "train",
    "train_each",
]
