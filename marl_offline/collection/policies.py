"""The policies that our data sets are recorded from: snapshots of one online run, chosen by what they score.

A library is two files: `<task>.npz` holds the snapshots' weights (in half precision: a policy *is* its rounded weights;
see packed) and `<task>.json` says where they come from, the learning curve, and which snapshots make which quality.
"""

import dataclasses
import io
import json
import pathlib
import uuid
from importlib import resources
from typing import Any

import jax
import numpy as np

REPLAY_SNAPSHOTS = 16
# Mean normalised return that each quality aims at: the published data sets' own (OMAR's files, as tallied by OG-MARL),
# but for tag's replay (4.2) and world's medium (84.2): both are moved to the middle of the range that counts as alike.
# The scale of tag and world is the last snapshot's own return, so there the expert is that one.
TARGETS = {
  "spread": {"medium-replay": 12.3, "medium": 31.8, "expert": 104.0},
  "tag": {"medium-replay": 7.0, "medium": 63.5},
  "world": {"medium-replay": 9.3, "medium": 80.0},
}
LAST_NOISE = 0.5  # the last snapshot records with half of the noise that its reference was measured with


@dataclasses.dataclass(frozen=True)
class Library:
  """Snapshots [Z, ...] and the facts about them."""

  actors: Any  # pytree of [Z, ...] float32 arrays
  facts: dict[str, Any]

  def actor(self, snapshot: int) -> Any:
    """One snapshot's weights."""
    return jax.tree.map(lambda x: x[snapshot], self.actors)

  def mixture(self, quality: str) -> list[tuple[int, float, float]]:
    """(snapshot, share of the episodes, factor on its noise) for each policy that acts at this quality."""
    role = self.facts["qualities"][quality]
    return list(zip(role["snapshots"], role["shares"], role["noise"], strict=True))


def rounded(actor: Any) -> Any:
  """The weights as they are kept: half precision, used as float32."""
  return jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float16).astype(np.float32), actor)


def tilted_shares(returns: np.ndarray, target: float) -> np.ndarray:
  """Shares ~ exp(-c * return) whose mean return is `target`; c = 0 where the plain mean is not above it. [Z] -> [Z].

  A replay buffer holds what the learner saw; our learner climbs sooner than the papers' did, so its early play is given
  more room, just enough to meet the published mean.
  """
  spread = np.ptp(returns) or 1.0

  def shares(tilt):
    weight = np.exp(-tilt * (returns - returns.min()) / spread)
    return weight / weight.sum()

  low, high = 0.0, 50.0
  if shares(low) @ returns <= target:
    return shares(low)
  for _ in range(60):
    middle = (low + high) / 2
    low, high = (middle, high) if shares(middle) @ returns > target else (low, middle)
  return shares(high)


def first_at(task: str, normalized: np.ndarray, level: float) -> int:
  """The first snapshot at a level. [Z] -> its index.

  Raises:
    ValueError: none is.
  """
  if not (normalized >= level).any():  # nan is at no level
    best = np.fmax.reduce(normalized)
    raise ValueError(f"{task}: training ended at {best:.1f}, below the level {level} that a data set needs")
  return int(np.argmax(normalized >= level))


def choose(task: str, normalized: np.ndarray) -> dict[str, Any]:
  """Which of all snapshots make which quality, by their normalised returns [Z].

  Raises:
    ValueError: the run never reached a level that is wanted.
  """
  targets = TARGETS[task]
  medium = first_at(task, normalized, targets["medium"])
  expert, noise = len(normalized) - 1, LAST_NOISE
  if "expert" in targets:
    expert, noise = first_at(task, normalized, targets["expert"]), 1.0
  replay = np.unique(np.linspace(0, medium, min(REPLAY_SNAPSHOTS, medium + 1)).round().astype(int))
  shares = tilted_shares(normalized[replay], targets["medium-replay"])
  return {
    "medium-replay": {"snapshots": replay.tolist(), "shares": shares.tolist(), "noise": [1.0] * len(replay)},
    "medium": {"snapshots": [medium], "shares": [1.0], "noise": [1.0]},
    "expert": {"snapshots": [expert], "shares": [1.0], "noise": [noise]},
  }


