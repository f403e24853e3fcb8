"""The parts of a model's report (report.py): what each measures, on which scans, and the record that it is kept in."""
