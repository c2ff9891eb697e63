"""How good a policy is: returns per episode, scores, statistics, and pictures of them."""
