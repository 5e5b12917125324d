"""Training curves and histories, and the analysis of loss landscapes."""
