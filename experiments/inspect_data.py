"""Prints what a data set is: its card, a histogram of its returns, ranges, ends, coverage, and every fault it has.

  python -m experiments.inspect_data --data_dir data --task spread --quality medium-replay
  python -m experiments.inspect_data --folder data/spread-medium-replay-v1 --picture returns.png

Exit status: 0 the data set is sound, 1 it has faults, 2 the flags name none or the picture cannot be written.
"""

import itertools
import json
import os
import sys

import numpy as np
from absl import flags

from experiments import command_line
from marl_offline.datasets import cards, checks, storage

FLAGS = flags.FlagValues()  # its own, so that a program may import this module beside other binaries
flags.DEFINE_string("folder", None, "the data set's folder; instead of the four flags below", flag_values=FLAGS)
flags.DEFINE_string("data_dir", "data", "where the data sets lie", flag_values=FLAGS)
flags.DEFINE_string("task", None, "such as spread", flag_values=FLAGS)
flags.DEFINE_string("quality", None, "such as medium-replay", flag_values=FLAGS)
flags.DEFINE_string(
  "version", None, "such as v1, or v1.seed3; if left out, the newest of v1, v2, ...", flag_values=FLAGS
)
flags.DEFINE_string("picture", None, "also draws the returns into this file (.png, .pdf, .svg)", flag_values=FLAGS)

BAR = 50  # characters of the longest bar
AT_BOUND = 0.999  # |a| from here on counts as an action at its bound


def folder_given():
  """The folder that the flags name.

  Raises:
    ValueError: they name none, or two, or a picture that has no place; the sentence says which flag.
  """
  if FLAGS.picture and not os.path.isdir(os.path.dirname(FLAGS.picture) or "."):
    raise ValueError(f"--picture {FLAGS.picture} lies in a folder that does not exist")
  if FLAGS.folder is not None:
    if FLAGS.task is not None or FLAGS.quality is not None or FLAGS.version is not None:
      raise ValueError("--folder names the data set already; leave out --task, --quality and --version")
    if not os.path.isdir(FLAGS.folder):
      raise ValueError(f"--folder {FLAGS.folder} is no folder; a data set is one, with card.json in it")
    return FLAGS.folder
  for name in ("task", "quality"):
    if not FLAGS[name].value:
      raise ValueError(f"--{name} is missing; give --task and --quality, or --folder")
  try:
    return storage.find(FLAGS.data_dir, FLAGS.task, FLAGS.quality, FLAGS.version)
  except storage.DataError as error:
    raise ValueError(f"--task {FLAGS.task} --quality {FLAGS.quality} --data_dir {error}") from None


# ---- what is printed ------------------------------------------------------------------------------------------------


def card_lines(card):
  """The card, keys aligned; what has its own section is left out."""
  for key, value in card.items():
    if key == "return" and isinstance(value, dict):
      value = {name: number for name, number in value.items() if name != "histogram"}
    if key == "sha256" and isinstance(value, dict):
      value = {name: str(digest)[:12] for name, digest in value.items()}
    if isinstance(value, dict):
      yield key if value else f"{key:<20}-"
      yield from (f"  {name:<17} {_plain(entry)}" for name, entry in value.items())
    elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
      shown = value if len(value) <= 6 else [*value[:3], None, *value[-3:]]
      yield f"{key:<20}{len(value)}"
      for entry in shown:
        words = "..." if entry is None else ", ".join(f"{name} {_plain(x)}" for name, x in entry.items())
        yield f"  {words}"
    else:
      yield f"{key:<20}{_plain(value)}"


def _plain(value) -> str:
  if isinstance(value, float):
    return f"{value:.6g}"
  if isinstance(value, bool) or value in (None, ""):
    return {None: "-", "": "-"}.get(value, str(value))
  if isinstance(value, int):
    return f"{value:,}" if value >= 10_000 else str(value)
  if isinstance(value, list) and len(value) <= 4:
    return ", ".join(map(_plain, value)) or "-"
  text = value if isinstance(value, str) else json.dumps(value)
  return text if isinstance(value, str) or len(text) <= 80 else text[:76] + " ..."


