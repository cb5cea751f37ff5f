"""Pages to look at: one HTML file each, which loads nothing and needs no server.

`document` makes the file from a template of `web/`; `network_page`, `audit_page`, `run_page`,
`results_page` and `study_page` say what is on each kind of page. All data come in as `netgen`'s
commands print or report them, so that no page tells another number.
"""

__all__ = [
    "audit_page",
    "document",
    "forest",
    "layered",
    "network_page",
    "paged_results",
    "pictured",
    "results_page",
    "run_page",
    "runs",
    "study_page",
    "text_table",
    "weight_charts",
]
