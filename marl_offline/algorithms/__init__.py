"""One paper, one file: a Config with every default, and make(spec, config) -> Learner."""