def build(actors: list[Any], roles: dict[str, Any], facts: dict[str, Any]) -> Library:
  """Keeps only the snapshots that some quality uses, renumbered."""
  used = sorted({snapshot for role in roles.values() for snapshot in role["snapshots"]})
  place = {snapshot: index for index, snapshot in enumerate(used)}
  roles = {name: {**role, "snapshots": [place[z] for z in role["snapshots"]]} for name, role in roles.items()}
  stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(rounded(actors[z]) for z in used))
  return Library(stacked, {**facts, "kept": used, "qualities": roles})


def save(folder: pathlib.Path, task: str, library: Library) -> None:
  """Writes `<task>.npz` and `<task>.json` into folder."""
  folder.mkdir(parents=True, exist_ok=True)
  leaves = {_name(path): packed(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(library.actors)}
  archive = io.BytesIO()  # zipfile's own error on a full disk would hide its cause
  np.savez_compressed(archive, **leaves)
  facts = json.dumps(library.facts, indent=1) + "\n"
  for name, content in ((f"{task}.npz", archive.getvalue()), (f"{task}.json", facts.encode())):
    # the facts last and at once: where they lie, the library is whole
    partial = folder / f".{name}.partial-{uuid.uuid4().hex[:8]}"
    try:
      partial.write_bytes(content)
      partial.rename(folder / name)
    finally:
      partial.unlink(missing_ok=True)


def packed(leaf: np.ndarray) -> np.ndarray:
  """Weights [Z, ...] rounded to half precision, in a form that compresses better by a sixth. -> uint8 [2, Z, ...].

  Neighbouring snapshots are alike, so what is kept of each is its bits less those of the one before, modulo 2^16, the
  high bytes apart from the low ones.
  """
  bits = leaf.astype("<f2").view("<u2")
  return np.stack(np.divmod(np.diff(bits, axis=0, prepend=np.zeros_like(bits[:1])), 256)).astype(np.uint8)


def unpacked(array: np.ndarray) -> np.ndarray:
  """What `packed` was given, rounded. uint8 [2, Z, ...] -> float32 [Z, ...].

  Raises:
    ValueError: it is none of packed's.
  """
  if array.dtype != np.uint8 or array.ndim < 2 or len(array) != 2:
    raise ValueError(f"{array.dtype} {array.shape} where uint8 [2, Z, ...] belongs")
  high, low = array.astype("<u2")
  return np.cumsum(256 * high + low, axis=0, dtype="<u2").view("<f2").astype(np.float32)


def _name(path) -> str:
  return jax.tree_util.keystr(path, simple=True, separator=".")


def load(task: str, folder: pathlib.Path | None = None) -> Library:
  """The shipped library of a task, or the one in `folder`.

  Raises:
    FileNotFoundError: there is none.
    ValueError: it is damaged, or its facts lack something.
  """
  place = folder or resources.files("marl_offline.collection") / "policies"
  archive = (place / f"{task}.npz").read_bytes()
  try:
    with np.load(io.BytesIO(archive)) as arrays:
      leaves = {name: unpacked(array) for name, array in arrays.items()}
  except Exception as error:  # a flipped bit ends in any of a dozen kinds
    raise ValueError(f"{task}.npz is damaged: {type(error).__name__}: {error}") from error
  facts = json.loads((place / f"{task}.json").read_text())
  if missing := [name for name in ("kept", "qualities") if name not in facts]:
    raise ValueError(f"{task}.json has no {missing[0]}")
  return Library(_nested(leaves), facts)


def _nested(leaves: dict[str, Any]) -> Any:
  """The tree whose leaves were named by _name; numbers name the places of a list."""
  if "" in leaves:
    return leaves[""]
  branches: dict[str, dict[str, Any]] = {}
  for name, leaf in leaves.items():
    head, _, rest = name.partition(".")
    branches.setdefault(head, {})[rest] = leaf
  trees = {head: _nested(branch) for head, branch in branches.items()}
  return [trees[str(place)] for place in range(len(trees))] if all(map(str.isdecimal, trees)) else trees
