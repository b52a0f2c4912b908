"""Views: pictures and reports of what was computed elsewhere."""
