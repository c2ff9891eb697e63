"""card.json: what a data set says of itself, and whether that is true."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from marl_offline.datasets import checks
from marl_offline.datasets.checks import DataError
from marl_offline.datasets.episodes import Episodes

FORMAT = 1
ORIGINS = ("collected", "converted")
HISTOGRAM_BINS = 30
TEXT, COUNT, RANGE = (str,), (int,), (list,)
KEYS = {  # what every card holds; more is welcome
  "name": TEXT,
  "task": TEXT,
  "quality": TEXT,
  "version": TEXT,
  "origin": TEXT,
  "source": TEXT,
  "environment": (dict, type(None)),
  "policies": (list,),
  "seed": (int, type(None)),
  "rows": COUNT,
  "episodes": COUNT,
  "num_agents": COUNT,
  "obs_size": COUNT,
  "action_size": COUNT,
  "return": (dict,),
  "normalized_mean": (int, float, type(None)),
  "obs_range": RANGE,
  "action_range": RANGE,
  "reward_range": RANGE,
  "licence": TEXT,
  "format": COUNT,
  "sha256": (dict,),
}


def histogram(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
  """numpy.histogram over equal bins, of values that differ by rounding alone too. -> counts [bins], edges."""
  low, high = float(values.min()), float(values.max())
  alike = high - low < 1e-9 * max(1.0, abs(low), abs(high))
  return np.histogram(values, bins, range=(low - 0.5, high + 0.5) if alike else None)


def measure(episodes: Episodes) -> dict[str, Any]:
  """The part of a card that the arrays themselves decide."""
  returns = episodes.returns()
  counts, edges = histogram(returns, HISTOGRAM_BINS)
  return {
    "rows": episodes.num_rows,
    "episodes": episodes.num_episodes,
    "num_agents": episodes.num_agents,
    "obs_size": episodes.obs.shape[2],
    "action_size": episodes.action.shape[2],
    "return": {
      "mean": float(returns.mean()),
      "std": float(returns.std()),
      "min": float(returns.min()),
      "max": float(returns.max()),
      "histogram": {"counts": counts.tolist(), "edges": edges.tolist()},
    },
    "obs_range": _range(episodes.obs),
    "action_range": _range(episodes.action),
    "reward_range": _range(episodes.reward),
  }


def _range(array) -> list[float]:
  extremes = [(rows.min(), rows.max()) for _, rows in checks.chunks(array)]
  return [float(min(low for low, _ in extremes)), float(max(high for _, high in extremes))]


def to_json(card: Mapping[str, Any]) -> str:
  """The card as text.

  Raises:
    DataError: a value that JSON has no word for; it names the key.
  """
  for key, value in card.items():
    try:
      json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
      raise DataError(f"card.json, {key}: cannot be written as JSON ({error})") from None
  return json.dumps(card, indent=1, allow_nan=False) + "\n"


def faults(card: Any) -> Iterator[str]:
  """What a card lacks or says wrongly, without looking at the arrays. Clauses that follow "card.json: "."""
  if not isinstance(card, dict):
    yield f"holds a {type(card).__name__} where an object with keys like name, task and sha256 is expected"
    return
  for key, kinds in KEYS.items():
    if key not in card:
      yield f"has no {key!r}; a card needs {', '.join(KEYS)}"
    elif not isinstance(card[key], kinds) or isinstance(card[key], bool):
      expected = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
      yield f"{key!r} is {_short(card[key])} where {expected} is expected"
  if isinstance(card.get("format"), int) and card["format"] != FORMAT:
    yield f"'format' is {card['format']} where this program reads {FORMAT}"
  if isinstance(card.get("origin"), str) and card["origin"] not in ORIGINS:
    yield f"'origin' is {card['origin']!r} where one of {', '.join(ORIGINS)} is expected"
  hashes = card.get("sha256")
  if isinstance(hashes, dict):
    for name in sorted(set(hashes) - set(checks.FIELDS)):
      yield f"'sha256' names {name!r}, which is no field of a data set; known are {', '.join(checks.FIELDS)}"
    for name, field in checks.FIELDS.items():
      if field.required and name not in hashes:
        yield f"'sha256' has no {name!r}; every array needs its hash there"


def disagreements(card: Mapping[str, Any], measured: Mapping[str, Any]) -> Iterator[str]:
  """Where a card says other than `measure` found in the arrays: counts exactly, returns and ranges to 1e-5."""
  pairs = [(key, card[key], measured[key]) for key in ("rows", "episodes", "num_agents", "obs_size", "action_size")]
  pairs += [
    (f"return.{key}", card["return"].get(key), measured["return"][key]) for key in ("mean", "std", "min", "max")
  ]
  pairs += [(key, card[key], measured[key]) for key in ("obs_range", "action_range", "reward_range")]
  for key, said, found in pairs:
    if not _same(said, found):
      yield f"{key!r} is {_short(said)} where the arrays have {_short(found)}"


def _same(said, found) -> bool:
  if isinstance(found, list):
    return isinstance(said, list) and len(said) == len(found) and all(map(_same, said, found))
  number = isinstance(said, int | float) and not isinstance(said, bool)
  if isinstance(found, int):
    return number and said == found
  try:
    return number and math.isclose(said, found, rel_tol=1e-5, abs_tol=1e-5)
  except OverflowError:  # an integer beyond all floats
    return False


def _short(value) -> str:
  text = repr(value)
  return text if len(text) <= 60 else text[:57] + "..."


def require_match(card: Mapping[str, Any], environment: Any) -> None:
  """Nothing if the data set was made in this environment.

  environment is a PureEnvironment, or a mapping with its name, version and observation_hash (version and hash may be
  left out and are then not compared). Where a card names no environment (your own data) its task must have the name;
  the sizes must agree in any case.

  Raises:
    DataError: task, version, sizes or observation hash differ; the message names both sides.
  """
  names = ("name", "version", "observation_hash", "num_agents", "obs_size", "action_size")
  get = environment.get if isinstance(environment, Mapping) else lambda name: getattr(environment, name, None)
  wanted = {name: get(name) for name in names}
  made_in = {"name": card["task"]} | (card.get("environment") or {})
  offered = {**{name: made_in.get(name) for name in names[:3]}, **{name: card.get(name) for name in names[3:]}}
  for name in names:
    if None not in (wanted[name], offered[name]) and wanted[name] != offered[name]:
      what = {"name": "task", "observation_hash": "observation hash"}.get(name, name)
      raise DataError(
        f"data set {card.get('name')}: was made for {what} {offered[name]!r} where the environment "
        f"{wanted['name']} has {wanted[name]!r}; train and play it in the environment that it comes from"
      )
