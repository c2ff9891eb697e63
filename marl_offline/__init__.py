"""marl_offline: offline multi-agent reinforcement learning by partial action replacement, in JAX.

The rooms, each named for the question that it answers:

  types          what things are called: Spec, Normalizer, Transition, Proposals, Learner, and the axis letters
  joint_actions  which agents act by policy and which as the data did
  losses         numbers in, numbers out: targets, conservative gaps, weights, what a policy climbs
  networks       flax modules with init and apply: actors, critics, ensembles
  parts          moves over parameters that several papers share
  algorithms     one paper, one file: Config, make(spec, config) -> Learner
  environments   reset and step, pure
  datasets       from files to a batch inside jit
  collection     online learners and the data sets recorded from them
  training       the compiled chunk and the loop around it, checkpoints, logs
  evaluation     returns per episode, scores, statistics
  theory         tabular truth that the shipped operators are checked against

Import what you need from a room; this package exports nothing by itself.
"""
