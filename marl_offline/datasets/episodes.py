"""The arrays of a data set, and how your own data becomes them.

Episodes lie end to end in time order, one row per environment step. What follows a row is the next row, except at the
end of an episode, where it is that episode's final observation and action: so nothing can reach into the next episode.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from marl_offline.datasets import checks
from marl_offline.datasets.checks import DataError

NEEDS_FINAL_ACTION = (
  "give what the behaviour does at the final observation too, because partial replacement bootstraps from it when an "
  "episode ends by a time limit; only an episode that terminated may leave it out, or one that says "
  "final_action_unknown, whose last row is then never trained on"
)


@dataclasses.dataclass(frozen=True)
class Episodes:
  """A data set in memory or memory-mapped. Made by from_arrays, from_episodes or storage.load, which check it."""

  obs: np.ndarray  # [R, N, O] float32
  action: np.ndarray  # [R, N, A] float32
  reward: np.ndarray  # [R, N] float32, each agent's own
  terminated: np.ndarray  # [R] bool, the task ended here: nothing to bootstrap from
  truncated: np.ndarray  # [R] bool, cut here by a time limit; where both hold, terminated counts
  final_obs: np.ndarray  # [P, N, O] float32, the true observation after the last step
  final_action: np.ndarray  # [P, N, A] float32, what the behaviour policy does there
  state: np.ndarray | None = None  # [R, S] float32; absent: the agents' observations, concatenated
  final_state: np.ndarray | None = None  # [P, S] float32
  # [P] bool: final_action is a stand-in that nobody took. The row before it counts in every statistic and is never
  # drawn, unless the task terminated there; absent: all are known.
  final_action_unknown: np.ndarray | None = None
  # Which actions could be taken: there where actions are discrete, each then a one-hot of A; absent: continuous.
  legal: np.ndarray | None = None  # [R, N, A] bool
  final_legal: np.ndarray | None = None  # [P, N, A] bool, at least one for each agent

  @property
  def num_rows(self) -> int:
    """R, environment steps."""
    return len(self.obs)

  @property
  def num_episodes(self) -> int:
    """P."""
    return len(self.final_obs)

  @property
  def num_agents(self) -> int:
    """N."""
    return self.obs.shape[1]

  def arrays(self) -> dict[str, np.ndarray]:
    """Field name -> array, of those that are there."""
    fields = {name: getattr(self, name) for name in checks.FIELDS}
    return {name: array for name, array in fields.items() if array is not None}

  def last(self) -> np.ndarray:
    """Rows that end an episode. [R] bool."""
    return np.asarray(self.terminated) | np.asarray(self.truncated)

  def rows_to_draw(self) -> np.ndarray | None:
    """Rows that may be trained on, see checks.rows_to_draw. [D] int32; None: all."""
    if self.final_action_unknown is None:
      return None
    rows = checks.rows_to_draw(self.arrays())
    return None if len(rows) == self.num_rows else rows

  def without_repeated_state(self) -> "Episodes":
    """The same, without a state that is all agents' observations one after the other: no state stands for that."""
    repeats = _repeats(self.state, self.obs) and _repeats(self.final_state, self.final_obs)
    return dataclasses.replace(self, state=None, final_state=None) if repeats else self

  def lengths(self) -> np.ndarray:
    """Steps of each episode. [P] int."""
    return np.diff(np.flatnonzero(self.last()), prepend=-1)

  def returns(self) -> np.ndarray:
    """sum_t mean_i r_i(t) of each episode: the mean over agents of their reward sums. [P] float64."""
    ends = np.flatnonzero(self.last())
    team = np.mean(self.reward, axis=1, dtype=np.float64)
    return np.add.reduceat(team, np.concatenate([[0], ends[:-1] + 1]))


def _repeats(state: np.ndarray | None, obs: np.ndarray) -> bool:
  """Up to the first chunk that differs; both may be memory-mapped."""
  if state is None:
    return True
  parts = zip(checks.chunks(state), checks.chunks(obs), strict=True)
  return all(np.array_equal(one, other.reshape(len(other), -1)) for (_, one), (_, other) in parts)


def check(episodes: Episodes, action_low: float = -1.0, action_high: float = 1.0) -> None:
  """Nothing if the data set is sound.

  Raises:
    DataError: the first fault, with its field, row, value and what was expected.
  """
  for fault in checks.faults(episodes.arrays(), action_low, action_high):
    raise DataError(f"{fault.field}: {fault.text}")


