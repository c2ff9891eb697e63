"""What the SPaCQL paper claims, arXiv:2511.07629, asked of cells: who is ahead of whom, and can the seeds tell.

  python -m experiments.claims_report --cells runs/table/cells

Nothing is trained. Each claim is asked on every data set that has both algorithms, of each task and quality the newest
of ours, with the critics that the papers give them (SPaCQL ten, CFCQL and ICQL-QS two) and with equally many. Where the
papers print both scores, their difference stands beside ours. Differences are of normalised scores, or of the critics'
standard deviation about their targets: at the end and as a mean over the last half of training, with Welch's 95 %
interval over seeds, not corrected for how many there are. Where a side has one seed there is no interval, and nothing
is decided.

Writes claims.md, claims.json and claims.png into --out.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from experiments import (
  aggregate,
  cells,
  claims_view,
  launch,
  metric_curves,
  published,
  runs,
  settings,
  studies,
  table_view,
  weights_figure,
)
from experiments.claims_view import PARTS
from marl_offline.evaluation import scores, statistics
from marl_offline.evaluation.statistics import Named

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("cells", ["runs/table/cells"], "a folder of cells; repeatable", flag_values=FLAGS)
flags.DEFINE_string("out", "runs/table", "folder of the files", flag_values=FLAGS)
flags.DEFINE_string("name", "claims", "name of the files", flag_values=FLAGS)

Side = tuple[str, tuple[str, ...]]  # algorithm, its --set changes but for the ensemble's size
SPACQL, ICQL_QS, CFCQL = (("spacql", ()), ("icql_qs", ()), ("cfcql", ()))
SCORE, DISAGREEMENT = "score", "target_std"
SIZES = ((2, 2), (10, 10))


class Claim(NamedTuple):
  """A measure of `one` less that of `other`, on these qualities, speaks for or against some words of the paper."""

  words: str
  one: Side
  other: Side
  qualities: tuple[str, ...]
  measure: str = SCORE


CLAIMS = (
  Claim("SPaCQL is better than CFCQL on random and medium-replay", SPACQL, CFCQL, ("random", "medium-replay")),
  Claim("SPaCQL is comparable with CFCQL on medium and expert", SPACQL, CFCQL, ("medium", "expert")),
  Claim("ICQL-QS is better than CFCQL on random", ICQL_QS, CFCQL, ("random",)),
  Claim("ICQL-QS is behind CFCQL on expert", ICQL_QS, CFCQL, ("expert",)),
  Claim("SPaCQL is better than ICQL-QS on all four", SPACQL, ICQL_QS, settings.QUALITIES),
  Claim("SPaCQL's weights are better than even ones (asked here)", SPACQL, studies.UNIFORM, settings.QUALITIES),
  Claim("ICQL-QS's critics disagree less than CFCQL's", ICQL_QS, CFCQL, ("random", "expert"), DISAGREEMENT),
)


def label(side: Side, size: int) -> str:
  """What tables call it with so many critics."""
  algorithm, changes = side
  return table_view.named(algorithm, "paper", [*studies.of_size(algorithm, size), *changes])


def own_sizes(claim: Claim) -> tuple[int, int]:
  """The critics that the papers give to both."""
  one, other = (settings.load(algorithm).Config().ensemble_size for algorithm, _ in (claim.one, claim.other))
  return one, other


def measured(cell: dict[str, Any], measure: str) -> dict[str, Named]:
  """The measure at the end and over the last half of training, [seed] each."""
  if measure == SCORE:
    series = Named(scores.normalized(cell["task"], np.asarray(cell["curve"])), ("seed", "evaluation"))
  else:
    series = metric_curves.metric(cell, measure)
  found = metric_curves.numbers(series, cells.last_half(cell))
  return {part: Named(np.asarray(found[part]["seeds"]), ("seed",)) for part in PARTS}


def difference(one: Named, other: Named) -> dict[str, Any]:
  """Of two means over seeds, its interval, see mean_difference_interval, and what that says."""
  interval = statistics.mean_difference_interval(one, other, "seed")
  low, high = interval or (-np.inf, np.inf)
  so = "higher" if low > 0 else "lower" if high < 0 else "not told apart" if interval else "no interval"
  gap = float(one.values.mean() - other.values.mean())
  return {"difference": gap, "ci95": interval and [float(end) for end in interval], "so": so}


def printed(claim: Claim, cell: dict[str, Any]) -> float | None:
  """The papers' difference of scores on a cell's task and quality; None where one of both is not printed, or a side or
  the measure is not the papers'."""
  if claim.measure != SCORE or cell.get("caveat") or any(changes for _, changes in (claim.one, claim.other)):
    return None
  sides = (claim.one, claim.other)
  both = [published.lookup(algorithm, cell["task"], cell["quality"]) for algorithm, _ in sides]
  return None if None in both else both[0].mean - both[1].mean


