"""What a run's critics disagree about: the value of the state, or what other actions change? SPaCQL's u_k in parts.

  python -m experiments.disagreement_report --run_dir runs/spacql-spread-random-paper

Takes the newest checkpoint of runs with an ensemble of joint critics (--run_dir is repeatable) and rows of the data set
that each was trained on, and asks the online members about the data's next actions with k = 0..N agents replaced by
their target policies, as SPaCQL's update does:

  u_k = std_e Q_e(s', a'(k)), arXiv:2511.07629 equation 7, of which weights w_k ~ 1 / u_k are made;
  relative u_k = std_e (Q_e(s', a'(k)) - Q_e(s', a'(0))), what the members disagree about because of the k actions.

u_0 is what they disagree about before any action is replaced. Where it is large beside the relative u_k, all u_k are
alike and so are the weights. Besides, what the targets of several algorithms would take from these critics: the minimum
over members for k = 0, 1 and N agents, and its mixtures over k. Each update pays what such a minimum lies below the
mean Q, and bootstrapping multiplies that by gamma / (1 - gamma). Writes disagreement.md, .json and .png. Nothing is
trained. Exit status: 0 done; 2 input or disk.
"""

import importlib
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import evaluate, launch, metric_curves, runs, table_view
from marl_offline import joint_actions, losses
from marl_offline.datasets import sampling
from marl_offline.parts import joint_critic
from marl_offline.training import checkpoints

FLAGS = flags.FlagValues()
flags.DEFINE_multi_string("run_dir", [], "folder of a run; repeatable", flag_values=FLAGS)
flags.DEFINE_string("out", "runs/reports", "folder of the files", flag_values=FLAGS)
flags.DEFINE_string("name", "disagreement", "name of the files", flag_values=FLAGS)
flags.DEFINE_integer("rows", 16_384, "drawn from the data set", lower_bound=2, flag_values=FLAGS)


MIXTURES = ("all k alike", "by agreement", "by relative agreement")


def disagreements(net: joint_critic.Net, state, batch, key, noise: float) -> dict[str, jax.Array]:
  """Batch means of u_k for k = 0..N, relative u_k and both kinds of weights for k = 1..N, and members' mean Q; the
  members' minimum for k = 0..N, and mixed over k = 1..N by each of MIXTURES.

  Beside each weight its standard deviation over the batch: even means do not make even weights in every row.
  """
  key_next, key_k = jax.random.split(key)
  policy = joint_critic.smoothed(net.actor(state.target_actors, batch.next_obs), key_next, noise)
  each_k = jax.vmap(joint_actions.replace_each_k)(jax.random.split(key_k, policy.shape[0]), batch.next_action, policy)
  mixed = jnp.concatenate([batch.next_action[:, None], each_k], axis=1)  # [B, 1 + N, N, A]
  q = net.critic(state.critics, *net.inputs.queries(batch.next_state, mixed))  # [E, B, 1 + N]
  u, relative = losses.disagreement(q), losses.relative_disagreement(q)
  found = {
    "u": u,
    "relative_u": relative[:, 1:],
    "w": losses.inverse_weights(u[:, 1:]),
    "relative_w": losses.inverse_weights(relative[:, 1:]),
    "q": jnp.mean(q, axis=0),
    "minimum": jnp.min(q, axis=0),
  }
  ways = (jnp.full_like(found["w"], 1.0 / found["w"].shape[-1]), found["w"], found["relative_w"])
  no_reward, undiscounted = jnp.zeros(len(u)), jnp.ones(len(u))
  mixed = [losses.partial_replacement_target(no_reward, undiscounted, q[..., 1:], way) for way in ways]
  found["mixed"] = jnp.stack(mixed, axis=-1)
  spread = {f"{name}_std": jnp.std(found[name], axis=0) for name in ("w", "relative_w")}
  return jax.tree.map(lambda x: jnp.mean(x, axis=0), found) | spread


def facts_of(folder: pathlib.Path) -> dict[str, Any]:
  """A run's entry of the JSON file: every number a list over seeds.

  Raises:
    UserError, CheckpointError, DataError: the run or its data cannot be read, or it has no joint critics.
  """
  written = runs.read_config(folder)
  _, states, meta = checkpoints.load_learner(folder)
  states = getattr(states, "learned", states)  # beside it CFCQL may hold a model of the behavior
  if not isinstance(states, joint_critic.TrainState):
    raise runs.UserError(
      f"{folder} is of {meta['algorithm']}, which has no ensemble of joint critics and target policies"
    )
  place = pathlib.Path(written["dataset"]["folder"])
  runs.require_same_data(written["dataset"], place, folder)
  data = runs.open_data(place, evaluate.matching_environment(meta), written["run"]["team_reward"])
  config = importlib.import_module(meta["module"]).Config(**meta["config"])
  if config.ensemble_size < 2:
    raise runs.UserError(f"{folder} has one critic, which cannot disagree")
  net, noise = joint_critic.build(data.spec, config), getattr(config, "target_noise", 0.0)
  batch = sampling.draw(data.dataset, jax.random.key(0), FLAGS.rows)
  measure = jax.jit(lambda state: disagreements(net, state, batch, jax.random.key(1), noise))
  seeds = [measure(jax.tree.map(lambda leaf, i=i: leaf[i], states)) for i in range(len(meta["seeds"]))]
  return {
    **{name: meta[name] for name in ("algorithm", "task", "seeds", "step")},
    "run": table_view.of_flags(written["flags"] | {"set": table_view.without_size(written["flags"]["set"])}),
    "quality": written["dataset"]["quality"],
    **{"dataset": written["dataset"]["name"], "config": meta["config"]},
    **{"commit": written["commit"], "rows": FLAGS.rows},
    "numbers": {name: np.array([seed[name] for seed in seeds]).round(5).tolist() for name in seeds[0]},
  }


