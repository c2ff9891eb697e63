"""Vaults that OG-MARL published (arXiv:2302.00521): zarr arrays inside an OCDBT key-value store, read by tensorstore.

  <source>/<environment>/<scenario>.vlt/<uid>/   metadata.json, manifest.ocdbt, d/...

Leaves [B, X, n, ...] are observations, actions, rewards, terminals, truncations and infos.state [B, X, S], or
[B, X, n, S] in those of OMAR's HalfCheetah; X is far longer than what is written, which vault_index says. B is 1, or
the five data sets of OMAR. Episodes lie end to end and end where all agents' terminals or truncations are 1; time
limits are among the terminals. What followed the last action is not there, except in the vaults made of OMIGA's files,
whose episodes have a row more for it (public_omiga.py).

Continuous actions only.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from marl_offline.datasets import public_omar, public_omiga
from marl_offline.datasets.checks import DataError
from marl_offline.datasets.public_rows import Actions, Read, Task, doubtful_limit, fill, flags, made_of, require_shape

_SCENARIOS = {
  "halfcheetah_2x3": "2halfcheetah",
  "hopper_3x1": "3hopper",
  "ant_2x4": "2ant",
  "halfcheetah_6x1": "6halfcheetah",
}
TASKS = {
  task: known._replace(name=_SCENARIOS.get(task, known.name))
  for task, known in (public_omar.TASKS | public_omiga.TASKS).items()
}
WITH_FINAL_ROWS = tuple(public_omiga.TASKS)
PREY = {"tag": 1, "world": 1}  # agents after the learned ones, not read
VERSION = 1  # of the layout, before the point
CACHE = 2**28  # bytes of unpacked blocks: ours and the file's do not end in the same rows


def find(folder: pathlib.Path, task: str, quality: str) -> pathlib.Path:
  """The folder of a vault; folder is that, or <scenario>.vlt with a folder of the quality's name in it.

  Raises:
    DataError: there is none, or it is another scenario's or quality's by its name.
  """
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    raise DataError(f"{folder}: is no folder; a vault is one, with metadata.json and manifest.ocdbt in it")
  vault = folder
  if not (vault / "metadata.json").is_file():
    inside = {path.parent.name: path.parent for path in sorted(folder.glob("*/metadata.json"))}
    named = [path for name, path in inside.items() if name.lower() == quality.lower()]
    if not named:
      there = ", ".join(inside) or "none"
      raise DataError(f"{folder}: has no metadata.json, nor a vault called {quality}; vaults in it: {there}")
    vault = named[0]
  above, name = vault.resolve().parent.name, vault.resolve().name
  if above.endswith(".vlt") and name.lower() != quality.lower():
    raise DataError(f"{vault}: is of {name} where {quality} was asked for")
  if task in TASKS and above.endswith(".vlt") and above != f"{TASKS[task].name}.vlt":
    raise DataError(f"{vault}: is of {above} where {TASKS[task].name}.vlt, for {task}, was asked for")
  return vault


def read(
  folder: pathlib.Path,
  task: str,
  index: int = 0,
  clip_actions: bool = False,
  time_limit: int | None = None,
  final_rows: bool | None = None,
) -> Read:
  """The episodes of a vault.

  Args:
    folder: see find.
    task: one of TASKS, whose sizes it must have; or another name, and it may have any.
    index: which of the B data sets.
    clip_actions: see public_rows.Actions.
    time_limit: steps at which the simulator cut; needed for a task that is none of TASKS.
    final_rows: whether each episode has a row more that only holds its final observation; None: as TASKS have.

  Raises:
    DataError: no vault, another one's sizes, discrete actions, damaged or cut short, numbers that are none, episodes
      without an end or longer than the limit; or tensorstore is not installed.
  """
  folder = pathlib.Path(folder)
  vault = _Vault(folder, index)
  known = _known(vault, task, time_limit)
  final_rows = task in WITH_FINAL_ROWS if final_rows is None else final_rows
  where, first, flagged = vault.rows("terminals")
  terminals = flags(where, first, flagged)  # [rows, agents]
  ends, how = _ends(vault, where, terminals, known, final_rows)
  stop = int(ends[-1]) + 1
  final = np.zeros(stop, bool)
  final[ends] = True
  steps = ~final if final_rows else np.ones(stop, bool)
  actions, agents = Actions(clip_actions), slice(known.num_agents)

  def look(name, first, stop):
    leaf = {"obs": "observations", "state": "infos.state", "action": "actions", "reward": "rewards"}[name]
    where, _, rows = vault.rows(leaf, first, stop)
    if name == "state":
      return where, rows if rows.ndim == 2 else rows[:, 0]  # where each agent has one, all have the same
    return where, rows[:, agents]

  fields = fill(known, steps, final, look, actions, folder.name)
  lengths = np.diff(ends, prepend=-1) - final_rows
  cut = (lengths == known.time_limit) | ~terminals[ends].all(axis=1)
  last = np.cumsum(lengths) - 1
  fields["terminated"], fields["truncated"] = np.zeros(len(fields["obs"]), bool), np.zeros(len(fields["obs"]), bool)
  fields["terminated"][last], fields["truncated"][last] = ~cut, cut
  notes = actions.notes() | {"ends": how, "episodes_cut_by_the_time_limit": int(cut.sum())}
  if not final_rows:
    notes["final_obs"] = "not in the files: each episode's last observation stands in; nothing bootstraps from it"
  if task not in TASKS and (doubt := doubtful_limit(lengths, known.time_limit)):
    notes["time_limit_in_doubt"] = doubt
  if left := vault.num_rows - stop:
    notes["rows_of_an_unfinished_episode_left_out"] = left
  return Read(made_of(fields, folder), notes)


class _Vault:
  """The leaves of a vault, opened when first asked for."""

  def __init__(self, folder: pathlib.Path, index: int):
    try:
      import tensorstore
    except ImportError as error:
      raise DataError(f"{folder}: vaults are read by tensorstore: pip install 'marl_offline[public]'") from error
    self._store, self.folder, self._index, self._open_leaves = tensorstore, folder, index, {}
    self._context = tensorstore.Context({"cache_pool": {"total_bytes_limit": CACHE}})
    self.leaves = _leaves(folder)
    written = np.asarray(self._read(self._open("vault_index")))
    self.num_rows = int(written.reshape(-1)[0]) if written.size else 0
    if self.num_rows < 1:
      raise DataError(f"{folder}, vault_index: is {self.num_rows}; at least one row must have been written")
    for leaf in ("observations", "actions", "rewards", "terminals"):
      if leaf not in self.leaves:
        raise DataError(f"{folder}: has no {leaf}; metadata.json names {', '.join(self.leaves) or 'nothing'}")
    sets = self.shape("observations")[0]
    if index >= sets:
      raise DataError(f"{folder}: holds {sets} data sets, numbered from 0; --seed_folder={index} is none of them")

  def shape(self, leaf: str) -> tuple[int, ...]:
    return self._open(f"{leaf}.").shape

  def kind(self, leaf: str) -> str:
    """NumPy's letter for the kind of number."""
    return self._open(f"{leaf}.").dtype.numpy_dtype.kind

  def rows(self, leaf: str, first: int = 0, stop: int | None = None) -> tuple[str, int, np.ndarray]:
    """Words for the place, first row, and rows [...] of a leaf, of all that were written."""
    stop = self.num_rows if stop is None else stop
    opened = self._open(f"{leaf}.")
    if len(opened.shape) < 3 or opened.shape[1] < stop:
      raise DataError(f"{self.folder}, {leaf}: has shape {opened.shape} where [sets, rows, ...] is expected")
    return f"{self.folder}, {leaf}", first, np.asarray(self._read(opened[self._index, first:stop]))

  def _open(self, path: str):
    if path not in self._open_leaves:
      base = {"driver": "file", "path": f"{self.folder.resolve()}/"}
      spec = {"driver": "zarr", "kvstore": {"driver": "ocdbt", "base": base, "path": path}}
      opening = self._store.open(spec, open=True, read=True, context=self._context)
      self._open_leaves[path] = self._sentence(opening)
    return self._open_leaves[path]

  def _read(self, opened) -> np.ndarray:
    return self._sentence(opened.read())

  def _sentence(self, future):
    try:
      return future.result()
    except (ValueError, OSError, RuntimeError, NotImplementedError) as error:
      reason = str(error).split(" [")[0][:200]
      raise DataError(f"{self.folder}: cannot be read, it is damaged, cut short or no vault ({reason})") from None


