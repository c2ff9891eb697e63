"""What a cell's seeds are trained on: all on one data set, or each on its own, as the papers pair them.

The second is a folder with {seed} in its name: of the cell of data/spread-expert-omar{seed}, seed 3 is trained on
data/spread-expert-omar3. Its spread over seeds holds that of the data, as the published ones do.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from experiments.runs import UserError

SEED = "{seed}"
KEPT = ("name", "origin", "sha256", "mean_return")


def each(dataset: str | None) -> bool:
  """Whether a folder's name stands for one folder a seed."""
  return dataset is not None and SEED in dataset


def folder(dataset: str | None, seed: int) -> str | None:
  """A seed's folder."""
  return dataset and dataset.replace(SEED, str(seed))


def entry(data: dict[str, Any], row: str | None, seed: int) -> dict[str, Any]:
  """What a cell keeps of a run's data set. row: the name with {seed}; None where all seeds share one."""
  own = {name: data[name] for name in KEPT}
  return own if row is None else own | {"name": row, "sha256": {}, "each": {str(seed): own}}


def identity(dataset: dict[str, Any]) -> dict[str, Any]:
  """What all seeds of a cell have in common."""
  return {name: dataset[name] for name in ("name", "origin", "sha256")}


def joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
  """The data sets of two parts of a cell; mean_return is the mean over them."""
  if "each" not in other:
    return other
  both = one["each"] | other["each"]
  mean = float(np.mean([data["mean_return"] for data in both.values()]))
  return other | {"mean_return": mean, "each": {seed: both[seed] for seed in sorted(both, key=int)}}


def contents(dataset: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
  """Seed and data set of each; 0 and the one that all seeds share."""
  yield from ((int(seed), data) for seed, data in dataset.get("each", {"0": dataset}).items())


def require_one_content(found: Sequence[dict[str, Any]]) -> None:
  """Cells that stand in one row of a table are of the same arrays, not only of data sets of one name.

  Raises:
    UserError: they are not.
  """
  first: dict[tuple[str, str, int], tuple] = {}
  for cell in found:
    for seed, data in contents(cell["dataset"]):
      other, before = first.setdefault((cell["task"], cell["dataset"]["name"], seed), (cell, data))
      if before["sha256"] != data["sha256"]:
        both = f"the cells of {other['algorithm']} and {cell['algorithm']}"
        raise UserError(
          f"{both} are of different data sets that are both called {data['name']}; they cannot be compared"
        )
