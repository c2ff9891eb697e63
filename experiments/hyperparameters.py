"""Each algorithm's hyperparameters on the particle tasks and HalfCheetah 2x3: its paper's, and where that is silent its
released code's.

One function an algorithm: (config with the defaults, task, quality) -> the config to train with, and its source.
"""

import dataclasses
from typing import Any

QUALITIES = ("random", "medium-replay", "medium", "expert")
# The released code's alpha; SPaCQL takes CFCQL's hyperparameters as they are. In the order of QUALITIES.
CHEETAH = "halfcheetah_2x3"
ALPHAS = {
  "spread": (0.5, 1.0, 5.0, 2.5),
  "tag": (0.5, 0.5, 0.6, 2.0),
  "world": (0.5, 0.5, 0.32, 0.3),
  CHEETAH: (0.1, 0.4, 1.0, 1.7),
}
LEARNING_RATES = {"spread": 0.01, "tag": 0.001, "world": 0.001, CHEETAH: 3e-4}
# Of every algorithm on HalfCheetah, as far as it has the field: CFCQL's and OMAR's released code, TD3+BC's and IQL's
# for one agent. gamma is that of OMAR's appendix, the only paper to print one; both codes set 0.99 too, but run with
# RELEASED_GAMMA. The search is the code's; the appendix has 3 rounds of 10 samples and the soft refit everywhere.
CHEETAH_FIELDS = {
  "batch_size": 256,
  "hidden_size": 256,
  "tau": 0.005,
  "learning_rate": 3e-4,
  "gamma": 0.99,
  "proposals": "three_sources",
  "search": "elites",
  "search_rounds": 2,
  "search_samples": 20,
}
RELEASED_GAMMA = 0.95
# Of the independent learners, also from released code; their paper has alpha from {0.1, 0.5, 1, 5} for each task and no
# table. OMAR's weight of imitation: the paper's appendix names one a quality, the code has others for each task.
INDEPENDENT_ALPHAS = {
  "spread": (0.5, 1.0, 5.0, 5.0),
  "tag": (0.5, 0.5, 5.0, 5.0),
  "world": (0.5, 1.0, 0.5, 5.0),
  CHEETAH: (1.0, 5.0, 1.0, 5.0),
}
IMITATION_WEIGHTS = (0.5, 0.5, 0.7, 0.9)
RELEASED_IMITATION_WEIGHTS = {
  "spread": (1.0, 1.0, 1.0, 1.0),
  "tag": (0.9, 0.9, 0.7, 0.9),
  "world": (1.0, 0.7, 0.1, 0.9),
  CHEETAH: (1.0, 0.9, 0.7, 0.5),
}
OMAR = "arXiv:2111.11188"
# Of CFCQL's model of the behavior, with agent weights alone. The released code's 100,001 updates of 256 rows are 25,000
# of 1,024; whole intervals between evaluations (settings.EVALUATE_EVERY) are 58 * 435, 20 * 1,250 and 40 * 2,500.
BEHAVIOR_UPDATES = {"spread": 25_230, "tag": 25_230, "world": 25_000, CHEETAH: 100_000}


def sized(config: Any, task: str) -> Any:
  """The defaults of an algorithm, which are for the particle tasks, in the sizes that a task is trained with."""
  fields = CHEETAH_FIELDS if task == CHEETAH else {}
  return dataclasses.replace(config, **{name: value for name, value in fields.items() if hasattr(config, name)})


