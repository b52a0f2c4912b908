"""The report of a study: one page with charts and tables that needs nothing from elsewhere."""

from jaxopt_edu.view.report.page import report_html

__all__ = ["report_html"]
