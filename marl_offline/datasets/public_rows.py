"""What the readers of published data share: numbers checked and brought into our types, actions into their range.

Published files do not hold what the behaviour would have done at an episode's final observation. Each reader marks
that (Episodes.final_action_unknown), so no last row of a cut episode is ever drawn: its episode is then one step
shorter, cut at the observation before, where both the action and what it led to are known. Its reward and its
observation still count in every statistic.
"""

import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from marl_offline.datasets import checks
from marl_offline.datasets.checks import DataError
from marl_offline.datasets.episodes import Episodes, check

ROUNDING = 1e-4  # how far beyond [-1, 1] an action counts as rounded


class Task(NamedTuple):
  """Sizes of a published data set, to refuse another one's files."""

  name: str  # as its authors call it, part of file names
  num_agents: int  # the learned ones
  obs_size: int
  action_size: int
  time_limit: int  # steps; a longer episode there is not
  state_size: int | None = None  # None: the observations, concatenated, are the state


class Read(NamedTuple):
  """A published data set in our terms, and what had to be done to it, for its card."""

  episodes: Episodes
  notes: dict[str, int | float | str]


def doubtful_limit(lengths: np.ndarray, limit: int) -> str:
  """A sentence if the steps at which a simulator cut, as somebody says, look wrong; "" if not. lengths [P] in steps.

  Cuts that are not known as such are taken for true ends, after which nothing is expected.
  """
  longest = int(lengths.max())
  count = int((lengths == longest).sum())
  if longest >= limit or count < max(2, len(lengths) / 100):
    return ""
  return (
    f"no episode has {limit} steps, and {count} of {len(lengths)} have {longest}, which none exceeds; if they were cut "
    f"there, they now count as ended: convert again with --time_limit={longest}"
  )


class Actions:
  """Brings actions into [-1, 1] and keeps count of it."""

  def __init__(self, clip: bool = False):
    """clip: takes actions however far outside, and clips them; else only what rounding explains."""
    self._limit = np.inf if clip else 1 + ROUNDING
    self._clipped, self._furthest = 0, 0.0

  def __call__(self, where: str, first_row: int, action: np.ndarray) -> np.ndarray:
    """Rows of finite actions -> the same in [-1, 1]. where, first_row: for the sentence.

    Raises:
      DataError: one lies further outside than rounding explains.
    """
    size = np.abs(action)
    outside = size > 1
    if not outside.any():
      return action
    at = np.unravel_index(np.argmax(size), size.shape)
    if size[at] > self._limit:
      raise DataError(
        f"{where}: row {first_row + at[0]} holds the action {action[at]:.6g}, further outside [-1, 1] than rounding "
        f"({ROUNDING:g}) explains; if the simulator clipped such actions itself, --clip_actions does it here"
      )
    self._clipped += int(outside.sum())
    self._furthest = max(self._furthest, float(size[at]))
    return np.clip(action, -1, 1)

  def notes(self) -> dict[str, int | float | str]:
    """For the card: nothing where nothing was clipped."""
    if not self._clipped:
      return {}
    return {"clipped_actions": self._clipped, "furthest_action": self._furthest}


def numbers(where: str, first_row: int, rows) -> np.ndarray:
  """Rows of a file as float32, all finite.

  Raises:
    DataError: no numbers, or a value that is not finite in float32; names its row.
  """
  rows = np.asarray(rows)
  if rows.dtype.kind not in "fiub":
    raise DataError(f"{where}: holds {rows.dtype} where numbers are expected")
  with np.errstate(over="ignore"):
    values = rows.astype(np.float32)
  wrong = ~np.isfinite(values)
  if wrong.any():
    at = np.unravel_index(np.argmax(wrong), wrong.shape)
    raise DataError(f"{where}: row {first_row + at[0]} holds {rows[at]}; every value must be finite")
  return values


def require_shape(where: str, shape: tuple[int, ...], words: str, expected: tuple[int | None, ...]) -> None:
  """Nothing if the shape is the expected one; None stands for any size.

  Raises:
    DataError: it is not.
  """
  fits = len(shape) == len(expected) and all(e in (None, size) for e, size in zip(expected, shape, strict=True))
  if not fits:
    sizes = ", ".join("any" if size is None else str(size) for size in expected)
    raise DataError(f"{where}: has shape {tuple(shape)} where {words} ({sizes}) is expected")


