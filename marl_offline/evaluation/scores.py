"""Normalised scores: 0 is uniform play, 100 the reference expert. The one table of references, each with its source."""

import importlib
from typing import NamedTuple

import numpy as np


class Reference(NamedTuple):
  """Two returns (agents' mean of the episode's sum) that fix a task's scale."""

  expert: float  # scores 100
  random: float  # scores 0
  source: str


OMAR = {
  "spread": Reference(516.8, 159.8, "OMAR, arXiv:2111.11188, appendix B.1"),
  "tag": Reference(185.6, -4.1, "OMAR, arXiv:2111.11188, appendix B.1; against its own prey"),
  "world": Reference(79.5, -6.8, "OMAR, arXiv:2111.11188, appendix B.1; against its own prey"),
}

_OURS = (
  "measured here against the frozen prey2, 1,000 episodes each: python -m experiments.collect --references --task "
)
# What `normalized` uses. The physics of spread is OMAR's, so its references hold; tag and world depend on the prey:
# 0 is uniform play, 100 the fully trained predators acting with the noise that they trained with.
REFERENCES = {
  "spread": OMAR["spread"],
  "tag": Reference(93.2, -7.6, _OURS + "tag"),
  "world": Reference(50.9, -7.1, _OURS + "world"),
}

# spread for n agents, where no paper gives a scale: 0 is uniform play, 100 the player of collection/matched.py, which
# drives every agent to a landmark of its own and learns nothing. One rule for every n; good play, not the best.
# On this scale OMAR's expert for three agents scores 74.
_SPREAD = {  # n: expert, random
  3: (640.0, 162.1),
  4: (738.8, 138.0),
  5: (950.3, 194.4),
  6: (1160.6, 247.8),
  7: (1379.4, 316.7),
  8: (1599.2, 385.2),
  9: (1818.7, 456.3),
  10: (2043.3, 535.1),
}
# Robots of today's MuJoCo. 100 is the shipped expert without noise, the first snapshot of our run at OMAR's expert
# return; OMAR's own scale of HalfCheetah, 3568.8 and -284.0, is of MuJoCo 2.0 and no score here is on it.
_ROBOTS = (
  "measured here, uniform play and the shipped expert without noise: python -m experiments.collect --references "
)
_ROBOT_RETURNS = {  # expert, random
  "halfcheetah_2x3": (3760.9, -282.3),
  "halfcheetah_6x1": (3688.4, -282.3),
  "ant_2x4": (2514.1, -51.7),
  "hopper_3x1": (2591.1, 16.6),
  "walker2d_2x3": (3105.0, 1.3),
}
REFERENCES |= {task: Reference(*pair, f"{_ROBOTS}--task {task}") for task, pair in _ROBOT_RETURNS.items()}
_MEASURED = "measured here, uniform play and collection/matched.py, 1,000 episodes each: "
REFERENCES |= {
  f"spread_{n}": Reference(*pair, f"{_MEASURED}python -m experiments.collect --references --task spread_{n}")
  for n, pair in _SPREAD.items()
}


def reference(task: str) -> Reference:
  """A task's scale: of one of ours by its name, of anybody's by the dotted name of the module that holds REFERENCE.

  Raises:
    ValueError: none is known for the task; none is guessed.
  """
  if "." in task:
    try:
      return importlib.import_module(task).REFERENCE
    except (ImportError, AttributeError) as error:
      raise ValueError(f"no reference returns for task {task!r}: {error}") from error
  if task not in REFERENCES:
    raise ValueError(f"no reference returns for task {task!r}; known: {sorted(REFERENCES)}")
  return REFERENCES[task]


def normalized(task: str, raw):
  """100 (raw - random) / (expert - random), elementwise. A float or an array -> the same shape.

  Raises:
    ValueError: see reference.
  """
  scale = reference(task)
  return 100.0 * (np.asarray(raw, np.float64) - scale.random) / (scale.expert - scale.random)
