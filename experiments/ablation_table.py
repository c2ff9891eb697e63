"""One ablation or control: trains what is missing of it, then writes its table, its picture and its comparisons.

  python -m experiments.ablation_table --study control --num_seeds 5

writes <study>.md, .csv and .png into --out, whose cells/ all studies and the main table share: a cell that two of them
ask for is trained once. It can be stopped at any moment, as experiments.main_table.
"""

import pathlib

from absl import flags

from experiments import cells, grid, launch, main_table, runs, settings, studies, table_view
from marl_offline.evaluation import statistics
from marl_offline.evaluation.statistics import Named
from marl_offline.training import logs

FLAGS = flags.FlagValues()
flags.DEFINE_string("study", "control", f"one of {', '.join(studies.STUDIES)}", flag_values=FLAGS)
flags.DEFINE_list("qualities", None, "instead of the study's", flag_values=FLAGS)
flags.DEFINE_list("algorithms", None, "only these of the study's", flag_values=FLAGS)
flags.DEFINE_string(
  "protocol", "paper", f"one of {', '.join(settings.PROTOCOLS)}; a study of protocols has its own", flag_values=FLAGS
)
grid.define_flags(FLAGS, out="results/mpe")


def differences(found: list[dict]) -> list[str]:
  """For each data set, every cell less the study's first one: difference of means, with a 95 % interval.

  The interval is Welch's, over seeds.
  """
  lines = ["| data | less | algorithm | difference | 95 % interval (Welch) |", "|---|---|---|---|---|"]
  for name in dict.fromkeys(cell["dataset"]["name"] for cell in sorted(found, key=table_view.order)):
    first, *others = [cell for cell in found if cell["dataset"]["name"] == name]
    for other in others:
      pair = [Named(cells.score(cell), ("seed",)) for cell in (other, first)]
      gap = pair[0].values.mean() - pair[1].values.mean()
      ends = statistics.mean_difference_interval(*pair, "seed")
      told = "one seed, or all alike" if ends is None else f"[{ends[0]:.1f}, {ends[1]:.1f}]"
      lines.append(f"| {name} | {table_view.label(first)} | {table_view.label(other)} | {gap:+.1f} | {told} |")
  return lines


def main() -> None:
  """The binary."""
  name = runs.choose("study", FLAGS.study, studies.STUDIES)
  study, out = studies.STUDIES[name], pathlib.Path(FLAGS.out)
  wanted = studies.cells(study, FLAGS.protocol, FLAGS.data_dir, FLAGS.qualities, **grid.shortened(FLAGS))
  if FLAGS.algorithms:
    known = list(dict.fromkeys(cell.algorithm for cell in wanted))
    chosen = [runs.choose("algorithms", each, known) for each in FLAGS.algorithms]
    wanted = [cell for cell in wanted if cell.algorithm in chosen]
  found = grid.fill(wanted, FLAGS)
  main_table.write(found, out, name)
  lines = [study.question, "", (out / f"{name}.md").read_text(), "Against the first row:", "", *differences(found)]
  with runs.writing(out / f"{name}.md", "the cells are kept; --show writes the table from them"):
    logs.write_atomically(out / f"{name}.md", ("\n".join(lines) + "\n").encode())
  print("\n".join(lines) + f"\n\n{out / name}.md, .csv and .png")


if __name__ == "__main__":
  launch.binary(main, FLAGS)
