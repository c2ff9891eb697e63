"""What a run writes down: metrics.jsonl, one line an evaluation and seed, and returns.npz with every episode.

One step axis: gradient steps. Both files can be cut back to a checkpoint's step, so that a resumed run repeats no line.
"""

import contextlib
import io
import json
import math
import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

AXES = ("seed", "evaluation", "episode")


def write_atomically(path: pathlib.Path, data: bytes) -> None:
  """The file has its old content or the new one, never half.

  Raises:
    OSError: it cannot be written; the old content is there. `filename` is the path.
  """
  part = path.with_name(f".{path.name}.{os.getpid()}.part")  # several processes may write one table
  try:
    with _naming(path):
      part.write_bytes(data)
      os.replace(part, path)
  finally:
    part.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: pathlib.Path):
  """An OSError from writing knows no file; this one's does."""
  try:
    yield
  except OSError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: pathlib.Path, value: Any) -> None:
  """Indented JSON; a number that is not finite becomes null, as JSON has no word for it.

  Raises:
    OSError: as write_atomically.
  """
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
    in every line.

    Raises:
      OSError: a file cannot be written; its `filename` says which. `cut_back` mends what was begun.
    """
    lines = []
    for row, seed in enumerate(self._seeds):
      line = {"step": step, "seed": seed, "return": float(np.mean(returns[row])), "score": float(scores[row])}
      line |= {name: float(value[row]) for name, value in metrics.items()} | facts
      lines.append(json.dumps(_plain(line), allow_nan=False) + "\n")
    with _naming(self._metrics), self._metrics.open("a") as file:
      file.write("".join(lines))
    self.steps.append(step)
    self.returns.append(np.asarray(returns))
    self._write_returns()

  def cut_back(self, step: int) -> None:
    """Forgets every evaluation after `step`: what a killed run logged beyond its last checkpoint comes again.

    Raises:
      ValueError: returns.npz is damaged or of other seeds; nothing was changed.
      OSError: a file cannot be written; it has its old content.
    """
    self._require_own()
    lines = self._metrics.read_text(errors="replace").splitlines() if self._metrics.exists() else []
    kept = [line for line in lines if (at := _step_of(line)) is not None and at <= step]
    write_atomically(self._metrics, "".join(line + "\n" for line in kept).encode())
    if self._returns.exists():
      values, steps = load_returns(self._returns.parent)
      self.steps = [int(s) for s in steps if s <= step]
      self.returns = [values[:, i] for i in range(len(self.steps))]
      self._write_returns()

  def _require_own(self) -> None:
    if self._returns.exists() and (rows := len(load_returns(self._returns.parent)[0])) != len(self._seeds):
      raise ValueError(f"{self._returns} holds {rows} seeds, but the run has {len(self._seeds)}")

  def _write_returns(self) -> None:
    if not self.returns:
      self._returns.unlink(missing_ok=True)
      return
    file = io.BytesIO()  # a full disk in the middle of a zip file would leave it without a sentence
    np.savez(file, returns=np.stack(self.returns, axis=1), axes=np.array(AXES), step=self.steps, seed=self._seeds)
    write_atomically(self._returns, file.getvalue())


def _step_of(line: str) -> int | None:
  """The step of a line; None for one that was cut off when its run was killed."""
  try:
    return int(json.loads(line)["step"])
  except (ValueError, KeyError, TypeError):
    return None


def load_returns(folder: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
  """returns.npz of a run folder -> returns [seed, evaluation, episode], steps [evaluation]. Seeds: config.json.

  Raises:
    ValueError: there is none, or it cannot be read, or is none of ours; one sentence.
  """
  path = pathlib.Path(folder) / "returns.npz"
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:  # of a bad path it leaks the file
      axes, returns, steps = file["axes"].tolist(), file["returns"], file["step"]
  except FileNotFoundError as error:
    raise ValueError(f"{path} does not exist: no evaluation is logged yet") from error
  except PermissionError as error:
    raise ValueError(f"{path} cannot be read: {error.strerror}") from error
  except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
    raise ValueError(f"{path} is damaged: it is no complete .npz file with returns, step and axes") from error
  if axes != list(AXES):
    raise ValueError(f"{path} has the axes {axes}, expected {list(AXES)}")
  if returns.ndim != 3 or steps.shape != returns.shape[1:2] or returns.size == 0:
    raise ValueError(f"{path} is damaged: returns {returns.shape} and steps {steps.shape} do not fit each other")
  return returns, steps


def read(folder: str | os.PathLike, seeds: Sequence[int]) -> RunLog:
  """The log of a run that is written already.

  Raises:
    ValueError: see load_returns.
  """
  log = RunLog(folder, seeds)
  returns, steps = load_returns(folder)
  log.steps, log.returns = steps.tolist(), list(np.moveaxis(returns, 1, 0))
  return log


def join(folder: str | os.PathLike, parts: Sequence[str | os.PathLike], seeds: Sequence[int]) -> None:
  """The logs of parts of a run, each with its share of the seeds in their order, as those of the whole run.

  Raises:
    ValueError: a part's returns.npz is damaged.
    OSError: as write_atomically.
  """
  log, loaded = RunLog(folder, seeds), [load_returns(part) for part in parts]
  log.steps = loaded[0][1].tolist()
  log.returns = list(np.moveaxis(np.concatenate([returns for returns, _ in loaded]), 1, 0))
  lines = [line for part in parts for line in pathlib.Path(part, "metrics.jsonl").read_text().splitlines()]
  lines.sort(key=_step_of)  # stable: seeds keep their order
  write_atomically(pathlib.Path(folder) / "metrics.jsonl", "".join(line + "\n" for line in lines).encode())
  log._write_returns()
