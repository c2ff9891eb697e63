"""Episodes of discrete tasks as pymarl and its descendants store them: one HDF5 file each.

  <folder>/<map>_<quality>.h5, such as 3s_vs_5z_medium_replay.h5 (CFCQL, arXiv:2309.12696), or <map>.h5 (ICQ-MA)

  state [P, T, S]   obs [P, T, N, O]   actions [P, T, N, 1]   avail_actions [P, T, N, A]
  reward, terminated, filled [P, T, 1]   T: the time limit + 1, padded beyond an episode's end

Which rows are steps is decided episode by episode. terminated is 1 at the last step if the task ended there; filled
then has as many ones as there are steps (ICQ-MA's files, and those made of vaults), or one more for the row of the
final observation (pymarl's and CFCQL's). terminated is 0 throughout where an episode was cut. Whether filled
counts its final observation is as in the file's ended episodes; where they do not agree or there are none, it was cut
at the time limit if that many rows are filled, and else the last one is the final observation.

The final observation is there if its row gives every agent something to do in avail_actions. Stored by pymarl it comes
with the action that was chosen there; if that is legal it is the final action (a row that only was padded has 0, which
none but the dead may take). Where the final observation is missing the last one stands in: without weight if the task
ended, never drawn if not. An end at the time limit counts as one only with its final observation, since the files
without were made of data whose time limits are stored as ends.

Not read: actions_onehot and probs, which say nothing more, and corrected_terminated, which ends episodes a step early.
"""

import pathlib
import re
from typing import Any

import numpy as np

from marl_offline.datasets import hdf5_files
from marl_offline.datasets.checks import DataError
from marl_offline.datasets.public_rows import Read, Task, doubtful_limit, in_chunks, made_of, require_shape

TASKS = {
  "3m": Task("3m", 3, 30, 9, 60, 48),
  "8m": Task("8m", 8, 80, 14, 120, 168),
  "2s3z": Task("2s3z", 5, 80, 11, 120, 120),
  "3s_vs_5z": Task("3s_vs_5z", 3, 48, 11, 250, 68),
  "5m_vs_6m": Task("5m_vs_6m", 5, 55, 12, 70, 98),
  "6h_vs_8z": Task("6h_vs_8z", 6, 78, 14, 150, 140),
}
QUALITIES = ("medium", "medium-replay", "expert", "mixed")  # CFCQL's; other files have others
KEYS = ("state", "obs", "actions", "avail_actions", "reward", "terminated", "filled")


def find(place: pathlib.Path, task: str, quality: str) -> pathlib.Path:
  """The file of a data set; place is that file, under any name, or the folder of <map>_<quality>.h5 or <map>.h5.

  Raises:
    DataError: there is none, or its name says another map or quality.
  """
  place, known = pathlib.Path(place), TASKS[task].name if task in TASKS else task
  wanted = f"{known}_{quality.replace('-', '_')}"
  if place.is_dir():
    for name in (wanted, known):
      if (place / f"{name}.h5").is_file():
        return place / f"{name}.h5"
    _refuse_parts(place)
    there = ", ".join(sorted(path.name for path in place.glob("*.h5"))) or "none"
    raise DataError(f"{place}: holds no {wanted}.h5, nor {known}.h5; of such files there are: {there}")
  if not place.is_file():
    raise DataError(f"{place}: does not exist; expected is {wanted}.h5 or the folder that holds it")
  if re.fullmatch(r"part_\d+", place.stem):
    _refuse_parts(place.parent)
  names = {each.name for each in TASKS.values()}
  names |= {f"{name}_{level.replace('-', '_')}" for name in names for level in QUALITIES}
  if place.stem in names - {wanted, known}:
    raise DataError(f"{place}: is of {place.stem} where {wanted} was asked for")
  return place


def _refuse_parts(folder: pathlib.Path) -> None:
  """Nothing where there are not several parts of one data set, as offpymarl saves it."""
  if len(parts := sorted(path.name for path in folder.glob("part_*.h5"))) > 1:
    raise DataError(f"{folder}: holds {len(parts)} parts of one data set, {parts[0]} and so on; join them in one file")


def read(path: pathlib.Path, task: str, time_limit: int | None = None) -> Read:
  """The episodes in a file, actions as one-hots. Those without any row, free places of a buffer, are left out, counted.

  Args:
    path: see find.
    task: one of TASKS, whose sizes it must have; or another name, and it may have any.
    time_limit: steps at which the simulator cut; needed for a task that is none of TASKS.

  Raises:
    DataError: no HDF5 file, cut short, a key is missing, holds no numbers or is of another size, rows that are filled,
      terminated or last too long in a way that no episode is, a value that is not finite, an action that was not legal;
      or h5py is not installed.
  """
  path = pathlib.Path(path)
  with hdf5_files.opened(path) as file:
    arrays = hdf5_files.arrays(path, file, KEYS, "a file of pymarl's episodes")
    known = _known(path, arrays, task, time_limit)
    fields, notes = _fields(path, arrays, known, *_rows(path, arrays, known))
  return Read(made_of(fields, path), notes)


