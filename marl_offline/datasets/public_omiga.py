"""Data sets that OMIGA published (arXiv:2307.11620), multi-agent MuJoCo: one HDF5 file each.

  <folder>/<scenario>-<partition>-<quality>.hdf5, such as Ant-v2-2x4-expert.hdf5

  s [X, N, S] state, once for each agent   o [X, N, O]   a [X, N, A]   r [X] or [X, 1]   d [X] or [X, 1]

An episode of L steps has L + 1 rows: the last one, where d is 1, holds the final observation and nothing else of use,
so its action and reward are not read. Where L is the simulator's limit of 1,000 the episode was cut, not ended.
"""

import pathlib

import numpy as np

from marl_offline.datasets import hdf5_files
from marl_offline.datasets.checks import DataError
from marl_offline.datasets.public_rows import Actions, Read, Task, fill, flags, made_of, require_shape

TASKS = {
  "hopper_3x1": Task("Hopper-v2-3x1", 3, 14, 1, 1000, state_size=14),
  "ant_2x4": Task("Ant-v2-2x4", 2, 113, 4, 1000, state_size=113),
  "halfcheetah_6x1": Task("HalfCheetah-v2-6x1", 6, 23, 1, 1000, state_size=23),
}
QUALITIES = ("expert", "medium", "medium-replay", "medium-expert")
KEYS = ("s", "o", "a", "r", "d")


def find(place: pathlib.Path, task: str, quality: str) -> pathlib.Path:
  """The file of a data set; place is that file, under any name, or the folder that holds it under its own.

  Raises:
    DataError: there is none, or its name says another task or quality.
  """
  place = pathlib.Path(place)
  wanted = f"{TASKS[task].name}-{quality}"
  if place.is_dir():
    if not (place / f"{wanted}.hdf5").is_file():
      there = ", ".join(sorted(path.name for path in place.glob("*.hdf5"))) or "none"
      raise DataError(f"{place}: holds no {wanted}.hdf5; of such files there are: {there}")
    return place / f"{wanted}.hdf5"
  if not place.is_file():
    raise DataError(f"{place}: does not exist; expected is {wanted}.hdf5 or the folder that holds it")
  if place.stem != wanted and place.stem in {f"{each.name}-{level}" for each in TASKS.values() for level in QUALITIES}:
    raise DataError(f"{place}: is of {place.stem} where {wanted} was asked for")
  return place


def read(path: pathlib.Path, task: str, clip_actions: bool = False) -> Read:
  """The episodes in a file. A last episode that the file breaks off is left out and counted.

  clip_actions: see public_rows.Actions.

  Raises:
    DataError: no HDF5 file, cut short, a key is missing or of another size, an episode has no step or too many, a value
      is not finite or an action out of range; or h5py is not installed.
  """
  path, known = pathlib.Path(path), TASKS[task]
  with hdf5_files.opened(path) as file:
    return _episodes(path, _arrays(path, file, known), known, clip_actions)


def _arrays(path: pathlib.Path, file, known: Task) -> dict:
  """The keys, of the task's sizes and one length; not read yet."""
  found = hdf5_files.arrays(path, file, KEYS, "an OMIGA file")
  agents, num_rows = known.num_agents, (found["o"].shape or (0,))[0]
  sizes = {"s": (agents, known.state_size), "o": (agents, known.obs_size), "a": (agents, known.action_size)}
  for key in KEYS:
    shape = found[key].shape or ()
    expected = (None, *sizes[key]) if key in sizes else (None,)
    if key in sizes or shape[1:] != (1,):
      words = "[rows, agents, components]" if key in sizes else "[rows] or [rows, 1]"
      require_shape(f"{path}, {key}", shape, words, expected)
    if shape[0] != num_rows:
      raise DataError(f"{path}, {key}: has {shape[0]} rows where o has {num_rows}; they must be equal")
  return found


def _episodes(path: pathlib.Path, arrays: dict, known: Task, clip_actions: bool) -> Read:
  only_final = flags(f"{path}, d", 0, arrays["d"][:].reshape(-1))
  ends = np.flatnonzero(only_final)
  lengths = np.diff(ends, prepend=-1) - 1
  if not len(ends):
    raise DataError(f"{path}, d: has {len(only_final)} rows and none is 1, where an episode's final observation is")
  if (wrong := (lengths < 1) | (lengths > known.time_limit)).any():
    row, steps = ends[np.argmax(wrong)], lengths[np.argmax(wrong)]
    raise DataError(
      f"{path}, d: the episode whose final observation is row {row} has {steps} steps; 1 to {known.time_limit} are "
      "expected"
    )
  stop, keys = int(ends[-1]) + 1, {"obs": "o", "state": "s", "action": "a", "reward": "r"}
  final = only_final[:stop]

  def look(name, first, stop):
    rows = arrays[keys[name]][first:stop]
    if name == "state":
      rows = rows[:, 0]  # the same for each agent, but for its number
    return f"{path}, {keys[name]}", rows.reshape(-1, 1) if name == "reward" else rows

  actions = Actions(clip_actions)
  fields = fill(known, ~final, final, look, actions, path.name)
  at_limit, last = lengths == known.time_limit, np.zeros((~final).sum(), bool)
  last[np.cumsum(lengths) - 1] = True
  fields["truncated"], fields["terminated"] = last.copy(), last.copy()
  fields["truncated"][last], fields["terminated"][last] = at_limit, ~at_limit
  notes = actions.notes() | {"time_limits_stored_as_ends": int(at_limit.sum())}
  if left := len(only_final) - stop:
    notes["rows_of_an_unfinished_episode_left_out"] = left
  return Read(made_of(fields, path), notes)
