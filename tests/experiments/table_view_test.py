"""The table of cells made by hand."""

from experiments import table_view


def test_the_picture_and_the_table_take_several_tasks():
  def cell(task, quality, algorithm, values):
    return {
      "algorithm": algorithm, "task": task, "quality": quality, "protocol": "paper", "set": [],
      "dataset": {"name": f"{task}-{quality}-v1", "origin": "collected", "mean_return": 0.0}, "seeds": [0, 1],
      "final_returns": values, "curve": [[0.0, value - 3.57, value + 3.57] for value in values],
      "gradient_steps": 10_005, "steps": [4, 8, 10], "config": {},
    }  # fmt: skip

  found = [cell("world", "expert", "bc", [50.9, -7.1]), cell("spread", "random", "cfcql", [159.8, 516.8])]
  text = table_view.markdown(found, ["the recipe"])
  assert "| world-expert-v1 | **50.0 +- 50.0** | - |" in text and "| spread-random-v1 | - | **50.0 +- 50.0** |" in text
  assert "| spread-random-v1 | - | 62.2 +- 8.1 |" in text and text.endswith("the recipe\n")
  assert "| spread-random-v1 | - | -12.2 |" in text  # 50.0 less 62.2
  assert text.index("spread-random-v1") < text.index("world-expert-v1")
  (line,) = [line for line in text.splitlines() if line.startswith("| spread-random-v1 (") and "cfcql" in line]
  # over the last half: the evaluations at 8 and 10 of 10 steps, 3.57 below and above the final ones
  assert line.split(" | ")[5:7] == ["50.0 +- 50.0", "338.3 +- 178.5"]
  assert line.split(" | ")[7] == "0.0, 100.0" and "stuck" not in text
  trial = table_view.markdown([found[0], found[1] | {"gradient_steps": 10}], ["the recipe"])
  assert "papers' own" not in trial and "62.2" not in trial  # which trained a thousand times as long
  marked = table_view.markdown([found[0], found[1] | {"stuck_agents": [[2], None]}], ["the recipe"])
  assert (
    "| **50.0 +- 50.0*** |" in marked and "| 0.0*, 100.0 |" in marked and "*: some agent's policy is stuck" in marked
  )


def test_an_algorithm_has_its_colour_where_it_stands_in_one_way_alone():
  own = table_view.COLORS
  found = table_view.colors(["spacql (ensemble_size=2)", "cfcql", "cfcql (ensemble_size=10)", "mine"])
  assert found["spacql (ensemble_size=2)"] == own["spacql"] and found["cfcql"] == own["cfcql"]
  assert len(set(found.values())) == 4 and own["cfcql"] != found["cfcql (ensemble_size=10)"] not in own.values()
