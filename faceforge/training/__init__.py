"""Training: losses, penalties, optimizers and schedules as pure functions, one compiled step, a loop that resumes."""