def histogram_lines(returns, bins=20):
  """Text bars over equal bins."""
  if not len(returns):
    return
  yield f"mean {returns.mean():.2f}, std {returns.std():.2f}, {returns.min():.2f} to {returns.max():.2f}"
  counts, edges = cards.histogram(returns, bins)
  for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
    bar = "#" * round(BAR * count / counts.max())
    yield f"{low:>10.1f} to {high:>9.1f} {count:>8} {bar or ('.' if count else '')}"


def end_lines(episodes):
  """How episodes end, and how long they are."""
  terminated, truncated = np.asarray(episodes.terminated), np.asarray(episodes.truncated)
  both = int((terminated & truncated).sum())
  left_out = 0
  if episodes.final_action_unknown is not None:
    left_out = episodes.num_rows - len(checks.rows_to_draw(episodes.arrays()))
    yield f"unknown         {left_out} cut episodes' final actions; their last rows are counted here and never drawn"
  lengths, counts = np.unique(episodes.lengths(), return_counts=True)
  also = f", {both} of them at a time limit too" if both else ""
  yield f"terminated      {int(terminated.sum())} (no bootstrap){also}"
  cut = int((truncated & ~terminated).sum())
  yield f"truncated       {cut} ({cut - left_out} of them bootstrap from the final observation)"
  if len(lengths) == 1:
    yield f"length          {lengths[0]} steps, all"
  else:
    mean = float(np.average(lengths, weights=counts))
    yield f"length          {lengths[0]} to {lengths[-1]} steps, mean {mean:.1f}, most often {lengths[counts.argmax()]}"


def agent_lines(episodes):
  """Ranges and means of every agent's observation, action and reward."""
  yield f"{'agent':>5} {'':<8}{'min':>10}{'max':>10}{'mean':>10}{'std':>10}  constant components"
  for name in ("obs", "action", "reward"):
    array = getattr(episodes, name)
    for agent in range(episodes.num_agents):
      low, high, mean, std, constant = _summary(array[:, agent].reshape(len(array), -1))
      numbers = "".join(f"{number:>10.3f}" for number in (low, high, mean, std))
      yield f"{agent:>5} {name:<8}{numbers}  {constant or '-'}"


def _summary(array):
  """min, max, mean, std over all of [R, D], and how many components never change."""
  lows, highs, total, squares = [], [], 0.0, 0.0
  for _, rows in checks.chunks(array):
    lows.append(rows.min(axis=0))
    highs.append(rows.max(axis=0))
    total += rows.sum(dtype=np.float64)
    squares += np.square(rows, dtype=np.float64).sum()
  low, high, mean = np.min(lows, axis=0), np.max(highs, axis=0), total / array.size
  return low.min(), high.max(), mean, np.sqrt(max(squares / array.size - mean**2, 0.0)), int((low == high).sum())


def coverage_lines(episodes):
  """What the data shows of the joint action space."""
  discrete = episodes.legal is not None
  shares = [
    np.mean(episodes.legal[:, agent] if discrete else np.abs(episodes.action[:, agent]) >= AT_BOUND)
    for agent in range(episodes.num_agents)
  ]
  words = ", ".join(f"{100 * share:.1f} %" for share in shares)
  if discrete:
    yield f"legal           {words} of the {episodes.legal.shape[2]} actions, agent by agent"
    taken = [np.flatnonzero(one.any(axis=0)).size for one in np.moveaxis(np.asarray(episodes.action), 1, 0)]
    yield f"taken           {', '.join(map(str, taken))} different ones"
  else:
    yield f"at the bounds   {words} of action components, agent by agent"
  for one, other in itertools.combinations(range(episodes.num_agents), 2):
    correlation = _correlation(episodes.action[:, one], episodes.action[:, other])
    if correlation is None:
      yield f"agents {one} and {other}  an agent's actions never change"
    else:
      yield f"agents {one} and {other}  actions correlate {correlation:+.3f} (the strongest pair of components)"
  repeats = episodes.num_rows - len(np.unique(_fingerprints(episodes)))
  share = 100 * repeats / episodes.num_rows
  yield f"duplicates      {repeats} rows ({share:.2f} %) repeat an earlier observation and action"


