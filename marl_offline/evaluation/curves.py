"""The learning-curve picture: every seed, their mean, the data set's own level. matplotlib is imported when asked."""

import os
from collections.abc import Callable, Sequence

import numpy as np

from marl_offline.evaluation import statistics
from marl_offline.evaluation.statistics import Named

SEED_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


def draw(
  path: str | os.PathLike,
  returns: Named,
  steps: np.ndarray,
  seeds: Sequence[int],
  *,
  title: str,
  dataset_mean: float | None,
  scale: tuple[Callable, Callable] | None = None,
) -> None:
  """Writes the picture.

  Args:
    path: .png, .pdf or .svg.
    returns: [seed, evaluation, episode].
    steps: [evaluation] gradient steps.
    dataset_mean: the data set's mean return; None where it does not compare.
    scale: return -> normalised score and back, for the axis on the right.
  """
  from matplotlib.figure import Figure

  curves = statistics.mean(returns, over="episode")  # [seed, evaluation]
  figure = Figure(figsize=(7.0, 4.2), layout="constrained")
  axes = figure.add_subplot()
  marker = "o" if len(steps) < 30 else None
  several = len(seeds) > 1
  for row, seed in enumerate(seeds):
    color = SEED_COLORS[row % len(SEED_COLORS)]
    values = curves.at("seed", row).values
    axes.plot(steps, values, color=color, lw=1.2, ms=3, marker=marker, alpha=0.75, label=f"seed {seed}")
  if several:
    axes.plot(steps, statistics.mean(curves, over="seed").values, color="black", lw=2.2, label="mean of seeds")
  if dataset_mean is not None:
    axes.axhline(dataset_mean, color="#777777", ls="--", lw=1.5, label=f"data set's mean ({dataset_mean:.1f})")
  axes.set_title(title)
  axes.set_xlabel("gradient steps")
  axes.set_ylabel("return of an episode, mean over agents")
  axes.set_xlim(left=0)
  axes.grid(alpha=0.25)
  axes.spines[["top"]].set_visible(False)
  if scale is not None:
    axes.secondary_yaxis("right", functions=scale).set_ylabel("normalised score (0 random, 100 expert)")
  axes.legend(frameon=False, fontsize=8, ncols=2 if len(seeds) > 4 else 1)
  figure.savefig(path, dpi=150)
