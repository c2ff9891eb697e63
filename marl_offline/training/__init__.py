"""How a learner becomes a trained one: the compiled chunk, the loop around it, checkpoints and logs."""
