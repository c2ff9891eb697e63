"""Each algorithm's hyperparameters on the particle tasks: its paper's, and where that is silent its released code's.

One function an algorithm: (config with the defaults, task, quality) -> the config to train with, and its source.
"""

import dataclasses
from typing import Any

QUALITIES = ("random", "medium-replay", "medium", "expert")
# The released code's alpha; SPaCQL takes CFCQL's hyperparameters as they are. In the order of QUALITIES.
ALPHAS = {"spread": (0.5, 1.0, 5.0, 2.5), "tag": (0.5, 0.5, 0.6, 2.0), "world": (0.5, 0.5, 0.32, 0.3)}
LEARNING_RATES = {"spread": 0.01, "tag": 0.001, "world": 0.001}


def conservative(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """CFCQL's table, which serves SPaCQL, ICQL-QS and MACQL too."""
  alpha = ALPHAS[task][QUALITIES.index(quality)]
  source = "arXiv:2309.12696 and arXiv:2511.07629; what they leave open as in the code released with the first"
  return dataclasses.replace(config, alpha=alpha, learning_rate=LEARNING_RATES[task]), source


def imitation(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """Behavior cloning: nothing depends on the data."""
  del task, quality
  return config, "behavior cloning, no paper's values"


PAPER = {
  "spacql": conservative,
  "icql_qs": conservative,
  "cfcql": conservative,
  "macql": conservative,
  "bc": imitation,
}