def from_arrays(
  obs,
  action,
  reward,
  terminated,
  truncated,
  final_obs,
  final_action=None,
  state=None,
  final_state=None,
  final_action_unknown=None,
  legal=None,
  final_legal=None,
) -> Episodes:
  """A data set from flat arrays, or whatever np.asarray takes. Shapes as in Episodes.

  Numbers become float32, ends and legal (bool, or 0 and 1) bool. A reward [R] is every agent's. final_action may be
  left out when every episode terminated, where its discount is 0, or is said to be unknown: the last action stands in.

  Raises:
    DataError: arrays that are not a data set.
  """
  obs, action, reward = _numbers("obs", obs), _numbers("action", action), _numbers("reward", reward)
  terminated, truncated = _flags("terminated", terminated), _flags("truncated", truncated)
  final_obs = _numbers("final_obs", final_obs)
  if final_action_unknown is not None:
    final_action_unknown = _flags("final_action_unknown", final_action_unknown)
    final_action_unknown = final_action_unknown if final_action_unknown.any() else None
  if reward.ndim == 1 and obs.ndim == 3:
    reward = np.repeat(reward[:, None], obs.shape[1], axis=1)
  if final_action is None:
    cut = np.flatnonzero(truncated & ~terminated) if terminated.shape == truncated.shape else []
    ends = np.flatnonzero(truncated | terminated) if len(cut) else []
    if final_action_unknown is not None and final_action_unknown.shape == np.shape(ends):
      cut = np.setdiff1d(cut, ends[final_action_unknown])
    if len(cut):
      raise DataError(
        f"final_action: is missing and the episode that ends at row {cut[0]} was cut; {NEEDS_FINAL_ACTION}"
      )
    ends = terminated | truncated if terminated.shape == truncated.shape == action.shape[:1] else slice(0)
    final_action = action[ends]  # of the data's kind, for what asks a whole batch; wrong lengths are refused below
  episodes = Episodes(
    obs,
    action,
    reward,
    terminated,
    truncated,
    final_obs,
    _numbers("final_action", final_action),
    None if state is None else _numbers("state", state),
    None if final_state is None else _numbers("final_state", final_state),
    final_action_unknown,
    None if legal is None else _flags("legal", legal),
    None if final_legal is None else _flags("final_legal", final_legal),
  )
  check(episodes)
  return episodes


def from_episodes(episodes: Iterable[Mapping[str, Any]]) -> Episodes:
  """A data set from a list of episodes of T steps each, T free to differ.

  An episode is a mapping with
    obs [T + 1, N, O]     the last is the observation after the last step
    action [T + 1, N, A]  the last is what the behaviour does there; [T, N, A] will do if the episode terminated
    reward [T, N] or [T]  each agent's own, or the team's
    terminated            True if the task ended, False if a time limit cut it
    state [T + 1, S]      optional
    final_action_unknown  optional, True if nobody knows it: action [T, N, A] will do, and the last row is not drawn
    legal [T + 1, N, A]   optional, for discrete actions: which could be taken; action is then one-hot

  Raises:
    DataError: an episode that is not one, by its number in the list.
  """
  parts = [_one_episode(number, episode) for number, episode in enumerate(episodes)]
  if not parts:
    raise DataError("episodes: the list is empty; a data set needs at least one episode")
  _same_layout(parts)

  def joined(name):
    if parts[0][name] is None:
      return None
    return np.concatenate([part[name] for part in parts])

  try:
    return from_arrays(**{name: joined(name) for name in checks.FIELDS})
  except DataError as error:
    raise DataError(_in_its_episode(str(error), [len(part["reward"]) for part in parts])) from None


def _in_its_episode(fault: str, lengths: Sequence[int]) -> str:
  """A sentence that names a row of all episodes joined, with the episode's number and the step's in it."""
  named = re.search(r"\brow (\d+)", fault)
  if named is None:
    return fault
  if fault.startswith("final_"):  # their rows are the episodes
    return fault.replace(named[0], f"episode {named[1]}", 1)
  ends, row = np.cumsum(lengths), int(named[1])
  episode = int(np.searchsorted(ends, row, side="right"))
  step = row - int(ends[episode]) + lengths[episode]
  return fault.replace(named[0], f"episode {episode}, step {step}", 1)