def conservative(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """CFCQL's table, which serves SPaCQL, ICQL-QS and MACQL too."""
  alpha = ALPHAS[task][QUALITIES.index(quality)]
  source = "arXiv:2309.12696 and arXiv:2511.07629; what they leave open as in the code released with the first"
  if task == CHEETAH and config.gamma != RELEASED_GAMMA:
    source += f", but gamma {config.gamma}, which that code sets and never passes on"
  return dataclasses.replace(config, alpha=alpha, learning_rate=LEARNING_RATES[task]), source


def independent(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """ICQL's: alpha alone depends on the data."""
  alpha = INDEPENDENT_ALPHAS[task][QUALITIES.index(quality)]
  coded = "alpha and gamma" if config.gamma == RELEASED_GAMMA else "alpha, target noise and search"
  source = f"{OMAR}; {coded} as in its released code; as many updates as all algorithms here"
  return dataclasses.replace(config, alpha=alpha), source


def omar(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """ICQL's, and the weight of imitation that the paper's appendix names for all tasks."""
  config, source = independent(config, task, quality)
  return dataclasses.replace(config, imitation_weight=IMITATION_WEIGHTS[QUALITIES.index(quality)]), source


def released_independent(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """As independent: where paper and code differ, that follows the code already."""
  return independent(config, task, quality)[0], f"the code released with {OMAR}"


def released_omar(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """The code's weight of imitation; where it is 1, policies do not climb Q at all."""
  config, source = released_independent(config, task, quality)
  return dataclasses.replace(
    config, imitation_weight=RELEASED_IMITATION_WEIGHTS[task][QUALITIES.index(quality)]
  ), source


def counterfactual(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """CFCQL's table. The paper's results on these tasks are of uniform agent weights; its tau of figure 4 and the time
  that the model of the behavior takes are left open, so the released code's."""
  config, source = conservative(config, task, quality)
  return dataclasses.replace(config, behavior_updates=BEHAVIOR_UPDATES[task]), source


def somebodys(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """An algorithm that is not of this library: its own defaults."""
  del task, quality
  return config, f"the defaults of {type(config).__module__}"


def imitation(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """Behavior cloning: nothing depends on the data."""
  del task, quality
  return config, "behavior cloning, no paper's values"


# No multi-agent continuous code is released for the next four: arXiv:2309.12696 appendix C.3 names the single-agent
# originals. Their 3e-4 is for a million updates, ten to a hundred times ours; 1e-3 is what the released discrete half
# gives IQL and AWAC. Budget, clipping and, on the particle tasks, sizes and discount are the other algorithms', alike
# for all data.
_CHOSEN = "clipping and, on the particle tasks, discount, sizes and learning rate are our choice, alike for all data"


def matd3_bc(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """TD3+BC's constants."""
  del task, quality
  return config, f"arXiv:2106.06860 with a central critic (arXiv:2309.12696 C.3, code unreleased); {_CHOSEN}"


def iql(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """IQL's constants for locomotion."""
  del task, quality
  return config, f"arXiv:2110.06169 with central V and Q (arXiv:2309.12696 C.3, code unreleased); {_CHOSEN}"


def awac(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """AWAC's constants; on HalfCheetah the temperature of a well-kept re-implementation's (CORL's) settings for it."""
  del quality
  config = dataclasses.replace(config, temperature=1 / 3) if task == CHEETAH else config
  return config, f"arXiv:2006.09359 with a central critic (arXiv:2309.12696 C.3, code unreleased); {_CHOSEN}"


def maicq(config: Any, task: str, quality: str) -> tuple[Any, str]:
  """ICQ's constants; the temperature is its released class's."""
  del task, quality
  origin = "arXiv:2106.03400, beta 100 and alpha 1 of its released class, with a central critic"
  return config, f"{origin} (the continuous multi-agent code is unreleased); {_CHOSEN}"


PAPER = {
  "spacql": conservative,
  "icql_qs": conservative,
  "cfcql": counterfactual,
  "macql": conservative,
  "icql": independent,
  "omar": omar,
  "matd3_bc": matd3_bc,
  "iql": iql,
  "awac": awac,
  "maicq": maicq,
  "bc": imitation,
}
# What settings.released_code takes instead, for those whose code is not CFCQL's; they train on each agent's own reward.
RELEASED = {"icql": released_independent, "omar": released_omar}
# Which of the others CFCQL's code holds, and which took its constants.
IN_RELEASED_CODE = ("cfcql", "macql")
OF_RELEASED_CODE = (*IN_RELEASED_CODE, "spacql", "icql_qs")
