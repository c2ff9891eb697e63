"""Data sets that OMAR and CFCQL published (arXiv:2111.11188, arXiv:2309.12696): folders of one .npy a field and agent.

  <folder>/<env_id>/<quality>/seed_<k>_data/{obs,acs,rews,next_obs,dones}_<i>.npy   i the agent, k = 0..4

Row after row, episodes end to end; HalfCheetah has states_<i>.npy and next_states_<i>.npy beside. The agents after the
learned ones, which are the prey, are not read. No task of these ends by itself: an episode is 25 steps of the particle
tasks or 1,000 of HalfCheetah, cut by the time limit, whatever `dones` says of it.
"""

import pathlib
import re

import numpy as np

from marl_offline.datasets import npy_files
from marl_offline.datasets.checks import DataError
from marl_offline.datasets.public_rows import Actions, Read, Task, flags, in_chunks, made_of, numbers, require_shape

TASKS = {
  "spread": Task("simple_spread", 3, 18, 2, 25),
  "tag": Task("simple_tag", 3, 16, 2, 25),
  "world": Task("simple_world", 3, 24, 2, 25),
  "halfcheetah_2x3": Task("HalfCheetah-v2", 2, 6, 3, 1000, state_size=17),
}
QUALITIES = ("random", "medium-replay", "medium", "expert")
SEED_FOLDER = r"seed_(\d+)_data"
CONTINUES = 1e-5  # obs and next_obs may have been written in different precision: absolute, and relative beyond 1


def find(folder: pathlib.Path, task: str, quality: str, seed: int | None = None) -> tuple[pathlib.Path, int]:
  """The seed_<k>_data folder and k.

  folder: that folder itself, or any of the three above it. seed: k; None takes what the folder's name says, else 0.

  Raises:
    DataError: there is none, or the folder's own name says another task, quality or seed.
  """
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    raise DataError(f"{folder}: is no folder; expected is one that holds {TASKS[task].name}/{quality}/seed_0_data")
  own = re.fullmatch(SEED_FOLDER, folder.resolve().name)
  seed = (int(own[1]) if own else 0) if seed is None else seed
  steps = [TASKS[task].name, quality, f"seed_{seed}_data"]
  places = [folder.joinpath(*steps[above:]) for above in range(4)]
  inside = next((place for place in places if any(place.glob("*_0.npy"))), None)
  if inside is None:
    raise DataError(f"{folder}: holds no {'/'.join(steps)}, nor the end of that path, nor obs_0.npy itself")
  *_, env_id, level, name = ("", "", *inside.resolve().parts)
  if re.fullmatch(SEED_FOLDER, name):
    known = {each.name for each in TASKS.values()}
    for found, wanted, is_name in ((name, steps[2], True), (level, quality, level in QUALITIES)):
      if is_name and found != wanted:
        raise DataError(f"{inside}: is of {found} where {wanted} was asked for")
    if env_id in known and env_id != steps[0]:
      raise DataError(f"{inside}: is of {env_id} where {steps[0]}, for {task}, was asked for")
  return inside, seed


def read(folder: pathlib.Path, task: str, clip_actions: bool = False) -> Read:
  """The learned agents' episodes in a seed_<k>_data folder. The state, where there is one, is agent 0's file of it.

  clip_actions: see public_rows.Actions.

  Raises:
    DataError: a file is missing, cut short, pickled, of another size or length, holds what is not finite or in range,
      does not continue from row to row, or has an end where there is no time limit.
  """
  folder, known = pathlib.Path(folder), TASKS[task]
  files = _Files(folder, known)
  limit, agents = known.time_limit, range(known.num_agents)
  fields = _empty(known, files.num_rows)
  actions, dones, resets = Actions(clip_actions), [_Dones(files, agent) for agent in agents], 0
  for first, stop in in_chunks(f"{known.name} {folder.name}", files.num_rows):
    for agent in agents:
      name = f"acs_{agent}"
      fields["action"][first:stop, agent] = actions(files.path(name), first, files.numbers(name, first, stop))
      fields["reward"][first:stop, agent] = files.numbers(f"rews_{agent}", first, stop).reshape(-1)
      dones[agent].look(first, stop)
      obs, final = fields["obs"][:, agent], fields["final_obs"][:, agent]
      starts_anew = files.follow(f"obs_{agent}", first, stop, obs, final)
      resets += starts_anew if agent == 0 else 0
    if known.state_size:
      files.follow("states_0", first, stop, fields["state"], fields["final_state"])
  fields["truncated"][limit - 1 :: limit] = True
  notes = actions.notes() | {"dones": dones[0].words()}
  if resets:
    notes["final_obs_of_the_next_episode"] = resets
  return Read(made_of(fields, folder), notes)


