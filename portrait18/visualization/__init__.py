"""Plots, contact sheets, heat maps, and the report page that combines them."""
