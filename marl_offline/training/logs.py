"""What a run writes down: metrics.jsonl, one line an evaluation and seed, and returns.npz with every episode.

One step axis: gradient steps. Both files can be cut back to a checkpoint's step, so that a resumed run repeats no line.
"""

import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

AXES = ("seed", "evaluation", "episode")


def write_atomically(path: pathlib.Path, data: bytes) -> None:
  """The file has its old content or the new one, never half."""
  part = path.with_name(f".{path.name}.part")
  try:
    part.write_bytes(data)
    os.replace(part, path)
  finally:
    part.unlink(missing_ok=True)


def write_json(path: pathlib.Path, value: Any) -> None:
  """Indented JSON; a number that is not finite becomes null, as JSON has no word for it."""
  write_atomically(path, (json.dumps(_plain(value), indent=2, allow_nan=False) + "\n").encode())


def _plain(value: Any) -> Any:
  """NumPy values, tuples and numbers that are not finite -> what JSON knows."""
  if isinstance(value, Mapping):
    return {str(name): _plain(item) for name, item in value.items()}
  if isinstance(value, list | tuple):
    return [_plain(item) for item in value]
  if isinstance(value, np.ndarray | np.generic):
    return _plain(value.tolist())
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


class RunLog:
  """The two files of a run folder."""

  def __init__(self, folder: str | os.PathLike, seeds: Sequence[int]):
    self._metrics = pathlib.Path(folder) / "metrics.jsonl"
    self._returns = pathlib.Path(folder) / "returns.npz"
    self._seeds = list(seeds)
    self.steps: list[int] = []
    self.returns: list[np.ndarray] = []  # [seeds, episodes] an evaluation

  def append(self, step: int, metrics: Mapping, returns: np.ndarray, scores: np.ndarray, **facts: Any) -> None:
    """One evaluation. metrics name -> [seeds], returns [seeds, episodes], scores [seeds] (normalised), facts: the same
    in every line."""
    lines = []
    for row, seed in enumerate(self._seeds):
      line = {"step": step, "seed": seed, "return": float(np.mean(returns[row])), "score": float(scores[row])}
      line |= {name: float(value[row]) for name, value in metrics.items()} | facts
      lines.append(json.dumps(_plain(line), allow_nan=False) + "\n")
    with self._metrics.open("a") as file:
      file.write("".join(lines))
    self.steps.append(step)
    self.returns.append(np.asarray(returns))
    self._write_returns()

  def cut_back(self, step: int) -> None:
    """Forgets every evaluation after `step`: what a killed run logged beyond its last checkpoint comes again."""
    lines = self._metrics.read_text().splitlines() if self._metrics.exists() else []
    kept = [line for line in lines if (at := _step_of(line)) is not None and at <= step]
    write_atomically(self._metrics, "".join(line + "\n" for line in kept).encode())
    if self._returns.exists():
      values, steps, _ = load_returns(self._returns.parent)
      self.steps = [int(s) for s in steps if s <= step]
      self.returns = [values[:, i] for i in range(len(self.steps))]
      self._write_returns()

  def _write_returns(self) -> None:
    if not self.returns:
      self._returns.unlink(missing_ok=True)
      return
    part = self._returns.with_name(".returns.part.npz")
    try:
      np.savez(part, returns=np.stack(self.returns, axis=1), axes=np.array(AXES), step=self.steps, seed=self._seeds)
      os.replace(part, self._returns)
    finally:
      part.unlink(missing_ok=True)


def _step_of(line: str) -> int | None:
  """The step of a line; None for one that was cut off when its run was killed."""
  try:
    return int(json.loads(line)["step"])
  except (ValueError, KeyError, TypeError):
    return None


def load_returns(folder: str | os.PathLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """returns.npz of a run folder -> returns [seed, evaluation, episode], steps [evaluation], seeds [seed].

  Raises:
    ValueError: the axes are not named so.
  """
  path = pathlib.Path(folder) / "returns.npz"
  with np.load(path, allow_pickle=False) as file:
    if tuple(file["axes"].tolist()) != AXES:
      raise ValueError(f"{path} has the axes {file['axes'].tolist()}, expected {list(AXES)}")
    return file["returns"], file["step"], file["seed"]
