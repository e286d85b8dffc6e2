"""The composition root: definitions, jobs, schedules and the command line."""
