"""What an evaluation found, for people: tables, plots, pictures, one page."""
