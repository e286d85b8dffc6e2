"""What must be true of the warehouse's numbers, and finding out whether it is."""