def _known(path: pathlib.Path, arrays: dict[str, Any], task: str, time_limit: int | None) -> Task:
  """The task's sizes, which all arrays must have; of another task than TASKS the file's own."""
  if task not in TASKS and time_limit is None:
    raise DataError(f"{path}: what cuts episodes of {task} is not known here; --time_limit says after how many steps")
  shape = {key: array.shape or () for key, array in arrays.items()}
  for key, rank in (("obs", 4), ("avail_actions", 4), ("state", 3)):
    require_shape(f"{path}, {key}", shape[key], "the shape", (None,) * rank)
    if 0 in shape[key]:
      raise DataError(f"{path}, {key}: is empty, its shape is {shape[key]}")
  if task in TASKS:
    known = TASKS[task]
  else:
    known = Task(task, shape["obs"][2], shape["obs"][3], shape["avail_actions"][3], time_limit, shape["state"][2])
  episodes, rows = shape["obs"][:2]
  sizes = {"obs": (known.num_agents, known.obs_size), "avail_actions": (known.num_agents, known.action_size)}
  sizes |= {"state": (known.state_size,), "actions": (known.num_agents, 1)}
  for key in KEYS:
    expected = (episodes, rows, *sizes.get(key, (1,)))
    if key in ("obs", "avail_actions", "state") or shape[key] != expected[:-1]:
      require_shape(f"{path}, {key}", shape[key], f"for {known.name}", expected)
  if rows > known.time_limit + 1:
    raise DataError(
      f"{path}, obs: has {rows} rows an episode where {known.name} has at most {known.time_limit + 1}: a step for "
      "each of its time limit, and the final observation"
    )
  return known


def _require(path: pathlib.Path, key: str, first: int, sound: np.ndarray, raw: np.ndarray, expected: str) -> None:
  """Nothing if all of sound [E, T, ...] is true; else the first value of raw that is not, by its episode and row."""
  if not sound.all():
    at = np.unravel_index(np.argmin(sound), sound.shape)
    agent = f", agent {at[2]}" if key in ("obs", "actions", "avail_actions") else ""
    raise DataError(f"{path}, {key}: episode {first + at[0]}, row {at[1]}{agent} holds {raw[at]}; {expected}")