def _empty(known: Task, num_rows: int) -> dict[str, np.ndarray | None]:
  """The fields of Episodes, yet to be filled."""
  num_agents, episodes, states = known.num_agents, num_rows // known.time_limit, known.state_size
  return {
    "obs": np.empty((num_rows, num_agents, known.obs_size), np.float32),
    "action": np.empty((num_rows, num_agents, known.action_size), np.float32),
    "reward": np.empty((num_rows, num_agents), np.float32),
    "terminated": np.zeros(num_rows, bool),
    "truncated": np.zeros(num_rows, bool),
    "final_obs": np.empty((episodes, num_agents, known.obs_size), np.float32),
    "state": np.empty((num_rows, states), np.float32) if states else None,
    "final_state": np.empty((episodes, states), np.float32) if states else None,
  }


class _Files:
  """The files of a folder by name, memory-mapped, of one length and the task's sizes."""

  def __init__(self, folder: pathlib.Path, known: Task):
    self._folder, self._arrays, self.limit = folder, {}, known.time_limit
    for agent in range(known.num_agents):
      for field, size in (("obs", known.obs_size), ("next_obs", known.obs_size), ("acs", known.action_size)):
        self._open(f"{field}_{agent}", size)
      self._open(f"rews_{agent}", None)
      self._open(f"dones_{agent}", None)
    if known.state_size:
      self._open("states_0", known.state_size)
      self._open("next_states_0", known.state_size)
    self.num_rows = len(self._arrays["obs_0"])
    for name, array in self._arrays.items():
      if len(array) != self.num_rows:
        raise DataError(
          f"{self.path(name)}: has {len(array)} rows where obs_0.npy has {self.num_rows}; they must be equal"
        )
    if self.num_rows == 0 or self.num_rows % self.limit:
      raise DataError(
        f"{self.path('obs_0')}: has {self.num_rows} rows, no positive multiple of {self.limit}, the length of "
        f"{known.name}'s episodes"
      )

  def _open(self, name: str, size: int | None) -> None:
    words = "[rows]" if size is None else f"[rows, {size}]"
    array = npy_files.open_array(self.path(name), f"{self._folder.name} needs it as {words}", by_columns=True)
    if size is not None or array.shape[1:] != (1,):
      require_shape(self.path(name), array.shape, words, (None,) if size is None else (None, size))
    self._arrays[name] = array

  def path(self, name: str) -> pathlib.Path:
    return self._folder / f"{name}.npy"

  def raw(self, name: str, first: int, stop: int) -> np.ndarray:
    return np.asarray(self._arrays[name][first:stop])

  def numbers(self, name: str, first: int, stop: int) -> np.ndarray:
    return numbers(self.path(name), first, self.raw(name, first, stop))

  def last(self, first: int, stop: int) -> np.ndarray:
    """Rows at a time limit."""
    return np.arange(first, stop) % self.limit == self.limit - 1

  def follow(self, name: str, first: int, stop: int, rows: np.ndarray, final: np.ndarray) -> int:
    """Fills rows [R, ...] from the file, and final [P, ...] with what next_<name> says of the last ones.

    -> of how many episodes that is the next one's first observation, as a simulator that starts anew by itself gives.

    Raises:
      DataError: next_<name> is not what the file holds in the next row, within an episode.
    """
    rows[first:stop] = self.numbers(name, first, stop)
    after, last = self.numbers(f"next_{name}", first, stop), self.last(first, stop)
    final[first // self.limit : stop // self.limit] = after[last]
    with np.errstate(over="ignore"):  # refused with its own sentence when its chunk is read
      coming = self.raw(name, first + 1, stop + 1).astype(np.float32)
    last = last[: len(coming)]  # the very last row has no successor
    differs = np.abs(after[: len(coming)] - coming) > CONTINUES * np.maximum(1, np.abs(coming))
    differs = differs.any(axis=1)
    if (broken := differs & ~last).any():
      row = first + int(np.argmax(broken))
      raise DataError(
        f"{self.path(f'next_{name}')}: row {row} is not what {name}.npy holds in row {row + 1}, though both lie in one "
        f"episode of {self.limit} steps; the rows are not in order of time"
      )
    return int((~differs & last).sum())


class _Dones:
  """dones of one agent: all zero, or one at every time limit."""

  def __init__(self, files: _Files, agent: int):
    self._files, self._name = files, f"dones_{agent}"
    self._at_limits: bool | None = None

  def look(self, first: int, stop: int) -> None:
    """Reads a chunk.

    Raises:
      DataError: a one elsewhere, or at some time limits only.
    """
    path, last = self._files.path(self._name), self._files.last(first, stop)
    dones = flags(path, first, self._files.raw(self._name, first, stop).reshape(-1))
    expected = "expected are zeros, or a 1 at every time limit and nowhere else"
    if (wrong := dones & ~last).any():
      raise DataError(f"{path}: row {first + int(np.argmax(wrong))} is 1 within an episode; {expected}")
    if self._at_limits is None and last.any():
      self._at_limits = bool(dones[last][0])
    if (wrong := last & (dones != bool(self._at_limits))).any():
      row, before = first + int(np.argmax(wrong)), int(bool(self._at_limits))
      raise DataError(
        f"{path}: row {row}, at a time limit, is {1 - before} where it is {before} at the first; {expected}"
      )

  def words(self) -> str:
    """For the card."""
    return "1 at every time limit, which is taken as a cut" if self._at_limits else "all 0"
