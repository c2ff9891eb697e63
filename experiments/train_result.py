"""What `train` ends with: result.json, the table, the picture."""

from typing import Any

import numpy as np

from experiments import runs, settings, train_request
from marl_offline.datasets import storage
from marl_offline.evaluation import curves, saturation, scores
from marl_offline.evaluation.statistics import Named
from marl_offline.training import checkpoints, logs, trainer


def facts(
  request: train_request.Request, data: runs.Data, position: trainer.Position, config: dict[str, Any], log
) -> dict[str, Any]:
  """What result.json says of scores, effort and where they come from."""
  given, run = request.given, request.run
  by_evaluation = np.mean(np.stack(log.returns, axis=1), axis=2)  # [seed, evaluation]
  best = np.argmax(by_evaluation, axis=1)
  best_raw = np.take_along_axis(by_evaluation, best[:, None], axis=1)[:, 0]
  return {
    "algorithm": given["algorithm"],
    "task": given["task"],
    "quality": data.card["quality"],
    "settings_of": given["quality"],  # whose hyperparameters; another name for data of a quality of its own
    "protocol": given["protocol"],
    "dataset": data.card["name"],
    "origin": data.card["origin"],
    "caveat": data.card.get("caveat", ""),  # what keeps scores on it from comparing
    "seeds": request.seeds,
    **runs.summary(given["task"], by_evaluation[:, -1]),
    "best_over_training": {
      "note": "chosen by these very evaluations, so too good; the score of the run is the final one above",
      "raw_return": best_raw,
      "normalized_score": scores.normalized(given["task"], best_raw),
      "gradient_steps": np.asarray(log.steps)[best],
    },
    "online_episodes_for_selection": 0,
    "dataset_mean_return": data.mean_return,
    "gradient_steps": run.gradient_steps,
    "behavior_updates": settings.behavior_updates(run.config),  # the first of them, on a model of the behavior
    "updates_per_second": position.updates_per_second(),
    "train_seconds": position.train_seconds,
    "eval_seconds": position.eval_seconds,
    "episodes_per_evaluation": run.episodes,
    "device": config["device"],
    "versions": config["versions"],
    "commit": config["commit"],
  }


def finish(
  request: train_request.Request, data: runs.Data, position: trainer.Position, config: dict[str, Any], log
) -> None:
  """result.json, the table and the picture.

  Raises:
    UserError: the disk refuses; the sentence says what is kept.
  """
  given, result = request.given, facts(request, data, position, config, log)
  learner, states, _ = checkpoints.load_learner(request.folder, request.seeds)
  action = saturation.greedy_actions(learner, states, storage.load(data.folder, verify=False)[0].obs)
  result["stuck_agents"] = saturation.stuck_agents(action)  # of each seed
  with runs.writing(request.folder / "result.json", "checkpoints and logs are kept; --resume writes it again"):
    logs.write_json(request.folder / "result.json", result)
  print(runs.table(result))
  for seed, agents in zip(request.seeds, result["stuck_agents"], strict=True):
    for agent in agents:
      print(
        f"seed {seed}: agent {agent} is stuck in a corner of the action space: saturated, its policy learns no more"
      )
  rate, seconds = result["updates_per_second"], (result["train_seconds"], result["eval_seconds"])
  print(f"trained in {seconds[0]:.0f} s ({rate:.0f} updates/s once compiled), evaluated in {seconds[1]:.0f} s")
  picture = request.folder / "learning_curve.png"
  with runs.writing(picture, "result.json is written; experiments.evaluate draws the picture again"):
    curves.draw(
      picture,
      Named(np.stack(log.returns, axis=1), logs.AXES),
      np.asarray(log.steps),
      request.seeds,
      title=f"{given['algorithm']} on {data.card['name']} ({data.card['origin']})",
      dataset_mean=None if data.card.get("caveat") else data.mean_return,
      scale=runs.scale(given["task"]),
    )
  print(f"learning curve: {picture}")