def _rows(path: pathlib.Path, arrays: dict[str, Any], known: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Of each episode how many rows are filled, how many of these are steps, and whether it is said to end. [E] each."""
  flags = {}
  for key in ("filled", "terminated"):
    raw = arrays[key][:].reshape(arrays[key].shape[:2])
    used = np.ones(raw.shape, bool) if key == "filled" else flags["filled"]
    _require(path, key, 0, np.isin(raw, (0, 1)) | ~used, raw, "0 or 1 is expected")
    flags[key] = (raw == 1) & used
  filled = flags["filled"].sum(axis=1)
  in_front = np.arange(flags["filled"].shape[1]) < filled[:, None]
  if not (in_front == flags["filled"]).all():
    number = np.flatnonzero((in_front != flags["filled"]).any(axis=1))[0]
    raise DataError(f"{path}, filled: episode {number} has an empty row before a filled one; none is expected")
  if not filled.any():
    raise DataError(f"{path}, filled: is 0 throughout; at least one episode is needed")
  ended = flags["terminated"].any(axis=1)
  to_end, limit = np.argmax(flags["terminated"], axis=1) + 1, known.time_limit
  more = np.unique((filled - to_end)[ended])  # rows that are filled beyond the steps
  cut = filled - more[0] if len(more) == 1 and more[0] in (0, 1) else np.where(filled < limit, filled - 1, limit)
  steps = np.where(ended, to_end, np.clip(cut, 0, limit))
  wrong = (filled > steps + 1) | (steps > limit) | ((steps < 1) & (filled > 0))
  if wrong.any():
    number = int(np.flatnonzero(wrong)[0])
    end = f"terminates at row {steps[number] - 1}" if ended[number] else "never terminates"
    raise DataError(
      f"{path}, filled: episode {number} has {filled[number]} filled rows and {end}; 1 to {limit} steps are "
      "expected, and one row more at most, for the final observation"
    )
  return filled, steps, ended


def _fields(path: pathlib.Path, arrays: dict[str, Any], known: Task, filled, steps, ended):
  """The fields of Episodes, and the notes."""
  num_rows, kept = int(steps.sum()), steps > 0
  sizes = {"obs": (known.num_agents, known.obs_size), "action": (known.num_agents, known.action_size)}
  sizes |= {"state": (known.state_size,), "legal": sizes["action"]}
  kinds = dict.fromkeys(sizes, np.float32) | {"legal": bool}
  fields: dict[str, Any] = {name: np.empty((num_rows, *size), kinds[name]) for name, size in sizes.items()}
  fields |= {f"final_{name}": np.empty((int(kept.sum()), *size), kinds[name]) for name, size in sizes.items()}
  fields["reward"] = np.empty((num_rows, known.num_agents), np.float32)
  there, unknown = np.zeros(len(steps), bool), np.zeros(len(steps), bool)
  row = episode = 0
  for first, stop in in_chunks(path.name, len(steps), arrays["obs"].shape[1]):
    part = _Part(path, arrays, known, first, filled[first:stop], steps[first:stop])
    rows = slice(row, row + int(part.steps.sum()))
    episodes = slice(episode, episode + int(kept[first:stop].sum()))
    for name in sizes:
      fields[name][rows], fields[f"final_{name}"][episodes] = part.split(name)
    fields["reward"][rows] = part.rewards()[:, None]
    there[first:stop], unknown[first:stop] = part.there, part.unknown
    row, episode = rows.stop, episodes.stop
  steps, ended, there, unknown = (array[kept] for array in (steps, ended, there, unknown))
  last = np.cumsum(steps) - 1
  cut = ~ended | ((steps == known.time_limit) & ~there)
  for name, where in (("terminated", ~cut), ("truncated", cut)):
    fields[name] = np.zeros(num_rows, bool)
    fields[name][last] = where
  fields["final_action_unknown"] = unknown if unknown.any() else None
  notes = {
    "cut_at_the_time_limit": int((cut & (steps == known.time_limit)).sum()),
    "cut_before_it": int((cut & (steps < known.time_limit)).sum()),
    "time_limits_stored_as_ends": int((cut & ended).sum()),
    "final_observations_missing": int((~there).sum()),
    "final_actions_unknown": int(unknown.sum()),
    "empty_episodes_left_out": int((~kept).sum()),
  }
  if known.name not in TASKS:
    notes["time_limit_in_doubt"] = doubtful_limit(steps, known.time_limit)
  return fields, {name: note for name, note in notes.items() if note}


class _Part:
  """Some of a file's episodes, read and checked as far as they are used."""

  def __init__(self, path, arrays: dict[str, Any], known: Task, first: int, filled: np.ndarray, steps: np.ndarray):
    self._path, self._arrays, self._first, self._known = path, arrays, first, known
    self.length, self.kept = steps, steps > 0
    index = np.arange(arrays["obs"].shape[1])
    self.steps = index < steps[:, None]  # [E, T] the rows that are steps
    self._final = np.minimum(steps, len(index) - 1)  # the row of the final observation, if there is one
    each = np.arange(len(steps))
    raw = self._raw("avail_actions")
    self.there = self.kept & (steps < len(index)) & (raw[each, self._final] != 0).any(axis=-1).all(axis=-1)
    self._final = np.where(self.there, self._final, np.maximum(steps - 1, 0))
    self._used = self.steps | (self.kept[:, None] & (index == self._final[:, None]))
    self._check("avail_actions", (raw == 0) | (raw == 1), raw, "0 or 1 is expected")
    self._legal = raw != 0
    self._action, self.unknown = self._actions(filled)

  def _raw(self, key: str) -> np.ndarray:
    return self._arrays[key][self._first : self._first + len(self.length)]

  def _check(self, key: str, sound: np.ndarray, raw: np.ndarray, expected: str, used: np.ndarray | None = None) -> None:
    used = self._used if used is None else used
    sound = sound | ~used.reshape(*used.shape, *(1 for _ in sound.shape[2:]))
    _require(self._path, key, self._first, sound, raw, expected)

  def _actions(self, filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-hots [E, T, N, A], the final ones among them, and which of these are stand-ins [E]."""
    raw = self._raw("actions").reshape(self._legal.shape[:3])
    size = self._known.action_size
    possible = (raw >= 0) & (raw < size) & (raw == np.floor(raw))
    self._check("actions", possible, raw, f"one of 0 to {size - 1} is expected", self.steps)
    index = np.where(possible, raw, 0).astype(np.int64)[..., None]
    legal = possible & np.take_along_axis(self._legal, index, axis=-1)[..., 0]
    self._check("actions", legal, raw, "an action that avail_actions forbids there cannot have been taken", self.steps)
    each = np.arange(len(filled))
    known = self.there & (filled > self.length) & legal[each, self._final].all(axis=-1)
    index[each, self._final] = np.where(
      known[:, None, None], index[each, self._final], index[each, np.maximum(self.length - 1, 0)]
    )
    action = np.zeros(self._legal.shape, np.float32)
    np.put_along_axis(action, index, 1, axis=-1)
    return action, ~known

  def rewards(self) -> np.ndarray:
    """The team's, step by step."""
    return self._numbers("reward", self.steps).reshape(self.steps.shape)[self.steps]

  def split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A field's rows, step by step, and its final ones, episode by episode."""
    values = {"action": self._action, "legal": self._legal}.get(name)
    values = self._numbers(name, self._used) if values is None else values
    return values[self.steps], values[self.kept, self._final[self.kept]]

  def _numbers(self, key: str, used: np.ndarray) -> np.ndarray:
    raw = self._raw(key)
    with np.errstate(over="ignore"):
      values = raw.astype(np.float32)
    self._check(key, np.isfinite(values), raw, "every value must be finite", used)
    return values
