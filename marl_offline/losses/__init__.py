"""Numbers in, numbers out. Nothing here knows a network, parameters or a config; import it into any JAX code."""

from marl_offline.losses.conservative import counterfactual_gap, joint_gap
from marl_offline.losses.generative import (
  action_log_likelihood,
  importance_log_density,
  latent_divergence,
  latent_log_ratio,
  reconstruction,
)
from marl_offline.losses.policies import action_penalty, counterfactual_objective, imitation, joint_objective
from marl_offline.losses.targets import (
  averaged_target,
  counterfactual_target,
  individual_targets,
  minimum_target,
  partial_replacement_target,
  td_target,
)
from marl_offline.losses.weights import (
  agreement_weights,
  deviation_weights,
  disagreement,
  inverse_weights,
  most_deviating,
)

__all__ = [
  "action_log_likelihood",
  "action_penalty",
  "agreement_weights",
  "averaged_target",
  "counterfactual_gap",
  "counterfactual_objective",
  "counterfactual_target",
  "deviation_weights",
  "disagreement",
  "imitation",
  "importance_log_density",
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
  "td_target",
]
