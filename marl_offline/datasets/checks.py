"""What a data set must be. Every check yields all of its faults; who only wants to know takes the first.

A fault names the field, the row, the value found and what was expected. Arrays are read in chunks, so that a
memory-mapped data set of any size is checked in little memory.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

CHUNK = 65_536  # rows at a time: about 14 MB of spread observations


class DataError(ValueError):
  """A data set that cannot be used; the message is one sentence with the field, the row, the value and the remedy."""


class Fault(NamedTuple):
  """One thing wrong with one field."""

  field: str
  text: str  # a clause that follows "<field>: "


class Field(NamedTuple):
  """What an array of a data set looks like."""

  dtype: type
  axes: str  # letters of types.py, one an axis
  required: bool = True


FIELDS = {
  "obs": Field(np.float32, "RNO"),
  "action": Field(np.float32, "RNA"),
  "reward": Field(np.float32, "RN"),
  "terminated": Field(np.bool_, "R"),
  "truncated": Field(np.bool_, "R"),
  "final_obs": Field(np.float32, "PNO"),
  "final_action": Field(np.float32, "PNA"),
  "state": Field(np.float32, "RS", required=False),
  "final_state": Field(np.float32, "PS", required=False),
  "final_action_unknown": Field(np.bool_, "P", required=False),
  "legal": Field(np.bool_, "RNA", required=False),
  "final_legal": Field(np.bool_, "PNA", required=False),
}
PAIRS = {  # what comes with its final rows or not at all, and what its absence says
  "state": "the observations are the state",
  "legal": "the actions are continuous",
}
AXES = {"R": "row", "P": "episode", "N": "agent", "O": "component", "A": "component", "S": "component"}
COUNTS = {
  "R": "rows",
  "P": "episodes",
  "N": "agents",
  "O": "observation components",
  "A": "action components",
  "S": "state components",
}


def shape_words(name: str) -> str:
  """The axes of a field as a person reads them: "[rows, agents, action components]"."""
  return "[" + ", ".join(COUNTS[axis] for axis in FIELDS[name].axes) + "]"


def chunks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
  """First row and rows of each chunk."""
  for first in range(0, len(array), CHUNK):
    yield first, np.asarray(array[first : first + CHUNK])


def faults(arrays: Mapping[str, np.ndarray], action_low: float = -1.0, action_high: float = 1.0) -> Iterator[Fault]:
  """All that is wrong with a data set, cheapest checks first. arrays by names of FIELDS, absent ones left out."""
  of_layout = list(layout_faults(arrays))
  yield from of_layout
  sound = {name: array for name, array in arrays.items() if not any(True for _ in _layout(name, array))}
  for name, array in sound.items():
    if FIELDS[name].dtype is np.float32:
      yield from _values(name, array, lambda x: ~np.isfinite(x), "every value must be finite")
  bounds = f"actions must lie in [{action_low:g}, {action_high:g}]; rescale them, and clip what rounding left outside"
  for name in ("action", "final_action"):
    if name in sound:  # a NaN compares false here, it has had its own sentence
      yield from _values(name, sound[name], lambda x: (x < action_low) | (x > action_high), bounds)
  if "legal" in arrays and not of_layout:
    yield from _choices(arrays)


def layout_faults(arrays: Mapping[str, np.ndarray]) -> Iterator[Fault]:
  """What keeps the arrays from being one data set at all: fields, dtypes, sizes and ends. Reads no numbers."""
  yield from _missing(arrays)
  sound = {}
  for name, array in arrays.items():
    problems = list(_layout(name, array))
    yield from problems
    if not problems:
      sound[name] = array
  yield from _sizes(sound)
  yield from _ends(sound)


def _missing(arrays) -> Iterator[Fault]:
  for name, field in FIELDS.items():
    if field.required and name not in arrays:
      yield Fault(name, f"is missing; a data set needs it as {shape_words(name)}")
  for name, without in PAIRS.items():
    there = [one for one in (name, f"final_{name}") if one in arrays]
    if len(there) == 1:
      missing = name if there[0] != name else f"final_{name}"
      yield Fault(missing, f"is missing although there is {there[0]}; give both, or neither and {without}")


def _layout(name: str, array: np.ndarray) -> Iterator[Fault]:
  """Dtype, number of axes, nothing empty."""
  field = FIELDS[name]
  if array.dtype != np.dtype(field.dtype):
    yield Fault(name, f"holds {array.dtype} where {np.dtype(field.dtype)} is expected")
  elif array.ndim != len(field.axes):
    yield Fault(name, f"has shape {array.shape} where {shape_words(name)} is expected")
  elif 0 in array.shape:
    empty = COUNTS[field.axes[array.shape.index(0)]]
    yield Fault(name, f"has no {empty} (shape {array.shape}); at least one is needed")


def _sizes(arrays) -> Iterator[Fault]:
  """One length for each axis letter; the first field that carries a letter fixes it. P is fixed by the ends instead."""
  known = {}
  for name, array in arrays.items():
    for axis, size in zip(FIELDS[name].axes, array.shape, strict=True):
      owner, expected = known.setdefault(axis, (name, size))
      if size != expected and axis != "P":
        yield Fault(name, f"has {size} {COUNTS[axis]} where {owner} has {expected}; they must be equal")


def _ends(arrays) -> Iterator[Fault]:
  """The last row ends an episode, and every end has its final observation and action."""
  if not {"terminated", "truncated"} <= set(arrays) or len(arrays["terminated"]) != len(arrays["truncated"]):
    return
  last = np.asarray(arrays["terminated"]) | np.asarray(arrays["truncated"])
  num_ends = int(last.sum())
  if not last[-1]:
    where = f"the last end is at row {np.flatnonzero(last)[-1]}" if num_ends else "no row does"
    expected = "terminated or truncated must be true there, or the rows after the last end be left out"
    yield Fault("truncated", f"row {len(last) - 1}, the last one, ends no episode ({where}); {expected}")
  fits = True
  for name in ("final_obs", "final_action", "final_state", "final_action_unknown", "final_legal"):
    if name in arrays and len(arrays[name]) != num_ends:
      fits = False
      found = f"has {len(arrays[name])} episodes where terminated and truncated mark {num_ends} ends"
      yield Fault(name, f"{found}; one row per episode is needed")
  if fits and "final_action_unknown" in arrays and len(rows_to_draw(arrays)) == 0:
    yield Fault("final_action_unknown", "is true of every row's next action; at least one row must have a known one")


def rows_to_draw(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
  """Rows whose next action is known or without weight; all but cut episodes' last ones of unknown action. [D] int32."""
  terminated = np.asarray(arrays["terminated"])
  ends = np.flatnonzero(terminated | np.asarray(arrays["truncated"]))
  left_out = ends[np.asarray(arrays["final_action_unknown"]) & ~terminated[ends]]
  return np.delete(np.arange(len(terminated), dtype=np.int32), left_out)