def _leaves(folder: pathlib.Path) -> list[str]:
  """Names of the leaves that metadata.json lists, "infos.state" for nested ones."""
  path = folder / "metadata.json"
  try:
    metadata = json.loads(path.read_text(encoding="utf-8"))
  except OSError as error:
    raise DataError(f"{path}: cannot be read ({error.strerror}); a vault has it beside manifest.ocdbt") from None
  except (ValueError, RecursionError) as error:
    raise DataError(f"{path}: is not JSON ({error})") from None
  structure = metadata.get("structure_shape") if isinstance(metadata, dict) else None
  if not isinstance(structure, dict):
    raise DataError(f"{path}: has no structure_shape, which names a vault's arrays")
  version = metadata.get("version")
  if not isinstance(version, int | float) or version // 1 != VERSION:
    raise DataError(f"{path}: is of version {version!r} where {VERSION}.x is read here")

  def names(tree: Mapping[str, Any], prefix: str):
    for name, value in tree.items():
      if isinstance(value, dict):
        yield from names(value, f"{prefix}{name}.")
      else:
        yield prefix + name

  return list(names(structure, ""))


def _known(vault: _Vault, task: str, time_limit: int | None) -> Task:
  """The task's sizes, which the vault must have; of another task than TASKS the vault's own."""
  where, actions = vault.folder, vault.shape("actions")
  if vault.kind("actions") != "f" or len(actions) != 4:
    raise DataError(f"{where}, actions: are discrete; only continuous actions are read so far")
  obs, state = vault.shape("observations"), vault.shape("infos.state") if "infos.state" in vault.leaves else None
  require_shape(f"{where}, observations", obs, "[sets, rows, agents, components]", (None,) * 4)
  if task in TASKS:
    known = TASKS[task] if time_limit is None else TASKS[task]._replace(time_limit=time_limit)
  else:
    if time_limit is None:
      raise DataError(
        f"{where}: what cuts episodes of {task} is not known here; --time_limit says after how many steps"
      )
    known = Task(task, obs[2], obs[3], actions[3], time_limit, state[-1] if state else None)
  agents = obs[2]
  if agents not in (known.num_agents, known.num_agents + PREY.get(task, 0)):
    raise DataError(f"{where}, observations: has {agents} agents where {known.name} has {known.num_agents}")
  require_shape(f"{where}, observations", obs[2:], "[agents, components]", (agents, known.obs_size))
  require_shape(f"{where}, actions", actions[2:], "[agents, components]", (agents, known.action_size))
  for leaf in ("rewards", "terminals", *(["truncations"] if "truncations" in vault.leaves else [])):
    require_shape(f"{where}, {leaf}", vault.shape(leaf)[2:], "[agents]", (agents,))
  if known.state_size:
    if state is None:
      raise DataError(f"{where}: has no infos.state; metadata.json names {', '.join(vault.leaves)}")
    each = (agents,) if len(state) == 4 else ()  # OMAR's HalfCheetah has it for each agent
    require_shape(f"{where}, infos.state", state[2:], "[components]", (*each, known.state_size))
  return known


def _ends(vault: _Vault, where: str, ended: np.ndarray, known: Task, final_rows: bool) -> tuple[np.ndarray, str]:
  """Rows that end an episode, and how they are known. ended: the terminals [rows, agents], read from `where`."""
  if "truncations" in vault.leaves:
    ended = ended | flags(*vault.rows("truncations"))
  ends, how = np.flatnonzero(ended.all(axis=1)), "as flagged"
  limit = known.time_limit
  if not len(ends):
    if final_rows or vault.num_rows % limit:
      raise DataError(
        f"{where}: no row of {vault.num_rows} ends an episode, and they are no multiple of {limit} steps"
        + (" with their final observations" if final_rows else "")
      )
    ends, how = np.arange(limit - 1, vault.num_rows, limit), f"none is flagged: cut every {limit} steps"
  lengths = np.diff(ends, prepend=-1) - final_rows
  if (wrong := (lengths < 1) | (lengths > limit)).any():
    row, steps = ends[np.argmax(wrong)], lengths[np.argmax(wrong)]
    raise DataError(f"{where}: the episode that ends at row {row} has {steps} steps; 1 to {limit} are expected")
  return ends, how
