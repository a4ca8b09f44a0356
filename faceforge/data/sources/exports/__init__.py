"""Label files of annotation tools and other training programs, read as label tables: one module for each format."""