def _one_episode(number: int, episode: Mapping[str, Any]) -> dict[str, np.ndarray | None]:
  """The fields of one episode's rows."""
  here = f"episode {number}"
  needed, optional = ("obs", "action", "reward", "terminated"), ("truncated", "state", "final_action_unknown", "legal")
  if not isinstance(episode, Mapping):
    raise DataError(f"{here}: is a {type(episode).__name__} where a mapping with {', '.join(needed)} is expected")
  if missing := [name for name in needed if name not in episode]:
    raise DataError(f"{here}: has no {missing[0]}; needed are {', '.join(needed)}")
  if unknown := sorted(set(episode) - {*needed, *optional}):
    raise DataError(f"{here}: unknown {unknown[0]}; known are {', '.join(needed + optional)}")
  names = ("obs", "action", "reward", *(["state"] if "state" in episode else []))
  given = {name: _numbers(f"{here}, {name}", episode[name]) for name in names}
  terminated = _one_flag(f"{here}, terminated", episode["terminated"])
  truncated = _one_flag(f"{here}, truncated", episode.get("truncated", not terminated))
  unknown = _one_flag(f"{here}, final_action_unknown", episode.get("final_action_unknown", False))
  if not (terminated or truncated):
    raise DataError(f"{here}: is neither terminated nor truncated; an episode ends one way or the other")
  obs, action, reward, state = (given.get(name) for name in ("obs", "action", "reward", "state"))
  for name, array, rank in (("obs", obs, (3,)), ("action", action, (3,)), ("reward", reward, (1, 2))):
    if array.ndim not in rank:
      what = {"obs": "[T + 1, N, O]", "action": "[T + 1, N, A]", "reward": "[T, N] or [T]"}[name]
      raise DataError(f"{here}, {name}: has shape {array.shape} where {what} is expected")
  steps = len(obs) - 1
  if steps < 1:
    raise DataError(f"{here}, obs: has {len(obs)} observations; one step needs two, before and after it")
  if len(reward) != steps:
    raise DataError(f"{here}, reward: has {len(reward)} steps where {len(obs)} observations make {steps}")
  if len(action) == steps and not (terminated or unknown):
    raise DataError(f"{here}, action: has {steps} actions for {len(obs)} observations; {NEEDS_FINAL_ACTION}")
  if len(action) == steps:
    action = np.concatenate([action, action[-1:]])
  if len(action) != len(obs):
    raise DataError(f"{here}, action: has {len(action)} actions where {len(obs)} observations need {len(obs)}")
  if state is not None and (state.ndim != 2 or len(state) != len(obs)):
    raise DataError(f"{here}, state: has shape {state.shape} where [T + 1 = {len(obs)}, S] is expected")
  legal = _flags(f"{here}, legal", episode["legal"]) if "legal" in episode else None
  if legal is not None and legal.shape != action.shape:
    raise DataError(f"{here}, legal: has shape {legal.shape} where [T + 1, N, A] {action.shape} is expected")
  if reward.ndim == 1:
    reward = np.repeat(reward[:, None], obs.shape[1], axis=1)
  at_end = np.arange(steps) == steps - 1
  rows = {"obs": obs, "action": action, "state": state, "legal": legal}
  fields = {name: None if array is None else array[:-1] for name, array in rows.items()}
  fields |= {f"final_{name}": None if array is None else array[-1:] for name, array in rows.items()}
  fields |= {"reward": reward, "terminated": at_end & terminated, "truncated": at_end & truncated}
  return fields | {"final_action_unknown": np.array([unknown])}


def _same_layout(parts) -> None:
  """All episodes have the agents, sizes and fields of the first."""
  for number, part in enumerate(parts):
    for name, first in parts[0].items():
      if (part[name] is None) != (first is None):
        raise DataError(f"episode {number}, {name}: some episodes have it and some have not; all or none must")
      if first is not None and part[name].shape[1:] != first.shape[1:]:
        found, expected = part[name].shape[1:], first.shape[1:]
        raise DataError(f"episode {number}, {name}: has {found} per step where episode 0 has {expected}")


def _numbers(name: str, values) -> np.ndarray:
  """values as float32; what overflows becomes inf and is refused with its row by check."""
  array = _as_array(name, values)
  if array.dtype.kind not in "fiub":
    raise DataError(f"{name}: holds {array.dtype} where numbers are expected")
  with np.errstate(over="ignore"):
    return np.ascontiguousarray(array, np.float32) if array.ndim else array.astype(np.float32)


def _flags(name: str, values) -> np.ndarray:
  array = _as_array(name, values)
  if array.dtype != np.bool_ and not (array.dtype.kind in "fiu" and np.isin(array, (0, 1)).all()):
    raise DataError(f"{name}: holds values of {array.dtype} that are not all true or false (1 or 0)")
  return array.astype(np.bool_, copy=False)


def _one_flag(name: str, value) -> bool:
  array = _flags(name, value)
  if array.size != 1:
    raise DataError(f"{name}: has shape {array.shape} where one true or false for the whole episode is expected")
  return bool(array.reshape(()))


def _as_array(name: str, values) -> np.ndarray:
  try:
    return np.asarray(values)
  except ValueError as error:  # a list of unequal lists
    raise DataError(f"{name}: is not an array ({error})") from None
