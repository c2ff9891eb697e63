"""Measures speeds; one JSON object a line. What is compared is measured in turns in one run; medians of the repeats.

  python -m experiments.benchmark --what update,seeds

update: one update of SPaCQL and CFCQL at the papers' sizes, beside a plain matrix product on the same machine.
seeds: 1 to 16 seeds of SPaCQL, one after the other and batched.
trace: what an accelerator does inside a chunk of SPaCQL: copies to the host, busy time, the slowest kernels.
environment: steps a second of 1,024 copies of `spread`, 25-step episodes from uniform starts, ours beside JaxMARL's
MPE_simple_spread_v3 with continuous actions (needs jaxmarl: pip install -e .[dev]). Actions and keys are drawn outside
the clock; inside, both write observations and rewards of every step out, in one compiled scan. And control steps a
second of multi-agent MuJoCo's `halfcheetah_2x3` (needs the extra [mujoco]), the same number of copies on the host,
beside one mamujoco_v1 of Gymnasium-Robotics, where that is installed.
collect: a million rows of `spread`, written, read back and evaluated.
evaluate: the episodes of one evaluation of five seeds.
feed: batches drawn on the device beside batches fed from the host.
compile: whole processes of `train`, before and after its programs are kept on disk.
collect, compile and trace measure once; feed times all repeats together, one after the other.
"""

import json

import jax
from absl import flags

from experiments import launch, provenance, runs, settings
from experiments.benchmarks import environments, host_environments, road, traces, updates

FLAGS = flags.FlagValues()
WHATS = ("update", "seeds", "trace", "environment", "collect", "evaluate", "feed", "compile")
WHAT = flags.DEFINE_list("what", "update", f"what to measure: some of {', '.join(WHATS)}", flag_values=FLAGS)
REPEATS = flags.DEFINE_integer("repeats", 7, "repeats of each measurement", lower_bound=3, flag_values=FLAGS)
PRECISION = flags.DEFINE_string(
  "precision", "float32", f"of matrix products on an accelerator, as of train: one of {', '.join(settings.PRECISIONS)}",
  flag_values=FLAGS,
)  # fmt: skip
COPIES = flags.DEFINE_integer("copies", 1024, "environments stepped at once", lower_bound=1, flag_values=FLAGS)


def measure(what: str) -> list[dict]:
  """The lines of one kind of measurement."""
  repeats = REPEATS.value
  return {
    "update": lambda: updates.lines(repeats),
    "seeds": lambda: updates.seed_lines(repeats),
    "trace": traces.lines,
    "environment": lambda: environments.lines(repeats, COPIES.value) + host_environments.lines(repeats, COPIES.value),
    "collect": road.collect_lines,
    "evaluate": lambda: road.evaluate_lines(repeats),
    "feed": lambda: road.feed_lines(repeats),
    "compile": lambda: road.compile_lines(PRECISION.value),
  }[what]()


def main() -> None:
  """The binary."""
  wanted = [runs.choose("what", what, WHATS) for what in WHAT.value or [""]]
  if "trace" in wanted:
    traces.profile_as_trained()
  launch.multiply_in(runs.choose("precision", PRECISION.value, settings.PRECISIONS))
  jax.config.update("jax_enable_compilation_cache", False)  # a compilation is measured, not a disk
  told = {"device": provenance.device(), "versions": provenance.versions(), "repeats": REPEATS.value}
  told |= {"precision": PRECISION.value}
  told |= dict.fromkeys(("ms", "naive_gflops", "matmul_gflops", "ratio"))  # null where they mean nothing
  for what in wanted:
    for line in measure(what):
      print(json.dumps({"what": what, **told, **line}), flush=True)


if __name__ == "__main__":
  launch.binary(main, FLAGS)
