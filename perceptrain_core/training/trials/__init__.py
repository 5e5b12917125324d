"""Short trainings that leave no trace."""
