"""Plots, contact sheets, heat maps, and the page that gathers them."""