def comparable(claim: Claim, sizes: tuple[int, int], one: dict | None, other: dict | None) -> bool:
  """Whether both cells are there and say something of the claim."""
  if one is None or other is None or one["quality"] not in claim.qualities:
    return False
  if claim.measure == SCORE:
    return True
  logged = claim.measure in one["metrics"] and claim.measure in other["metrics"]  # old runs did not
  return sizes == (10, 10) and logged  # a standard deviation over two members is mostly chance


def rows_of(claim: Claim, grid: aggregate.Grid, places: Sequence[str]) -> list[dict[str, Any]]:
  """What the cells say to a claim, a row for each data set and pair of ensemble sizes that has both algorithms."""
  found = []
  for place in places:
    for sizes in dict.fromkeys((own_sizes(claim), *SIZES)):
      names = [label(side, size) for side, size in zip((claim.one, claim.other), sizes, strict=True)]
      one, other = (grid.get(name, {}).get(place) for name in names)
      if not comparable(claim, sizes, one, other):
        continue
      both = [measured(cell, claim.measure) for cell in (one, other)]
      found.append({
        **{"data": place, "critics": list(sizes), "seeds": [len(cell["seeds"]) for cell in (one, other)]},
        "published": printed(claim, one),
        "stuck": any(any(cells.stuck_agents(cell)) for cell in (one, other)),
        **{part: difference(*(each[part] for each in both)) for part in PARTS},
      })  # fmt: skip
  return found


def weights_of(grid: aggregate.Grid, places: Sequence[str]) -> list[dict[str, Any]]:
  """SPaCQL's w_k at the end, mean over seeds, and at how many of the evaluations each is the largest."""
  found = []
  for size in (10, 2):
    for place, cell in grid.get(label(SPACQL, size), {}).items():
      if place not in places or "w_1" not in cell["metrics"]:
        continue
      series = weights_figure.per_k(cell, "w").values  # [seed, evaluation, K]
      leads = np.bincount(series.argmax(axis=-1).ravel(), minlength=series.shape[-1])
      found.append({
        **{"data": place, "critics": size, "seeds": len(cell["seeds"]), "leads": leads.tolist()},
        **{"evaluations": int(leads.sum()), "end": series[:, -1].mean(axis=0).tolist()},
      })  # fmt: skip
  return found


def main() -> None:
  """The binary."""
  out, grid = pathlib.Path(FLAGS.out), aggregate.read(FLAGS.cells)
  every = [cell for row in grid.values() for cell in row.values()]
  newest = aggregate.newest(every)
  ordered = sorted((cell for cell in every if cell["dataset"]["name"] in newest), key=table_view.order)
  places = list(dict.fromkeys(cell["dataset"]["name"] for cell in ordered))
  facts = {
    "claims": [{"claim": c.words, "measure": c.measure, "rows": rows_of(c, grid, places)} for c in CLAIMS],
    "weights": weights_of(grid, places),
  }
  facts["claims"] = [claim for claim in facts["claims"] if claim["rows"]]
  if not facts["claims"]:
    raise runs.UserError(
      f"--cells={','.join(FLAGS.cells)} has no data set with two algorithms of a claim; ablation_table --study control "
      "trains them"
    )
  text = claims_view.markdown(facts)
  print(f"{text}\n{metric_curves.write(out, FLAGS.name, text, facts, lambda path: claims_view.draw(path, facts))}")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
