"""Numbers in, numbers out. Nothing here knows a network, parameters or a config; import it into any JAX code."""

from marl_offline.losses.conservative import counterfactual_gap, joint_gap
from marl_offline.losses.policies import (
  action_penalty,
  best_proposal,
  counterfactual_objective,
  highest,
  imitation,
  individual_objective,
  soft_refit,
)
from marl_offline.losses.targets import (
  averaged_target,
  counterfactual_target,
  individual_targets,
  minimum_target,
  partial_replacement_target,
  td_target,
)
from marl_offline.losses.weights import agreement_weights, disagreement, inverse_weights

__all__ = [
  "action_penalty",
  "agreement_weights",
  "averaged_target",
  "best_proposal",
  "counterfactual_gap",
  "counterfactual_objective",
  "counterfactual_target",
  "disagreement",
  "highest",
  "imitation",
  "individual_objective",
  "individual_targets",
  "inverse_weights",
  "joint_gap",
  "minimum_target",
  "partial_replacement_target",
  "soft_refit",
  "td_target",
]
