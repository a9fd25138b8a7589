"""Speed and accuracy against what a user would pick instead; ``make benchmark`` writes README.md here."""
