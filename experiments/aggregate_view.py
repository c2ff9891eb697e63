"""What aggregate.py has found as Markdown and as a picture."""

import pathlib
from typing import Any

import numpy as np

from experiments import table_view


def told(estimate: dict[str, Any], digits: int) -> str:
  """A value and its interval."""
  interval = estimate["ci95"]
  ends = f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]" if interval else ""
  return f"{estimate['value']:.{digits}f}{ends}"


def counted(datasets: int, seeds: int) -> str:
  """How much stands behind a number, in words."""
  return f"{datasets} data set{'s' * (datasets > 1)} x {seeds} seed{'s' * (seeds > 1)}"


def markdown(facts: dict[str, Any], of: str) -> str:
  """One row for each comparison, then the IQM of those that have every data set."""
  lines = [
    f"Normalised scores of the final policies. P: the probability that a seed of {of} is better than one of the other "
    "on the same data set, ties one half, averaged over data sets. IQM over data sets x seeds. Brackets: 95 % "
    "bootstrap intervals, seeds drawn within each data set; none for one seed, and too narrow for fewer than five.",
    "",
  ]
  if facts["against_each"]:
    lines += [f"| {of} against | data sets | seeds | P({of} better) | IQM of {of} | IQM of the other |"]
    lines += ["|---" * 6 + "|"]
  for row in facts["against_each"]:
    estimates = (told(row["probability_of_improvement"], 2), told(row["iqm_of"], 1), told(row["iqm_over"], 1))
    lines.append(f"| {row['over']} | {len(row['datasets'])} | {row['seeds']} | {' | '.join(estimates)} |")
  whole = facts["profiles"]
  places = ", ".join(whole["datasets"])
  lines += ["", f"Those with cells on all data sets of {of} ({places}; {whole['seeds']} seeds):", ""]
  lines += ["| algorithm | IQM |", "|---|---|"]
  for name, row in sorted(whole["algorithms"].items(), key=lambda item: -item[1]["iqm"]["value"]):
    lines.append(f"| {name} | {told(row['iqm'], 1)} |")
  if whole["left_out"]:
    lines += ["", f"Without all of them, so not in this list: {', '.join(whole['left_out'])}."]
  return "\n".join(lines) + "\n"


def draw(path: pathlib.Path, facts: dict[str, Any], of: str) -> None:
  """Performance profile, IQM and probability of improvement side by side."""
  from matplotlib.figure import Figure

  whole, pairs = facts["profiles"], facts["against_each"][::-1]
  ranked = sorted(whole["algorithms"], key=lambda name: whole["algorithms"][name]["iqm"]["value"])
  color = table_view.colors(list(dict.fromkeys([*whole["algorithms"], *(row["over"] for row in pairs)])))
  height = max(3.6, 1.4 + 0.4 * max(len(pairs), len(ranked)))
  figure = Figure(figsize=(13.5, height), layout="constrained")
  profile, iqm, better = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
  for name in ranked[::-1]:
    row = whole["algorithms"][name]
    if row["above_ci95"]:
      profile.fill_between(whole["levels"], *row["above_ci95"], color=color[name], alpha=0.15, lw=0)
    profile.plot(whole["levels"], row["above"], color=color[name], lw=1.8, label=name)
  behind = counted(len(whole["datasets"]), whole["seeds"])
  profile.set(title=f"share of runs above a score ({behind})", xlabel="normalised score", ylim=(-0.02, 1.02))
  profile.legend(frameon=False, fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
  _rows(iqm, ranked, [whole["algorithms"][name]["iqm"] for name in ranked], [color[name] for name in ranked])
  iqm.set(title=f"IQM ({behind})", xlabel="normalised score")
  words = [f"{row['over']}\n{counted(len(row['datasets']), row['seeds'])}" for row in pairs]
  _rows(better, words, [row["probability_of_improvement"] for row in pairs], [color[row["over"]] for row in pairs])
  better.axvline(0.5, color="#777777", ls="--", lw=1.2)
  better.set(title=f"P({of}\nis better than ...)", xlim=(-0.03, 1.03))
  better.set_xlabel("mean over data sets; ties one half")
  figure.supxlabel("shaded: 95 % bootstrap intervals, seeds drawn within each data set", fontsize=8)
  for axes in (profile, iqm, better):
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
  figure.savefig(path, dpi=130)


def _rows(axes, names: list[str], estimates: list[dict[str, Any]], colors: list[str]) -> None:
  """A dot with its interval for each name, from below."""
  for place, (estimate, color) in enumerate(zip(estimates, colors, strict=True)):
    low, high = estimate["ci95"] or (estimate["value"],) * 2
    axes.plot((low, high), (place, place), color=color, lw=7, alpha=0.3, solid_capstyle="butt")
    axes.plot(estimate["value"], place, "o", color=color, ms=6)
  axes.set_yticks(np.arange(len(names)), names, fontsize=8)
  axes.set_ylim(-0.6, len(names) - 0.4)