def _correlation(one, other):
  """Pearson's, of the pair of components where it is strongest; None where nothing varies. [R, A], [R, A]."""
  one, other = (np.asarray(x, np.float64) - np.mean(x, axis=0, dtype=np.float64) for x in (one, other))
  scale = np.sqrt(np.outer(np.sum(one**2, axis=0), np.sum(other**2, axis=0)))
  varies = scale > 1e-12 * len(one)
  if not varies.any():
    return None
  pairs = (one.T @ other)[varies] / scale[varies]
  return float(pairs[np.abs(pairs).argmax()])


def _fingerprints(episodes):
  """64 bits of every row's observation and action: equal rows are equal, others differ almost surely. [R]."""
  prints = np.zeros(episodes.num_rows, np.uint64)
  for first, obs in checks.chunks(episodes.obs):
    action = np.asarray(episodes.action[first : first + len(obs)])
    words = np.concatenate([obs.reshape(len(obs), -1), action.reshape(len(obs), -1)], axis=1).view(np.uint32)
    mixed = np.zeros(len(obs), np.uint64)
    for column in words.T:  # FNV-1a over words; the shift carries high bits down
      mixed = (mixed ^ column) * np.uint64(0x100000001B3)
      mixed ^= mixed >> np.uint64(29)
    prints[first : first + len(obs)] = mixed
  return prints


def draw(path, card, returns):
  """The histogram of returns as a picture.

  Raises:
    OSError, ValueError: it cannot be written, or the name's ending is no kind of picture.
  """
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot

  figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
  axes.stairs(*cards.histogram(returns, 50), fill=True, color="0.45")
  axes.axvline(returns.mean(), color="tab:red", label=f"mean {returns.mean():.1f}")
  axes.set_title(f"{card.get('name', 'data set')} ({card.get('origin', '?')}), {len(returns)} episodes")
  axes.set_xlabel("return: sum over the episode, mean over agents")
  axes.set_ylabel("episodes")
  axes.legend()
  figure.savefig(path, dpi=120)
  pyplot.close(figure)


# ---- the command ----------------------------------------------------------------------------------------------------


def report(folder) -> int:
  """Prints all of it. -> 0 if the data set is sound, else 1.

  Raises:
    ValueError: the picture cannot be written.
  """
  episodes, card, faults = storage.examine(folder)
  if card is not None:
    _section(f"{folder}", card_lines(card))
  if episodes is not None:
    with np.errstate(all="ignore"):  # faulty data still shows what it has; what is wrong stands below
      returns = episodes.returns()
      returns = returns[np.isfinite(returns)]
      _section(f"returns of {len(returns)} episodes", histogram_lines(returns))
      _section("ends", end_lines(episodes))
      _section("agents", agent_lines(episodes))
      _section("coverage", coverage_lines(episodes))
  _section(f"faults: {len(faults) or 'none'}", faults)
  if FLAGS.picture and episodes is not None:
    try:
      draw(FLAGS.picture, card, returns)
    except (OSError, ValueError) as error:
      reason = getattr(error, "strerror", None) or error
      raise ValueError(f"--picture {FLAGS.picture} cannot be written: {reason}; the report above is whole") from error
    print(f"\ndrawn: {FLAGS.picture}")
  return 1 if faults else 0


def _section(title, lines):
  print(f"\n{title}")
  for line in lines:
    print(f"  {line}")


def main(argv) -> int:
  """The command: argv as sys.argv -> exit status."""
  FLAGS.unparse_flags()
  if set(command_line.HELP) & set(argv[1:]):
    print(command_line.help_text(__doc__, FLAGS))
    return 0
  try:
    rest = FLAGS(command_line.at_home(argv))
    if rest[1:]:
      raise ValueError(f"unexpected argument {rest[1]!r}; every input is a flag, and --help lists them")
    folder = folder_given()
  except (flags.Error, ValueError) as error:
    print(error, file=sys.stderr)
    return 2
  try:
    return report(folder)
  except BrokenPipeError:  # whoever read along, head or a pager, has had enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except ValueError as error:
    print(error, file=sys.stderr)
    return 2
  except OSError as error:  # a file that vanished
    print(f"{folder}: {error}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    print("error: interrupted", file=sys.stderr)
    return 130


if __name__ == "__main__":
  sys.exit(main(sys.argv))
