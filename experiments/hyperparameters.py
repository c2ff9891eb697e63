"""Each algorithm's hyperparameters on the particle tasks: its paper's, and where that is silent its released code's.

One function an algorithm: (config with the defaults, task, quality) -> the config to train with, and its source.
"""

import dataclasses
from typing import Any

QUALITIES = ("random", "medium-replay", "medium", "expert")
# The released code's alpha; SPaCQL takes CFCQL's hyperparameters as they are. In the order of QUALITIES.
ALPHAS = {"spread": (0.5, 1.0, 5.0, 2.5), "tag": (0.5, 0.5, 0.6, 2.0), "world": (0.5, 0.5, 0.32, 0.3)}
LEARNING_RATES = {"spread": 0.01, "tag": 0.001, "world": 0.001}
# Of the independent learners, also from released code; their paper has alpha from {0.1, 0.5, 1, 5} for each task and no
# table. OMAR's weight of imitation: the paper's appendix names one a quality, the code has others for each task.
INDEPENDENT_ALPHAS = {"spread": (0.5, 1.0, 5.0, 5.0), "tag": (0.5, 0.5, 5.0, 5.0), "world": (0.5, 1.0, 0.5, 5.0)}
IMITATION_WEIGHTS = (0.5, 0.5, 0.7, 0.9)
RELEASED_IMITATION_WEIGHTS = {
  "spread": (1.0, 1.0, 1.0, 1.0),
  "tag": (0.9, 0.9, 0.7, 0.9),
  "world": (1.0, 0.7, 0.1, 0.9),
}
OMAR = "arXiv:2111.11188"


def conservative(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """CFCQL's table, which serves SPaCQL, ICQL-QS and MACQL too."""
  alpha = ALPHAS[task][QUALITIES.index(quality)]
  source = "arXiv:2309.12696 and arXiv:2511.07629; what they leave open as in the code released with the first"
  return dataclasses.replace(config, alpha=alpha, learning_rate=LEARNING_RATES[task]), source


def independent(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """ICQL's: alpha alone depends on the data."""
  alpha = INDEPENDENT_ALPHAS[task][QUALITIES.index(quality)]
  source = f"{OMAR}; alpha and gamma as in its released code; as many updates as all algorithms here"
  return dataclasses.replace(config, alpha=alpha), source


def omar(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """ICQL's, and the weight of imitation that the paper's appendix names for all tasks."""
  config, source = independent(config, task, quality)
  return dataclasses.replace(config, imitation_weight=IMITATION_WEIGHTS[QUALITIES.index(quality)]), source


def released_independent(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """As independent: where paper and code differ, that follows the code already."""
  return independent(config, task, quality)[0], f"the code released with {OMAR}, but for the number of updates"


def released_omar(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """The code's weight of imitation; where it is 1, policies do not climb Q at all."""
  config, source = released_independent(config, task, quality)
  return dataclasses.replace(
    config, imitation_weight=RELEASED_IMITATION_WEIGHTS[task][QUALITIES.index(quality)]
  ), source


def imitation(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """Behavior cloning: nothing depends on the data."""
  del task, quality
  return config, "behavior cloning, no paper's values"


PAPER = {
  "spacql": conservative,
  "icql_qs": conservative,
  "cfcql": conservative,
  "macql": conservative,
  "icql": independent,
  "omar": omar,
  "bc": imitation,
}
# What settings.released_code takes instead, for those whose code is not CFCQL's; they train on each agent's own reward.
RELEASED = {"icql": released_independent, "omar": released_omar}