def flags(where: str, first_row: int, rows) -> np.ndarray:
  """Rows of zeros and ones of any type as bool.

  Raises:
    DataError: another value; names its row.
  """
  rows = np.asarray(rows)
  if rows.dtype.kind not in "fiub":
    raise DataError(f"{where}: holds {rows.dtype} where zeros and ones are expected")
  wrong = ~np.isin(rows, (0, 1))
  if wrong.any():
    at = np.unravel_index(np.argmax(wrong), wrong.shape)
    raise DataError(f"{where}: row {first_row + at[0]} holds {rows[at]} where 0 or 1 is expected")
  return rows.astype(bool)


def in_chunks(title: str, count: int, rows_each: int = 1):
  """(first, one after the last) of each chunk of `count` rows, or of `count` episodes with rows_each in the file.

  A progress bar shows where there is a terminal.
  """
  size = max(checks.CHUNK // rows_each, 1)
  with tqdm(total=count * rows_each, desc=title, unit=" rows", unit_scale=True, disable=None, leave=False) as bar:
    for first in range(0, count, size):
      stop = min(first + size, count)
      yield first, stop
      bar.update((stop - first) * rows_each)


def fill(
  known: Task, steps: np.ndarray, final: np.ndarray, look: Callable, actions: Actions, title: str
) -> dict[str, np.ndarray | None]:
  """obs, action, reward, state and final_* of files in which whole rows follow each other.

  Args:
    known: the sizes.
    steps: rows that are a step. [X] bool.
    final: rows whose observation is an episode's final one, or stands in for it. [X] bool.
    look: ("obs", "state", "action" or "reward", first row, row after the last) -> the words for the place, and rows
      [..., N, O], [..., S], [..., N, A] and [..., N] or [..., 1]. Of rows that are no step only obs and state are used.
    actions: brings actions into range.
    title: of the progress bar.

  Raises:
    DataError: a number that is none, or an action out of range.
  """
  num_rows, num_episodes, agents = int(steps.sum()), int(final.sum()), known.num_agents
  sizes = {"obs": (agents, known.obs_size), "action": (agents, known.action_size), "reward": (agents,)}
  fields = {name: np.empty((num_rows, *size), np.float32) for name, size in sizes.items()}
  fields["final_obs"] = np.empty((num_episodes, *sizes["obs"]), np.float32)
  fields |= {"state": None, "final_state": None}
  if known.state_size:
    fields["state"] = np.empty((num_rows, known.state_size), np.float32)
    fields["final_state"] = np.empty((num_episodes, known.state_size), np.float32)
  row = episode = 0
  for first, stop in in_chunks(title, len(steps)):
    kept, ends = steps[first:stop], final[first:stop]
    rows, episodes = slice(row, row + int(kept.sum())), slice(episode, episode + int(ends.sum()))
    for name in ("obs", "state") if known.state_size else ("obs",):
      where, raw = look(name, first, stop)
      values = numbers(where, first, raw)
      fields[name][rows], fields[f"final_{name}"][episodes] = values[kept], values[ends]
    for name in ("action", "reward"):
      where, raw = look(name, first, stop)
      raw = np.where(kept.reshape(-1, *(1 for _ in raw.shape[1:])), raw, 0) if raw.dtype.kind in "fiub" else raw
      values = numbers(where, first, raw)
      fields[name][rows] = (actions(where, first, values) if name == "action" else values)[kept]
    row, episode = rows.stop, episodes.stop
  return fields


def made_of(fields: Mapping[str, np.ndarray | None], where: pathlib.Path) -> Episodes:
  """The Episodes of fields, checked; without a final_action among them all final actions are unknown.

  Raises:
    DataError: they are no data set.
  """
  if "final_action" not in fields:
    stand_in = fields["action"][fields["terminated"] | fields["truncated"]]  # of the data's kind
    fields = {**fields, "final_action": stand_in, "final_action_unknown": np.ones(len(fields["final_obs"]), bool)}
  episodes = Episodes(**fields)
  try:
    check(episodes)
  except DataError as error:
    raise DataError(f"{where}: {error}") from None
  return episodes
