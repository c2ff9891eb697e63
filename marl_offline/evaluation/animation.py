"""An episode to look at: a GIF, or a row of frames in one PNG. matplotlib is imported when asked."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

KINDS = (".gif", ".png")
FRAMES_IN_A_ROW = 6
FRAMES_PER_SECOND = 10


def check_kind(path: str | os.PathLike) -> None:
  """Looks whether the name ends in .gif or .png.

  Raises:
    ValueError: it does not.
  """
  if pathlib.Path(path).suffix.lower() not in KINDS:
    raise ValueError(f"cannot render to {path}: the name must end in one of {', '.join(KINDS)}")


def render(path: str | os.PathLike, worlds: Any, rewards: np.ndarray, draw: Callable) -> None:
  """Writes the episode that `rollouts.record_episode` recorded.

  Args:
    path: .gif (every step) or .png (a row of frames from first to last).
    worlds: world states stacked over time [T+1, ...].
    rewards: [T, N], for the captions.
    draw: (axes, world state) -> None; paints one state.

  Raises:
    ValueError: another kind of file.
  """
  check_kind(path)
  moments = [jax.tree.map(lambda leaf: leaf[t], worlds) for t in range(len(rewards) + 1)]  # noqa: B023
  so_far = np.concatenate([[0.0], np.cumsum(np.mean(rewards, axis=1))])
  captions = [f"step {t}, return {value:.1f}" for t, value in enumerate(so_far)]
  (_gif if pathlib.Path(path).suffix.lower() == ".gif" else _row)(path, moments, captions, draw)


def _paint(axes, moment, caption, draw):
  axes.clear()
  draw(axes, moment)
  axes.set_title(caption, fontsize=9)


def _gif(path, moments, captions, draw):
  from matplotlib.animation import PillowWriter
  from matplotlib.figure import Figure

  figure = Figure(figsize=(4.0, 4.2), layout="constrained")
  axes = figure.add_subplot()
  writer = PillowWriter(fps=FRAMES_PER_SECOND)
  with writer.saving(figure, str(path), dpi=80):
    for moment, caption in zip(moments, captions, strict=True):
      _paint(axes, moment, caption, draw)
      writer.grab_frame()


def _row(path, moments, captions, draw):
  from matplotlib.figure import Figure

  chosen = np.unique(np.linspace(0, len(moments) - 1, FRAMES_IN_A_ROW).round().astype(int))
  figure = Figure(figsize=(2.6 * len(chosen), 2.9), layout="constrained")
  for axes, t in zip(np.ravel(figure.subplots(1, len(chosen))), chosen, strict=True):
    _paint(axes, moments[t], captions[t], draw)
  figure.savefig(path, dpi=110)
