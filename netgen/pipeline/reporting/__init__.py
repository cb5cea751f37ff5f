"""What a study's results tell.

They are looked at place by place (`seen`), as means over seeds (`statistics`); each sentence of the
paper gets a verdict (`sentences`), the answer and a map of all (`answer`, `study_map`), ahead of
which stands what is not done yet (`so_far`). With tables and pictures (`study_tables`,
`study_places`, `study_pictures`, `inside`) that is told once (`study_told`), in a report
(`study_report`) and on a page (`study_shown`).
"""
