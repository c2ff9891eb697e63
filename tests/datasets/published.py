"""Writes small files in the layouts that others published."""

import numpy as np

from marl_offline.datasets import public_omar

EXTRA_AGENTS = {"tag": 1, "world": 1}  # the prey


def omar_arrays(task="spread", episodes=2, seed=0, dones="zeros"):
  """File name (without .npy) -> array, the prey's among them."""
  known, random = public_omar.TASKS[task], np.random.default_rng(seed)
  rows, limit = episodes * known.time_limit, known.time_limit
  last = np.arange(rows) % limit == limit - 1

  def walked(size):
    """A trajectory an episode: rows, and what follows each."""
    path = random.normal(size=(episodes, limit + 1, size))
    return path[:, :-1].reshape(rows, size), path[:, 1:].reshape(rows, size)

  arrays = {}
  for agent in range(known.num_agents + EXTRA_AGENTS.get(task, 0)):
    arrays[f"obs_{agent}"], arrays[f"next_obs_{agent}"] = walked(known.obs_size)
    arrays[f"acs_{agent}"] = random.uniform(-1, 1, (rows, known.action_size))
    arrays[f"rews_{agent}"] = random.normal(size=rows)
    arrays[f"dones_{agent}"] = (last if dones == "limits" else np.zeros(rows)).astype(float)
  if known.state_size:
    arrays["states_0"], arrays["next_states_0"] = walked(known.state_size)
  return arrays


def write_omar(root, task="spread", quality="expert", seed=0, **changes):
  """The folders and files of one data set. changes: see omar_arrays. -> arrays, the folder of the files."""
  arrays = omar_arrays(task, **changes)
  folder = root / public_omar.TASKS[task].name / quality / f"seed_{seed}_data"
  folder.mkdir(parents=True)
  for name, array in arrays.items():
    np.save(folder / f"{name}.npy", array)
  return arrays, folder


def omiga_arrays(task="hopper_3x1", lengths=(3, 1000, 5), seed=0, unfinished=0):
  """Key -> array; an episode's last row has an observation, and rubbish for action and reward."""
  from marl_offline.datasets import public_omiga

  known, random = public_omiga.TASKS[task], np.random.default_rng(seed)
  rows = sum(lengths) + len(lengths) + unfinished
  final = np.zeros(rows, bool)
  final[np.cumsum(np.array(lengths) + 1) - 1] = True
  obs = random.normal(size=(rows, known.num_agents, known.obs_size))
  action = random.uniform(-1, 1, (rows, known.num_agents, known.action_size))
  reward = random.normal(size=(rows, 1))
  action[final], reward[final] = 1e9, np.nan
  return {"s": obs.copy(), "o": obs, "a": action, "r": reward, "d": final[:, None].astype(float)}


def write_hdf5(path, arrays):
  """One HDF5 file of the arrays."""
  import h5py

  with h5py.File(path, "w") as file:
    for key, array in arrays.items():
      file[key] = array


def pymarl_arrays(known, ends=((3, True), (2, False)), filled="final", seed=0):
  """Key -> array. ends: steps of each episode and whether the task ended there. The last agent dies halfway.

  known: a public_rows.Task. filled: "final", a row more than steps, or "steps"; "absent": nothing but steps is stored.
  """
  random, shape = np.random.default_rng(seed), (len(ends), known.time_limit + 1)
  agents, choices = known.num_agents, known.action_size
  arrays = {
    "state": random.normal(size=(*shape, known.state_size)).astype(np.float32),
    "obs": random.normal(size=(*shape, agents, known.obs_size)).astype(np.float32),
    "actions": np.zeros((*shape, agents, 1), np.int64),
    "avail_actions": random.integers(0, 2, (*shape, agents, choices)).astype(np.int32),
    "probs": np.zeros((*shape, agents, choices), np.float32),
    "reward": random.normal(size=(*shape, 1)).astype(np.float32),
    "terminated": np.zeros((*shape, 1), np.uint8),
    "filled": np.zeros((*shape, 1), np.int64),
  }
  arrays["avail_actions"][..., 0] = 0  # only the dead do nothing
  arrays["avail_actions"][..., 1] = 1
  for episode, (steps, ended) in enumerate(ends):
    arrays["avail_actions"][episode, steps // 2 + 1 :, -1] = np.arange(choices) == 0
    rows = steps if filled == "absent" else steps + 1
    for row in range(rows):
      for agent in range(agents):
        legal = np.flatnonzero(arrays["avail_actions"][episode, row, agent])
        arrays["actions"][episode, row, agent, 0] = random.choice(legal)
    arrays["terminated"][episode, steps - 1] = ended
    arrays["filled"][episode, : steps + (filled == "final")] = 1
    arrays["reward"][episode, steps:] = 0
    for key in ("state", "obs", "actions", "avail_actions"):
      arrays[key][episode, rows:] = 0
  return arrays


def vault_leaves(num_agents=3, obs_size=14, action_size=1, state_size=14, lengths=(3, 5), seed=0, sets=1, flag="t"):
  """Leaf -> array [B, X, ...]; lengths are rows. flag: one letter an episode, in turn: t terminals, T truncations."""
  random, rows = np.random.default_rng(seed), sum(lengths)
  flags = {leaf: np.zeros((sets, rows, num_agents), np.float32) for leaf in ("terminals", "truncations")}
  for episode, end in enumerate(np.cumsum(lengths) - 1):
    letter = flag[episode % len(flag)]
    if letter != "-":
      flags["terminals" if letter == "t" else "truncations"][:, end] = 1
  shape = (sets, rows, num_agents)
  leaves = {
    "observations": random.normal(size=(*shape, obs_size)).astype(np.float32),
    "actions": random.uniform(-1, 1, (*shape, action_size)).astype(np.float32),
    "rewards": random.normal(size=shape).astype(np.float32),
    **flags,
  }
  if state_size:
    leaves["infos.state"] = random.normal(size=(sets, rows, state_size)).astype(np.float32)
  return leaves


def write_vault(folder, leaves, written=None, version=1.2):
  """A vault as flashbax lays it out: the time axis far longer than what is written, vault_index beside the leaves."""
  import json

  import tensorstore

  folder.mkdir(parents=True)
  shapes, infos = {}, {}
  for leaf, array in leaves.items():
    place = infos if leaf.startswith("infos.") else shapes
    place[leaf.removeprefix("infos.")] = str(array.shape)
  metadata = {"version": version, "structure_shape": shapes | ({"infos": infos} if infos else {})}
  (folder / "metadata.json").write_text(json.dumps(metadata))

  def create(path, shape, dtype, **compressor):
    store = {"driver": "ocdbt", "base": f"file://{folder}", "path": path}
    spec = {"driver": "zarr", "kvstore": store, "metadata": compressor}
    return tensorstore.open(spec, shape=shape, dtype=dtype, create=True).result()

  for leaf, array in leaves.items():
    shape = (array.shape[0], 10**13, *array.shape[2:])
    opened = create(f"{leaf}.", shape, array.dtype, compressor={"id": "gzip", "level": 5})
    opened[:, : array.shape[1]].write(array).result()
  rows = leaves["observations"].shape[1] if written is None else written
  create("vault_index", (1,), np.int32).write(np.array([rows], np.int32)).result()
