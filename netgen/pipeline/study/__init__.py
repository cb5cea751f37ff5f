"""A study as ``study.toml`` says it, and the plan of its cells.

The file (`study_file`, `study_settings`) is read (`study_reading`), changed by the command line
(`study_changes`), and laid out (`study_plan`, `planner`) as cells (`cells`), each the commands that
make it (`cell_steps`).
"""