def _choices(arrays: Mapping[str, np.ndarray]) -> Iterator[Fault]:
  """Discrete actions, with legal: each a one-hot, of a legal action wherever something depends on it.

  A final action counts for that only where an episode was cut and the action is known. Legal actions there must be at
  every end: a maximum over none would spoil even what a discount of 0 takes away.
  """
  terminated = np.asarray(arrays["terminated"])
  ends = np.flatnonzero(terminated | np.asarray(arrays["truncated"]))
  matters = ~terminated[ends]
  if "final_action_unknown" in arrays:
    matters = matters & ~np.asarray(arrays["final_action_unknown"])
  for name, mask, counts in (("action", "legal", None), ("final_action", "final_legal", matters)):
    one_hot, allowed, any_legal = [], [], []
    for first, rows in chunks(arrays[name]):
      may = np.asarray(arrays[mask][first : first + len(rows)])
      one_hot.append(np.isin(rows, (0, 1)).all(axis=-1) & (rows.sum(axis=-1) == 1))
      allowed.append((may & (rows == 1)).any(axis=-1))
      any_legal.append(may.any(axis=-1))
    sound, allowed, any_legal = (np.concatenate(parts) for parts in (one_hot, allowed, any_legal))  # [R or P, N] each
    if counts is not None:
      allowed = allowed | ~counts[:, None]
    yield from _first(name, ~sound, "is no one-hot; with legal given, an action is a single 1 among zeros")
    yield from _first(mask, ~any_legal, "has no legal action; at least one is needed")
    yield from _first(name, sound & any_legal & ~allowed, f"is an action that {mask} forbids; it must be legal")


def _first(name: str, wrong: np.ndarray, words: str) -> Iterator[Fault]:
  """One fault for all wrong actions of a field. wrong [R or P, N]."""
  if wrong.any():
    row, agent = np.unravel_index(np.argmax(wrong), wrong.shape)
    axis = FIELDS[name].axes[0]
    more = "" if wrong.sum() == 1 else f" ({wrong.sum()} such in {wrong.any(axis=1).sum()} {COUNTS[axis]})"
    yield Fault(name, f"{AXES[axis]} {row}, agent {agent} {words}{more}")


def _values(name: str, array: np.ndarray, is_wrong, expected: str) -> Iterator[Fault]:
  """One fault for all wrong values of a field: the first with its place, and how many there are."""
  place = None
  num_values = num_rows = 0
  for first, rows in chunks(array):
    wrong = is_wrong(rows)
    if wrong.any():
      if place is None:
        index = np.unravel_index(np.argmax(wrong), wrong.shape)
        place, value = (first + index[0], *index[1:]), rows[index]
      num_values += int(wrong.sum())
      num_rows += int(wrong.reshape(len(wrong), -1).any(axis=1).sum())
  if place is not None:
    axes = FIELDS[name].axes
    where = ", ".join(f"{AXES[axis]} {at}" for axis, at in zip(axes, place, strict=True))
    more = "" if num_values == 1 else f" ({num_values} such values in {num_rows} {COUNTS[axes[0]]})"
    yield Fault(name, f"{where} is {value!s}; {expected}{more}")
