"""An episode to look at: a GIF in real time, or a row of frames in one PNG. matplotlib is imported when asked."""

import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

KINDS = (".gif", ".png")
FRAMES_IN_A_ROW = 6
SHORTEST_FRAME = 0.04  # seconds; a GIF counts hundredths of a second, and browsers slow down those that are too short
PAUSE = 1.0  # seconds on the last frame, before a GIF begins again
COLORS = 64  # of a frame; more make the file larger and the picture no better


def check_kind(path: str | os.PathLike) -> None:
  """Looks whether the name ends in .gif or .png.

  Raises:
    ValueError: it does not.
  """
  if pathlib.Path(path).suffix.lower() not in KINDS:
    raise ValueError(f"cannot render to {path}: the name must end in one of {', '.join(KINDS)}")


def render(
  path: str | os.PathLike,
  worlds: Any,
  rewards: np.ndarray,
  draw: Callable,
  step_seconds: float = 0.1,
  size: tuple[float, float] = (4.0, 4.2),
  most_seconds: float = 20.0,
) -> None:
  """Writes the episode that a `record_episode`, of rollouts or host_rollouts, recorded.

  Args:
    path: .gif (in real time, up to most_seconds) or .png (a row of frames from first to last).
    worlds: world states stacked over time [T+1, ...].
    rewards: [T, N], for the captions.
    draw: (axes, world state) -> None; paints one state.
    step_seconds: how long a step of the environment lasts; of shorter ones than SHORTEST_FRAME not all are shown.
    size: of a frame, in inches of 80 dots; those of a row are about two thirds of it.
    most_seconds: where a longer GIF is cut.

  Raises:
    ValueError: another kind of file.
  """
  check_kind(path)
  so_far = np.concatenate([[0.0], np.cumsum(np.mean(rewards, axis=1))])

  def paint(axes, t):
    axes.clear()
    draw(axes, jax.tree.map(lambda leaf: leaf[t], worlds))
    axes.set_title(f"step {t} of {len(rewards)}, return {so_far[t]:.1f}", fontsize=9)

  if pathlib.Path(path).suffix.lower() == ".gif":
    stride = frame_stride(step_seconds)
    _gif(path, shown(len(rewards), stride, most_seconds / step_seconds), paint, stride * step_seconds, size)
  else:
    _row(path, np.unique(np.linspace(0, len(rewards), FRAMES_IN_A_ROW).round().astype(int)), paint, size)


def frame_stride(step_seconds: float) -> int:
  """Steps from one frame to the next: the fewest that last SHORTEST_FRAME."""
  return max(1, math.ceil(round(SHORTEST_FRAME / step_seconds, 6)))


def shown(num_steps: int, stride: int, most_steps: float) -> np.ndarray:
  """Which of the moments 0 to num_steps a film shows: every stride-th up to most_steps, and the end if it is there."""
  moments = np.arange(0, min(num_steps, most_steps) + 1e-6, stride).astype(int)
  return np.union1d(moments, [num_steps]) if num_steps <= most_steps else moments


def _gif(path, moments, paint, frame_seconds, size):
  import PIL.Image
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  figure = Figure(figsize=size, dpi=80, layout="constrained")
  axes, canvas, frames = figure.add_subplot(), FigureCanvasAgg(figure), []
  for t in moments:
    paint(axes, t)
    canvas.draw()
    figure.set_layout_engine("none")  # the first frame's serves all; to find it again takes half of the time
    colors = PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
    frames.append(colors.quantize(COLORS, method=PIL.Image.Quantize.FASTOCTREE))
  durations = [round(1000 * frame_seconds)] * (len(frames) - 1) + [round(1000 * PAUSE)]
  frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def _row(path, moments, paint, size):
  from matplotlib.figure import Figure

  figure = Figure(figsize=(0.65 * size[0] * len(moments), 0.69 * size[1]), layout="constrained")
  for axes, t in zip(np.ravel(figure.subplots(1, len(moments))), moments, strict=True):
    paint(axes, t)
  figure.savefig(path, dpi=110)
