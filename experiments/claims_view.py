"""Claims as tables and as one picture: a difference, its interval, and what it says."""

import pathlib
from collections.abc import Mapping
from typing import Any

PARTS = {"end": "at the end", "last_half": "over the last half"}
COLORS = {"higher": "#0077bb", "lower": "#cc3311", "not told apart": "#777777", "no interval": "#bbbbbb"}
STUCK = (
  "*: a seed of one of the two has a policy that is stuck and learns no more (experiments.stuck_policies); some older "
  "cells were not asked."
)
RULE = (
  "Differences of means over seeds with Welch's 95 % interval, not corrected for how many are looked at; bold where "
  "the interval, before rounding, leaves out 0. Of each task and quality the newest data set of ours. The published "
  "ones are SPaCQL's with ten critics and the others' with two, on the papers' data, of tag and world against another "
  "prey."
)


def markdown(facts: Mapping[str, Any]) -> str:
  """A table for each claim, and one of SPaCQL's weights."""
  lines = []
  for claim in facts["claims"]:
    what, digits = ("score", 1) if claim["measure"] == "score" else ("standard deviation over critics", 2)
    lines += [f"**{claim['claim']}**: difference of the {what}", ""]
    lines += ["| data | critics | seeds | published | at the end | over the last half | so |", "|---" * 7 + "|"]
    lines += [_row(row, digits) for row in claim["rows"]] + [""]
  if facts["weights"]:
    lines += ["**SPaCQL's weights**: at the end, and at how many evaluations (of all seeds) each is the largest", ""]
    lines += ["| data | critics | seeds | w_1, w_2, .. | largest at |", "|---" * 5 + "|"]
    lines += [_weights(row) for row in facts["weights"]] + [""]
  lines.append(RULE)
  if any(row["stuck"] for claim in facts["claims"] for row in claim["rows"]):
    lines.append(STUCK)
  return "\n".join(lines) + "\n"


def verdict(row: Mapping[str, Any]) -> str:
  """What the end and the last half say, in one phrase where they agree."""
  end, late = (row[part]["so"] for part in PARTS)
  return end if end == late else f"{end} {PARTS['end']}, {late} {PARTS['last_half']}"


def _row(row: Mapping[str, Any], digits: int) -> str:
  one, other = row["seeds"]
  paper = "-" if row["published"] is None else f"{row['published']:+.1f}"
  told = " | ".join(_difference(row[part], digits) for part in PARTS)
  name = row["data"] + ("*" if row["stuck"] else "")
  seeds = f"{one}" if one == other else f"{one} and {other}"
  return f"| {name} | {_critics(row)} | {seeds} | {paper} | {told} | {verdict(row)} |"


def _critics(row: Mapping[str, Any]) -> str:
  one, other = row["critics"]
  return f"{one} each" if one == other else f"{one} and {other}"


def _difference(found: Mapping[str, Any], digits: int) -> str:
  told = f"{found['difference']:+.{digits}f}"
  if found["ci95"] is not None:
    told += f" [{found['ci95'][0]:.{digits}f}, {found['ci95'][1]:.{digits}f}]"
  return f"**{told}**" if found["so"] in ("higher", "lower") else told


def _weights(row: Mapping[str, Any]) -> str:
  shares = ", ".join(f"w_{k} {count}" for k, count in enumerate(row["leads"], 1))
  end = ", ".join(f"{weight:.3f}" for weight in row["end"])
  return f"| {row['data']} | {row['critics']} | {row['seeds']} | {end} | {shares} of {row['evaluations']} |"


def draw(path: pathlib.Path, facts: Mapping[str, Any]) -> None:
  """A panel a claim: every difference as a dot with its interval, full at the end, hollow over the last half, the
  published as a cross."""
  from matplotlib.figure import Figure

  claims = facts["claims"]
  heights = [1.2 + len(claim["rows"]) for claim in claims]
  figure = Figure(figsize=(9.0, 1.0 + 0.27 * sum(heights)), layout="constrained")
  panels = figure.subplots(len(claims), 1, height_ratios=heights, squeeze=False)[:, 0]
  for axes, claim in zip(panels, claims, strict=True):
    axes.axvline(0.0, color="black", lw=0.8)
    for place, row in enumerate(claim["rows"]):
      for part, shift in (("end", -0.14), ("last_half", 0.18)):
        _dot(axes, row[part], place + shift, hollow=part == "last_half")
      if row["published"] is not None:
        axes.plot(row["published"], place, "x", color="black", ms=6, mew=1.5)
    names = [f"{row['data']}, {_critics(row)} ({', '.join(map(str, row['seeds']))})" for row in claim["rows"]]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    edge = 1.7 * max(abs(value) for row in claim["rows"] for value in _values(row)) or 1.0
    axes.set_xlim(-edge, edge)  # an interval of two seeds may be ten times as wide, and would hide the others
    axes.set_title(claim["claim"], fontsize=10, loc="left")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
  words = "difference (score, or standard deviation over critics), 95 % interval; wide ones are cut off"
  figure.supxlabel(words, fontsize=9)
  shown = [figure.axes[0].plot([], [], "o", color=color)[0] for color in COLORS.values()]
  shown += [figure.axes[0].plot([], [], "o", color="black", mfc="white")[0]]
  shown += [figure.axes[0].plot([], [], "x", color="black")[0]]
  words = [*COLORS, "over the last half", "published"]
  figure.legend(shown, words, loc="outside upper center", ncols=len(words), frameon=False, fontsize=8)
  figure.savefig(path, dpi=130)


def _values(row: Mapping[str, Any]) -> list[float]:
  printed = [] if row["published"] is None else [row["published"]]
  return [*printed, *(row[part]["difference"] for part in PARTS)]


def _dot(axes, found: Mapping[str, Any], place: float, hollow: bool) -> None:
  color, gap = COLORS[found["so"]], found["difference"]
  if found["ci95"] is not None:
    axes.plot(found["ci95"], (place, place), color=color, lw=1.0 if hollow else 1.8)
  axes.plot(gap, place, "o", color=color, mfc="white" if hollow else color, ms=4.5)