def markdown(facts: list[dict[str, Any]]) -> str:
  """A row for every run and k, means over its seeds."""
  lines = [
    "| run | seeds | k | mean Q | u_k | relative u_k | w_k (std over rows) | w_k of relative u_k (std over rows) |"
  ]
  lines += ["|---" * 8 + "|"]
  for row in facts:
    mean = {name: np.mean(values, axis=0) for name, values in row["numbers"].items()}
    for k in range(len(mean["u"])):
      later = [f"{mean['relative_u'][k - 1]:.3f}" if k else "-"]
      later += [f"{mean[n][k - 1]:.3f} ({mean[f'{n}_std'][k - 1]:.3f})" if k else "-" for n in ("w", "relative_w")]
      named = [called(row), len(row["seeds"])] if k == 0 else ["", ""]
      entries = [*named, k, f"{mean['q'][k]:.1f}", f"{mean['u'][k]:.3f}", *later]
      lines.append("| " + " | ".join(map(str, entries)) + " |")
  return "\n".join([*lines, "", *targets_table(facts), ""])


def targets_table(facts: list[dict[str, Any]]) -> list[str]:
  """A row a run: the next value that each target would take from its critics, means over its seeds."""
  head = ["run", "mean Q, data's action", "minimum there", "one agent (ICQL-QS)", "all agents (CFCQL)", *MIXTURES]
  lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
  for row in facts:
    q, minimum, mixed = (np.mean(row["numbers"][name], axis=0) for name in ("q", "minimum", "mixed"))
    values = [q[0], minimum[0], minimum[1], minimum[-1], *mixed]
    lines.append("| " + " | ".join([called(row), *(f"{value:.1f}" for value in values)]) + " |")
  return lines


def called(row: dict[str, Any]) -> str:
  """A run in a table or a picture."""
  return f"{row['run']} on {row['dataset']}, {row['config']['ensemble_size']} critics"


def draw(path: pathlib.Path, facts: list[dict[str, Any]]) -> None:
  """A panel a run: u_k and relative u_k over k, and sqrt(k) times relative u_1."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(1.2 + 3.2 * len(facts), 3.4), layout="constrained")
  for axes, row in zip(figure.subplots(1, len(facts), squeeze=False)[0], facts, strict=True):
    u, relative = (np.mean(row["numbers"][name], axis=0) for name in ("u", "relative_u"))
    ks = np.arange(len(u))
    axes.plot(ks, u, "o-", color="#4477aa", label="$u_k$: of the values")
    axes.plot(ks, [0.0, *relative], "o-", color="#cc6677", label="relative $u_k$: of what $k$ actions change")
    axes.plot(ks, relative[0] * np.sqrt(ks), ":", color="#777777", label=r"$\sqrt{k}$ times relative $u_1$")
    axes.set(xlabel="agents replaced", ylabel="std over critics", xticks=ks)
    axes.set_title(called(row).replace(" on ", "\non ", 1))
    axes.set_ylim(bottom=0)
    axes.title.set_fontsize(9)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
  handles, labels = axes.get_legend_handles_labels()
  figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
  figure.savefig(path, dpi=130)


def main() -> None:
  """The binary."""
  launch.multiply_in("float32")
  facts = metric_curves.of_runs(FLAGS.run_dir, facts_of)
  words = (
    f"Newest checkpoint of each run, online critics, {FLAGS.rows:,} rows of its data, means over rows and seeds; k of "
    "the next actions by the target policies, k = 0 the data's own. u_k and weights: arXiv:2511.07629 equation 7. "
    "Second table: the minimum over critics with one or all agents replaced, and mixed over k as in its equation 6."
  )
  text, out = "\n".join([markdown(facts), words, ""]), pathlib.Path(FLAGS.out)
  print(text + "\n" + metric_curves.write(out, FLAGS.name, text, facts, lambda p: draw(p, facts), "the runs are kept"))


if __name__ == "__main__":
  launch.binary(main, FLAGS)
