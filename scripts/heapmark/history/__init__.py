"""The history of gates: a CSV file that grows, and what changed in it."""
