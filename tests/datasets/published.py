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


def write_omiga(path, arrays):
  """One HDF5 file of the arrays."""
  import h5py

  with h5py.File(path, "w") as file:
    for key, array in arrays.items():
      file[key] = array
