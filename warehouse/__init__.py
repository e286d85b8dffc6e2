"""The domain of Drivetrain: catalog, stores and verbs. Plain Python; imports no Dagster."""
