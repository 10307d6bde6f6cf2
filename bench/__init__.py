"""Speed, always against a limit measured in the same run: these machines are noisy, ratios are not."""
