"""Numbers in, numbers out. Nothing here knows a network, parameters or a config; import it into any JAX code."""

from marl_offline.losses.conservative import counterfactual_gap, joint_gap
from marl_offline.losses.generative import (
  action_log_likelihood,
  importance_log_density,
  latent_divergence,
  latent_log_ratio,
  reconstruction,
)
from marl_offline.losses.policies import (
  action_penalty,
  best_proposal,
  counterfactual_objective,
  gaussian_log_prob,
  highest,
  imitation,
  individual_objective,
  joint_objective,
  soft_refit,
  td3_bc_objective,
  weighted_likelihood,
)
from marl_offline.losses.targets import (
  averaged_target,
  counterfactual_target,
  individual_targets,
  minimum_target,
  partial_replacement_target,
  td_target,
)
from marl_offline.losses.values import expectile, squared
from marl_offline.losses.weights import (
  advantage_weights,
  agreement_weights,
  deviation_weights,
  disagreement,
  effective_share,
  inverse_weights,
  most_deviating,
  softmax_weights,
)

__all__ = [
  "action_log_likelihood",
  "action_penalty",
  "advantage_weights",
  "agreement_weights",
  "averaged_target",
  "best_proposal",
  "counterfactual_gap",
  "counterfactual_objective",
  "counterfactual_target",
  "deviation_weights",
  "disagreement",
  "effective_share",
  "expectile",
  "gaussian_log_prob",
  "highest",
  "imitation",
  "importance_log_density",
  "individual_objective",
  "individual_targets",
  "inverse_weights",
  "joint_gap",
  "joint_objective",
  "latent_divergence",
  "latent_log_ratio",
  "minimum_target",
  "most_deviating",
  "partial_replacement_target",
  "reconstruction",
  "soft_refit",
  "softmax_weights",
  "squared",
  "td3_bc_objective",
  "td_target",
  "weighted_likelihood",
]
