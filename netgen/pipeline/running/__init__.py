"""The cells of a plan, made here (`study_run`, `runner`, `launch`) or by a scheduler (`jobs`).

What they were begun with must not change (`begun`), and what would stop them after hours is told
before (`foreseen`). What they wrote is collected (`collecting`)
into a study's results (`records`), which are read again (`results_of`) and may be added to those of
another folder (`elsewhere`).
"""
